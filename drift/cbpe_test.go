package drift_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleCBPE() {
	// The reference is sure of itself in three rows of four, and right in as many.
	reference, _ := data.NewNamed(4, []string{"cat", "dog"}, []float32{4, 0, 4, 0, 0, 4, 0.5, 0})
	reference, _ = reference.WithLabels([]int{0, 0, 1, 1}, []string{"cat", "dog"})
	window, _ := data.NewNamed(4, []string{"cat", "dog"}, []float32{4, 0, 0.3, 0, 0, 0.2, 0, 0.1})
	m, err := drift.CBPE{Temperature: 1}.Fit(context.Background(), drift.LogitsInput{Logits: reference})
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.2f\n", c.Name, c.Statistic)
	// Output: estimated_accuracy 0.66
}

func logits(t testing.TB, n int, rows func(i int) ([]float32, int)) drift.LogitsInput {
	t.Helper()
	var x []float32
	labels := make([]int, n)
	k := 0
	for i := range n {
		row, y := rows(i)
		x, labels[i], k = append(x, row...), y, len(row)
	}
	var names []string
	for c := range k {
		names = append(names, fmt.Sprint("class ", c))
	}
	tab, err := data.NewNamed(n, names, x)
	if err == nil {
		tab, err = tab.WithLabels(labels, names)
	}
	if err != nil {
		t.Fatal(err)
	}
	return drift.LogitsInput{Logits: tab}
}

// calibrated draws logits of three classes and labels by their softmax: what they say is true.
func calibrated(t testing.TB, r *rand.Rand, n int, spread float64) (in drift.LogitsInput, accuracy float64) {
	in = logits(t, n, func(int) ([]float32, int) {
		row := []float32{float32(spread * r.NormFloat64()), float32(spread * r.NormFloat64()), float32(spread * r.NormFloat64())}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		u, y := r.Float64()*sum, 0
		for ; y < 2 && u >= math.Exp(float64(row[y])); y++ {
			u -= math.Exp(float64(row[y]))
		}
		if row[y] == slices.Max(row) {
			accuracy += 1 / float64(n)
		}
		return row, y
	})
	return in, accuracy
}

// TestCBPEIsExactWhenCalibrated: where probabilities are true, so is the estimate, whatever the confidence became.
func TestCBPEIsExactWhenCalibrated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	reference, before := calibrated(t, r, 4000, 2)
	for _, c := range []drift.CBPE{{Temperature: 1}, {}} {
		m, err := c.Fit(t.Context(), reference)
		if err != nil {
			t.Fatal(err)
		}
		for _, spread := range []float64{0.5, 1, 4} {
			window, accuracy := calibrated(t, r, 4000, spread)
			have, err := m.Test(t.Context(), window.Logits)
			if err != nil {
				t.Fatal(err)
			}
			close(t, fmt.Sprint("accuracy at spread ", spread), have.Statistic, accuracy, 0.03) // four binomial standard deviations of 4,000 rows, and the temperature's error
			if !have.Drift || math.Signbit(have.Effect.Value) != (spread < 2) {
				t.Errorf("spread %g: accuracy was %.3f, change %v, p = %v", spread, before, have.Effect, have.PValue)
			}
		}
	}
}

func TestCBPERefuses(t *testing.T) {
	unlabelled, _ := data.NewTable(3, 2, make([]float32, 6))
	if _, err := (drift.CBPE{}).Fit(t.Context(), drift.LogitsInput{Logits: unlabelled}); err == nil {
		t.Error("a reference without labels is accepted")
	}
	three, _ := unlabelled.WithLabels([]int{0, 1, 2}, []string{"a", "b", "c"})
	if _, err := (drift.CBPE{}).Fit(t.Context(), drift.LogitsInput{Logits: three}); err == nil {
		t.Error("labels of three classes with two columns are accepted")
	}
}
