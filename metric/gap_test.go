package metric_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

func ExampleMeasureStabilityGap() {
	// Accuracy on medical questions, by thousands of tokens seen.
	g, err := metric.MeasureStabilityGap([]float64{0, 10, 20, 40, 80}, []float64{0.36, 0.31, 0.34, 0.37, 0.40}, false)
	if err != nil {
		panic(err)
	}
	fmt.Printf("falls by %.2f at %g, is back at %g\n", g.Depth, g.At, g.Recovery)
	// Output: falls by 0.05 at 10, is back at 40
}

func TestStabilityGap(t *testing.T) {
	for what, c := range map[string]struct {
		steps, scores []float64
		lower         bool
		want          metric.StabilityGap
	}{
		"perplexity":    {[]float64{0, 1, 2, 4}, []float64{10, 16, 12, 8}, true, metric.StabilityGap{First: 10, Deepest: 16, At: 1, Depth: 6, Recovered: true, Recovery: 4, Last: 8, Mean: (13 + 14 + 20) / 4.0}},
		"never worse":   {[]float64{5, 6}, []float64{1, 2}, false, metric.StabilityGap{First: 1, Deepest: 1, At: 5, Recovered: true, Recovery: 5, Last: 2, Mean: 1.5}},
		"not recovered": {[]float64{0, 1, 3}, []float64{1, 0, 0.5}, false, metric.StabilityGap{First: 1, Deepest: 0, At: 1, Depth: 1, Last: 0.5, Mean: (0.5 + 0.5) / 3}},
		"equal again":   {[]float64{0, 1, 2, 3}, []float64{1, 0, 1, 0}, false, metric.StabilityGap{First: 1, Deepest: 0, At: 1, Depth: 1, Recovered: true, Recovery: 2, Last: 0, Mean: 0.5}},
	} {
		got, err := metric.MeasureStabilityGap(c.steps, c.scores, c.lower)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got.Mean -= c.want.Mean; math.Abs(got.Mean) > 1e-15 {
			t.Errorf("%s: mean is off by %g", what, got.Mean)
		}
		got.Mean = c.want.Mean
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", what, got, c.want)
		}
	}
	for what, c := range map[string]struct {
		steps, scores []float64
		want          error
	}{
		"one point":      {[]float64{0}, []float64{1}, data.ErrShape},
		"other lengths":  {[]float64{0, 1, 2}, []float64{1, 2}, data.ErrShape},
		"not a number":   {[]float64{0, 1}, []float64{1, math.NaN()}, data.ErrFinite},
		"steps stand":    {[]float64{0, 0}, []float64{1, 2}, metric.ErrRange},
		"steps go back":  {[]float64{0, 2, 1}, []float64{1, 2, 3}, metric.ErrRange},
		"infinite steps": {[]float64{0, math.Inf(1)}, []float64{1, 2}, data.ErrFinite},
	} {
		if _, err := metric.MeasureStabilityGap(c.steps, c.scores, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}
