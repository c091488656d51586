package metric

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gimbal-ml/gimbal/data"
)

// Mean is the mean of values that were drawn independently (one per seed, say) with Student's t interval, n − 1 degrees of freedom.
// One value has no spread: both sides are infinite. Equal values have none either, and the interval has zero width: a method without randomness
// is the same for all seeds.
//
// Errors: data.ErrShape without values, data.ErrFinite for NaN and Inf (also when the sum overflows), ErrRange for the Interval.
func Mean(values []float64, how ...Interval) (Estimate, error) {
	const who = "mean"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if err := checkFinite(who, values); err != nil {
		return Estimate{}, err
	}
	return h.student(who, values)
}

// PairedMean is the mean of a − b over pairs that share their seed, split or data set, with Student's t interval: what the seed does to both
// cancels. The difference is significant at 1 − Level when the interval does not contain 0.
//
// Errors: those of [Mean]; data.ErrShape also for unequal lengths.
func PairedMean(a, b []float64, how ...Interval) (Estimate, error) {
	const who = "paired mean"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if len(a) != len(b) {
		return Estimate{}, fmt.Errorf("%s: %w: %d values against %d, want pairs", who, data.ErrShape, len(a), len(b))
	}
	for _, side := range [][]float64{a, b} {
		if err := checkFinite(who, side); err != nil {
			return Estimate{}, err
		}
	}
	difference := make([]float64, len(a))
	for i := range a {
		difference[i] = a[i] - b[i]
	}
	return h.student(who, difference)
}

// student is the t interval of finite values.
func (h Interval) student(who string, values []float64) (Estimate, error) {
	n := float64(len(values))
	mean := meanAround(values, values[0])
	squares := 0.0
	for _, v := range values {
		squares += (v - mean) * (v - mean)
	}
	if math.IsNaN(squares) || math.IsInf(squares, 0) {
		return Estimate{}, fmt.Errorf("%s: the sum of squares of %d values is %w", who, len(values), data.ErrFinite)
	}
	if h.ValueOnly || n < 2 {
		return h.alone(mean), nil
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(1 - h.alpha()/2)
	half := t * math.Sqrt(squares/(n-1)/n)
	return h.between(mean, mean-half, mean+half, math.Inf(-1), math.Inf(1)), nil
}

// meanAround sums the distances from a value near the mean, so that equal values give exactly themselves.
func meanAround(values []float64, center float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v - center
	}
	return center + sum/float64(len(values))
}
