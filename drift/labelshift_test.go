package drift_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleLabelShift() {
	// The classifier takes a fifth of the cats for dogs, and is right about dogs.
	var x []float32
	var labels []int
	for i := range 20 {
		cat := float32(1)
		if i >= 8 {
			cat = -1
		}
		x, labels = append(x, cat, 0), append(labels, i/10)
	}
	reference, _ := data.NewNamed(20, []string{"cat", "dog"}, x)
	reference, _ = reference.WithLabels(labels, []string{"cat", "dog"})
	// Of the window's rows it calls 12 of 20 cats: that is 15 cats, of which it knew 12, where the reference has 10.
	x = nil
	for i := range 20 {
		cat := float32(1)
		if i >= 12 {
			cat = -1
		}
		x = append(x, cat, 0)
	}
	window, _ := data.NewNamed(20, []string{"cat", "dog"}, x)
	m, err := drift.LabelShift{}.Fit(context.Background(), drift.LogitsInput{Logits: reference})
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	for _, class := range c.Parts {
		fmt.Printf("%s × %.2f\n", class.Name, class.Effect.Value)
	}
	// Output:
	// cat × 1.50
	// dog × 0.50
}

// hard draws rows whose prediction follows a confusion.
func hard(t testing.TB, r *rand.Rand, n int, shares []float64, confusion [][]float64) drift.LogitsInput {
	pick := func(p []float64) int {
		u := r.Float64()
		for i, v := range p {
			if u < v {
				return i
			}
			u -= v
		}
		return len(p) - 1
	}
	return logits(t, n, func(i int) ([]float32, int) {
		y := pick(shares)
		if i < 3 {
			y = i
		}
		row := make([]float32, 3)
		row[pick(confusion[y])] = 1
		return row, y
	})
}

// TestLabelShiftFindsWeights: with enough rows the weights are the truth's, and their intervals hold it.
func TestLabelShiftFindsWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	confusion := [][]float64{{0.8, 0.1, 0.1}, {0.2, 0.7, 0.1}, {0, 0.3, 0.7}}
	before, after := []float64{0.5, 0.3, 0.2}, []float64{0.2, 0.3, 0.5}
	covered, trials := 0, 8
	for range trials {
		m, err := drift.LabelShift{}.Fit(t.Context(), hard(t, r, 3000, before, confusion))
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.Test(t.Context(), hard(t, r, 2000, after, confusion).Logits)
		if err != nil {
			t.Fatal(err)
		}
		if !c.Drift {
			t.Errorf("p = %v", c.PValue)
		}
		for k, part := range c.Parts {
			close(t, part.Name, part.Effect.Value, after[k]/before[k], 0.6)
			if part.Effect.Contains(after[k] / before[k]) {
				covered++
			}
		}
	}
	if covered < 3*trials*85/100 {
		t.Errorf("%d of %d intervals of 95 %% hold the true weight", covered, 3*trials)
	}
}

// TestLabelShiftNullRate: without a shift of labels the p-value keeps to its level.
func TestLabelShiftNullRate(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	confusion := [][]float64{{0.8, 0.1, 0.1}, {0.2, 0.7, 0.1}, {0, 0.3, 0.7}}
	shares := []float64{0.5, 0.3, 0.2}
	const trials = 80
	below := map[float64]int{0.05: 0, 0.3: 0}
	for range trials {
		m, err := drift.LabelShift{Permutations: 199}.Fit(t.Context(), hard(t, r, 60, shares, confusion))
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.Test(t.Context(), hard(t, r, 40, shares, confusion).Logits)
		if err != nil {
			t.Fatal(err)
		}
		for level := range below {
			if c.PValue <= level {
				below[level]++
			}
		}
	}
	for level, n := range below {
		if beyond(n, trials, level) {
			t.Errorf("%d of %d p-values at or below %g", n, trials, level)
		}
	}
}

func TestLabelShiftRefusesBlindClassifiers(t *testing.T) {
	blind := logits(t, 6, func(i int) ([]float32, int) { return []float32{1, 0}, i % 2 })
	if _, err := (drift.LabelShift{}).Fit(t.Context(), blind); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("a classifier that says one class only: %v", err)
	}
}
