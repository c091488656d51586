package calibrate_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
)

func ExampleSplitConformal() {
	exampleSets(calibrate.SplitConformal{Level: 0.2}.Fit(context.Background(), calibrate.LogitsInput{Logits: exampleRows()}))
	// Output: [1 0 0] [1 1 0] [cat dog fox]
}

// TestSplitConformalThreshold: of 19 rows at level 0.1 the threshold is the 18th smallest −log p, worked out here anew.
func TestSplitConformalThreshold(t *testing.T) {
	in := outputs(t, 5, 19, 3, 1)
	labels, _ := in.Labels()
	var scores []float64
	for i, y := range labels {
		scores = append(scores, unlikelihood(in, i, y))
	}
	slices.Sort(scores)
	m := fit(t, calibrate.SplitConformal.Fit, calibrate.SplitConformal{}, in)
	if math.Abs(m.Threshold()-scores[17]) > 1e-12 {
		t.Errorf("threshold %g, want %g of %v", m.Threshold(), scores[17], scores)
	}
}
