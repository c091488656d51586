package detect_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleEnergy() {
	// Both rows favour the first class by as much, but only one finds evidence for it.
	logits, _ := data.NewTable(2, 2, []float32{12, 8, 2, -2})
	m, err := detect.Energy{}.Fit(context.Background(), detect.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	scores, _ := m.Score(logits)
	fmt.Printf("%.3f %.3f\n", scores[0], scores[1])
	// Output: -12.018 -2.018
}

func fitEnergy(t testing.TB, c detect.Energy, in *data.Table) *detect.EnergyModel {
	t.Helper()
	m, err := c.Fit(t.Context(), detect.LogitsInput{Logits: in})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestEnergyAgainstTheFormula(t *testing.T) {
	in := logitRows(t, 1, 200, 7)
	for _, temperature := range []float64{0.5, 1, 3} {
		want := make([]float64, 200)
		for i := range want {
			sum := 0.0
			for _, v := range in.Row(i) {
				sum += math.Exp(float64(v) / temperature)
			}
			want[i] = -temperature * math.Log(sum)
		}
		near(t, fmt.Sprint("temperature ", temperature), scores(t, fitEnergy(t, detect.Energy{Temperature: temperature}, in), in), want, 1e-13)
	}
}

func TestEnergyKeepsAConstant(t *testing.T) {
	in := logitRows(t, 2, 50, 5)
	moved, by := shifted(t, in)
	m := fitEnergy(t, detect.Energy{Temperature: 2}, in)
	want := scores(t, m, in)
	for i := range want {
		want[i] -= by[i]
	}
	near(t, "after adding a constant to each row", scores(t, m, moved), want, 1e-14)
}

func TestEnergyTowardsTheLargestLogit(t *testing.T) {
	const k = 5
	in := logitRows(t, 3, 50, k)
	for _, temperature := range []float64{1, 0.1, 1e-3, 1e-9, 1e-300} {
		for i, s := range scores(t, fitEnergy(t, detect.Energy{Temperature: temperature}, in), in) {
			top := math.Inf(-1)
			for _, v := range in.Row(i) {
				top = max(top, float64(v))
			}
			// T·log Σ exp lies between the largest and T·log K above it.
			if gap := -s - top; gap < 0 || gap > temperature*math.Log(k)+1e-14*math.Abs(top) {
				t.Fatalf("temperature %g, row %d: %g above the largest logit", temperature, i+1, gap)
			}
		}
	}
}

func TestEnergyExtremes(t *testing.T) {
	in := extremeLogits(t)
	const top = math.MaxFloat32
	for _, temperature := range []float64{1e-300, 1, 1e6} {
		flat := -temperature * math.Ln2
		near(t, fmt.Sprint("temperature ", temperature), scores(t, fitEnergy(t, detect.Energy{Temperature: temperature}, in), in), []float64{-top, top + flat, -top + flat, flat}, 1e-15)
	}
}

func BenchmarkEnergyScore(b *testing.B) {
	in := logitRows(b, 4, 2000, 100)
	m := fitEnergy(b, detect.Energy{}, in)
	for b.Loop() {
		if _, err := m.Score(in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
