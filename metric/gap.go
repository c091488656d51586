package metric

import (
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// StabilityGap is what a score does after training goes on with other data: it falls, before it comes back and rises.
type StabilityGap struct {
	First     float64 // the score before
	Deepest   float64 // the worst score, the first where several are
	At        float64 // the step of it
	Depth     float64 // how far it is worse than First, ≥ 0
	Recovered bool    // whether the score was at least First again after the deepest point, or never worse
	Recovery  float64 // the step where it was, the first one's where it was never worse; 0 unless Recovered
	Last      float64 // the score in the end
	Mean      float64 // over all steps between the first and the last, by trapezoids
}

// MeasureStabilityGap reads a log of scores at steps (or tokens, or seconds): at least two of them, steps rising, the first one before training goes
// on. lower says that lower scores are better, as perplexities are.
//
// Errors: data.ErrShape for fewer than two points and for lists of other lengths; data.ErrFinite for NaN and Inf; ErrRange for steps that do not rise.
// Source: Guo et al. (2024); De Lange et al. (2023) for the name.
func MeasureStabilityGap(steps, scores []float64, lower bool) (StabilityGap, error) {
	n := len(scores)
	if n < 2 || len(steps) != n {
		return StabilityGap{}, fmt.Errorf("stability gap: %w: %d scores at %d steps, want two at least, and as many steps", data.ErrShape, n, len(steps))
	}
	for i := range n {
		if v := steps[i] + scores[i]; math.IsNaN(v) || math.IsInf(v, 0) {
			return StabilityGap{}, fmt.Errorf("stability gap: %w: point %d is %g at %g", data.ErrFinite, i+1, scores[i], steps[i])
		}
		if i > 0 && steps[i] <= steps[i-1] {
			return StabilityGap{}, fmt.Errorf("stability gap: %w: step %g of point %d does not exceed %g before it", ErrRange, steps[i], i+1, steps[i-1])
		}
	}
	sign := 1.0
	if lower {
		sign = -1
	}
	better := func(a, b float64) bool { return sign*a > sign*b }
	worst := 0
	area := 0.0
	for i := 1; i < n; i++ {
		if better(scores[worst], scores[i]) {
			worst = i
		}
		area += (steps[i] - steps[i-1]) * (scores[i]/2 + scores[i-1]/2)
	}
	g := StabilityGap{First: scores[0], Deepest: scores[worst], At: steps[worst], Depth: sign * (scores[0] - scores[worst]), Last: scores[n-1], Mean: area / (steps[n-1] - steps[0])}
	if i := slices.IndexFunc(scores[worst:], func(v float64) bool { return !better(scores[0], v) }); i >= 0 {
		g.Recovered, g.Recovery = true, steps[worst+i]
	}
	return g, nil
}
