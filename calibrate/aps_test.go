package calibrate_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
)

func ExampleAPS() {
	exampleSets(calibrate.APS{Level: 0.2, Seed: 2}.Fit(context.Background(), calibrate.LogitsInput{Logits: exampleRows()}))
	// Output: [1 0 0] [1 1 0] [cat dog fox]
}

// TestAPSSetsAreTheMostProbable: a set holds no class without all that are more probable, and its mass brackets the threshold: with
// the last class it reaches the threshold's draw, without it it stays below.
func TestAPSSetsAreTheMostProbable(t *testing.T) {
	in := outputs(t, 6, 400, 5, 1)
	m := fit(t, calibrate.APS.Fit, calibrate.APS{}, in)
	out, err := m.Sets(in)
	if err != nil {
		t.Fatal(err)
	}
	n, k := in.Dims()
	for i := range n {
		order := make([]int, k)
		for c := range order {
			order[c] = c
		}
		slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, float64(in.Row(i)[b]-in.Row(i)[a]))) })
		open, before := true, 0.0
		for _, c := range order {
			p := math.Exp(-unlikelihood(in, i, c))
			is := out.Row(i)[c] == 1
			if is && (!open || before > m.Threshold()+1e-12) || !is && before+p < m.Threshold()-1e-12 {
				t.Fatalf("row %d: %v of %v at threshold %g", i+1, out.Row(i), in.Row(i), m.Threshold())
			}
			open, before = is, before+p
		}
	}
}

// TestAPSDraws: another seed draws other sets, the same seed the same.
func TestAPSDraws(t *testing.T) {
	in := outputs(t, 6, 400, 5, 1)
	sets := func(seed uint64) []float32 {
		out, err := fit(t, calibrate.APS.Fit, calibrate.APS{Seed: seed}, in).Sets(in)
		if err != nil {
			t.Fatal(err)
		}
		return out.X()
	}
	if !slices.Equal(sets(1), sets(1)) || slices.Equal(sets(1), sets(2)) {
		t.Error("sets do not go by the seed")
	}
}
