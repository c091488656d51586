package drift_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleATC() {
	// The reference is sure of itself in three rows of four, and right in as many.
	reference, _ := data.NewNamed(4, []string{"cat", "dog"}, []float32{4, 0, 4, 0, 0, 4, 0.5, 0})
	reference, _ = reference.WithLabels([]int{0, 0, 1, 1}, []string{"cat", "dog"})
	window, _ := data.NewNamed(4, []string{"cat", "dog"}, []float32{4, 0, 0.3, 0, 0, 0.2, 0, 0.1})
	m, err := drift.ATC{Temperature: 1}.Fit(context.Background(), drift.LogitsInput{Logits: reference})
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.2f\n", c.Name, c.Statistic)
	// Output: estimated_accuracy 0.25
}

// TestATCThreshold: on the reference itself the estimate is the accuracy, however wrong the confidence.
func TestATCThreshold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, strategy := range []string{"entropy", "maximum"} {
		reference, accuracy := calibrated(t, r, 1000, 1.5)
		m, err := drift.ATC{Strategy: strategy, Temperature: 0.2}.Fit(t.Context(), reference)
		if err != nil {
			t.Fatal(err)
		}
		have, err := m.Test(t.Context(), reference.Logits)
		if err != nil {
			t.Fatal(err)
		}
		close(t, strategy, have.Statistic, accuracy, 1e-9)
		if have.PValue != 1 || math.Abs(have.Effect.Value) > 1e-12 {
			t.Errorf("%s: the reference against itself: p = %v, change %v", strategy, have.PValue, have.Effect)
		}
	}
}
