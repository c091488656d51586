package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAUPRIsNotAveragePrecision pins the definition trap. From the top: positive 0.8 (recall 1/2, precision 1), negative 0.4 (1/2, 1/2), positive 0.35
// (1, 2/3). Straight lines: 1/2·1 + 1/2·(1/2 + 2/3)/2 = 19/24; steps: 1/2·1 + 1/2·2/3 = 5/6.
func TestAUPRIsNotAveragePrecision(t *testing.T) {
	negative, positive := []float64{0.1, 0.4}, []float64{0.35, 0.8}
	near(t, "AUPROut", must(t)(AUPROut(negative, positive)).Value, 19./24, 1e-15)
	near(t, "AveragePrecision", must(t)(AveragePrecision(negative, positive)).Value, 5./6, 1e-15)
}

// curve is the precision-recall curve by counting anew at every threshold.
func curve(negative, positive []float64) (recall, precision []float64) {
	thresholds := append(append([]float64(nil), negative...), positive...)
	slices.Sort(thresholds)
	thresholds = slices.Compact(thresholds)
	slices.Reverse(thresholds)
	recall, precision = []float64{0}, []float64{1}
	for _, c := range thresholds {
		hits, misses := 0, 0
		for _, v := range positive {
			if v >= c {
				hits++
			}
		}
		for _, v := range negative {
			if v >= c {
				misses++
			}
		}
		recall = append(recall, float64(hits)/float64(len(positive)))
		precision = append(precision, float64(hits)/float64(hits+misses))
	}
	return recall, precision
}

func TestAUPRAgainstCurve(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 2))
	for range 50 {
		negative, positive := coarse(normal(r, 1+r.IntN(20), 0)), coarse(normal(r, 1+r.IntN(20), 0.5))
		area, steps := 0.0, 0.0
		recall, precision := curve(negative, positive)
		for i := 1; i < len(recall); i++ {
			area += (recall[i] - recall[i-1]) * (precision[i] + precision[i-1]) / 2
			steps += (recall[i] - recall[i-1]) * precision[i]
		}
		near(t, "AUPROut", must(t)(AUPROut(negative, positive, valueOnly)).Value, area, 1e-13)
		near(t, "AveragePrecision", must(t)(AveragePrecision(negative, positive, valueOnly)).Value, steps, 1e-13)
	}
}

// TestAUPRWithoutVariance: constant scores give (1 + m/(n+m))/2 in every resample, so the rule for values that never move applies.
func TestAUPRWithoutVariance(t *testing.T) {
	tied := must(t)(AUPROut(make([]float64, 30), make([]float64, 10)))
	q := 1 - math.Pow(0.025, 0.1)
	near(t, "tied", tied.Value, (1+0.25)/2, 1e-15)
	near(t, "tied low", tied.Low, tied.Value-q, 1e-12)
	near(t, "tied high", tied.High, tied.Value+q, 1e-12)

	// Perfect separation: the low end is the average precision of a population with a share q of the negatives on top, integrated numerically here, or
	// with a share q of the positives at the bottom.
	for _, size := range [][2]int{{50, 50}, {1000, 3}, {1000, 2}, {5, 400}} {
		n, m := size[0], size[1]
		e := must(t)(AUPROut(normal(rand.New(rand.NewPCG(8, 2)), n, -100), normal(rand.New(rand.NewPCG(9, 2)), m, 100), Interval{Resamples: 50}))
		onTop := (1 - math.Pow(0.025, 1/float64(n))) * float64(n) / float64(m)
		integral := 0.0
		const steps = 200000
		for i := range steps {
			recall := (float64(i) + 0.5) / steps
			integral += recall / (recall + onTop) / steps
		}
		near(t, "separated", e.Value, 1, 0)
		near(t, "separated high", e.High, 1, 0)
		near(t, "separated low", e.Low, min(integral, math.Pow(0.025, 1/float64(m))), 1e-6)
	}

	if e := must(t)(AUPROut([]float64{1, 2, 3, 4, 5}, []float64{4.5})); e.Low > 0.01 || e.High < 0.99 {
		t.Errorf("%v claims to know much from one positive row", e)
	}
}
