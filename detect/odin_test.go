package detect_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleODIN() {
	// A softmax at T = 1 is as sure of both rows; one at T = 1000 still sees that the first stands out more.
	logits, _ := data.NewTable(2, 2, []float32{90, 0, 40, 0})
	m, err := detect.ODIN{}.Fit(context.Background(), detect.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	scores, _ := m.Score(logits)
	fmt.Printf("%.4f %.4f\n", scores[0], scores[1])
	// Output: 0.4775 0.4900
}

func TestODINAgainstTheFormula(t *testing.T) {
	in := logitRows(t, 13, 100, 7)
	for _, temperature := range []float64{1, 10, 1000} {
		var want []float64
		for i := range 100 {
			_, rest := plainSoftmax(wide(in.Row(i)), temperature)
			want = append(want, slices.Min(rest))
		}
		within(t, fmt.Sprint("temperature ", temperature), scores(t, fitOnLogits(t, detect.ODIN{Temperature: temperature}.Fit, in), in), want, 1e-13, 0)
	}
}

// At T → ∞ a softmax is linear: 1 − p = 1 − 1/K − (top − mean)/(K·T), so rows have the order of top − mean.
func TestODINOrdersByTheGapToTheMean(t *testing.T) {
	const n, k = 80, 5
	in := logitRows(t, 14, n, k)
	s := scores(t, fitOnLogits(t, detect.ODIN{Temperature: 1e6}.Fit, in), in)
	gap := make([]float64, n)
	for i := range gap {
		row, mean := wide(in.Row(i)), 0.0
		for _, v := range row {
			mean += v / k
		}
		gap[i] = slices.Max(row) - mean
		within(t, "first order", s[i:i+1], []float64{1 - 1.0/k - gap[i]/(k*1e6)}, 1e-9, 0)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(gap[b], gap[a]) })
	for i := 1; i < n; i++ {
		if a, b := order[i-1], order[i]; gap[a] > gap[b]+1e-3 && s[a] >= s[b] {
			t.Fatalf("rows %d and %d: gaps %g and %g, scores %.15g and %.15g", a+1, b+1, gap[a], gap[b], s[a], s[b])
		}
	}
}

func TestODINKeepsAConstant(t *testing.T) {
	in := logitRows(t, 15, 50, 5)
	moved, _ := shifted(t, in)
	m := fitOnLogits(t, detect.ODIN{}.Fit, in)
	within(t, "after adding a constant to each row", scores(t, m, moved), scores(t, m, in), 1e-15, 0)
}
