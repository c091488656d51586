package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleMaxSoftmax() {
	logits, _ := data.NewTable(3, 2, []float32{9, 0, 1, 0, 5, 5})
	m, err := detect.MaxSoftmax{}.Fit(context.Background(), detect.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	scores, _ := m.Score(logits)
	fmt.Printf("%.4f %.4f %.4f\n", scores[0], scores[1], scores[2])
	// Output: 0.0001 0.2689 0.5000
}

// logitRows draws n rows of k logits.
func logitRows(t testing.TB, seed uint64, n, k int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 0))
	x := make([]float32, n*k)
	for i := range x {
		x[i] = float32(math.Round(4*4*r.NormFloat64()) / 4) // exact under whole-numbered shifts
	}
	return mustTable(t, n, k, x)
}

// shifted adds a whole number, another one for each row, to all logits of a row.
func shifted(t testing.TB, in *data.Table) (out *data.Table, by []float64) {
	n, k := in.Dims()
	x := make([]float32, 0, n*k)
	for i := range n {
		by = append(by, float64(100*i-3))
		for _, v := range in.Row(i) {
			x = append(x, v+float32(by[i]))
		}
	}
	return mustTable(t, n, k, x), by
}

func fitMaxSoftmax(t testing.TB, c detect.MaxSoftmax, in *data.Table) *detect.MaxSoftmaxModel {
	t.Helper()
	m, err := c.Fit(t.Context(), detect.LogitsInput{Logits: in})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMaxSoftmaxAgainstTheFormula(t *testing.T) {
	in := logitRows(t, 1, 200, 7)
	for _, temperature := range []float64{0.5, 1, 3} {
		want := make([]float64, 200)
		for i := range want {
			sum, top := 0.0, 0.0
			for _, v := range in.Row(i) {
				e := math.Exp(float64(v) / temperature)
				sum, top = sum+e, max(top, e)
			}
			want[i] = 1 - top/sum
		}
		near(t, fmt.Sprint("temperature ", temperature), scores(t, fitMaxSoftmax(t, detect.MaxSoftmax{Temperature: temperature}, in), in), want, 1e-13)
	}
}

func TestMaxSoftmaxIgnoresAConstant(t *testing.T) {
	in := logitRows(t, 2, 50, 5)
	moved, _ := shifted(t, in)
	m := fitMaxSoftmax(t, detect.MaxSoftmax{}, in)
	near(t, "after adding a constant to each row", scores(t, m, moved), scores(t, m, in), 0)
}

func TestMaxSoftmaxPreciseNearCertainty(t *testing.T) {
	// One minus the probability would be zero from a lead of 37 on.
	in := mustTable(t, 3, 3, []float32{40, 0, 0, 500, 0, -700, 0, 80, 700})
	s := scores(t, fitMaxSoftmax(t, detect.MaxSoftmax{}, in), in)
	for i, want := range []float64{2 * math.Exp(-40), math.Exp(-500), math.Exp(-620)} {
		if math.Abs(s[i]-want) > 1e-12*want {
			t.Errorf("row %d: %g, want %g", i+1, s[i], want)
		}
	}
}

// extremeLogits are rows that overflow a softmax done carelessly.
func extremeLogits(t testing.TB) *data.Table {
	const top = math.MaxFloat32
	return mustTable(t, 4, 2, []float32{top, -top, -top, -top, top, top, 0, 0})
}

func TestMaxSoftmaxExtremes(t *testing.T) {
	in := extremeLogits(t)
	for _, temperature := range []float64{1e-300, 1, 1e6} {
		near(t, fmt.Sprint("temperature ", temperature), scores(t, fitMaxSoftmax(t, detect.MaxSoftmax{Temperature: temperature}, in), in), []float64{0, 0.5, 0.5, 0.5}, 0)
	}
}

func TestDetectorsOnLogitsRefuse(t *testing.T) {
	for _, k := range []int{0, 1} {
		in := detect.LogitsInput{Logits: mustTable(t, 2, k, make([]float32, 2*k))}
		_, a := detect.MaxSoftmax{}.Fit(t.Context(), in)
		_, b := detect.Energy{}.Fit(t.Context(), in)
		for _, err := range []error{a, b} {
			if !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), fmt.Sprintf("%d columns", k)) || !strings.Contains(err.Error(), "2 classes") {
				t.Errorf("%d columns: %v", k, err)
			}
		}
	}
	_, a := detect.MaxSoftmax{}.Fit(t.Context(), detect.LogitsInput{})
	_, b := detect.Energy{}.Fit(t.Context(), detect.LogitsInput{})
	if !errors.Is(a, method.ErrInput) || !errors.Is(b, method.ErrInput) {
		t.Errorf("without logits: %v, %v", a, b)
	}
}

func BenchmarkMaxSoftmaxScore(b *testing.B) {
	in := logitRows(b, 3, 2000, 100)
	m := fitMaxSoftmax(b, detect.MaxSoftmax{}, in)
	for b.Loop() {
		if _, err := m.Score(in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
