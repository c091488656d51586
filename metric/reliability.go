package metric

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
)

// ReliabilityBin is one bin of a reliability diagram.
type ReliabilityBin struct {
	// Rows fell into the bin.
	Rows int
	// Confidence is the mean of their largest probabilities.
	Confidence float64
	// Accuracy is the share of them whose predicted class is right, with Wilson's interval. A calibrated classifier's is Confidence.
	Accuracy Estimate
}

// Reliability returns the bins of the diagram that [BinnedECE] sums up, without the empty ones, from the least confident up.
//
// Takes:    N ≥ 1 confidences, each row's largest probability, and whether the class that has it is right.
// Bins:     as at [BinnedECE].
// Interval: Wilson's, of each bin alone, as at [Proportion].
// Errors:   data.ErrShape without rows and for different lengths; ErrRange for a confidence outside of 0 to 1, Bins or the Interval.
// Source:   Guo et al. (2017), section 2, figure 1.
func Reliability(bins Bins, confidence []float64, right []bool, how ...Interval) ([]ReliabilityBin, error) {
	const who = "reliability"
	if _, err := settle(who, how); err != nil {
		return nil, err
	}
	bins, err := bins.settle(who)
	if err != nil {
		return nil, err
	}
	n := len(confidence)
	if n == 0 || n != len(right) {
		return nil, fmt.Errorf("%s: %w: %d confidences and %d verdicts, want as many, and at least 1", who, data.ErrShape, n, len(right))
	}
	outcome, once := make([]int32, n), make([]int32, n)
	for i, p := range confidence {
		if !(p >= 0 && p <= 1) {
			return nil, fmt.Errorf("%s: row %d: confidence %v is %w, want 0 to 1", who, i+1, p, ErrRange)
		}
		if once[i] = 1; right[i] {
			outcome[i] = 1
		}
	}
	f := forecasts{probability: confidence, event: 1}.binned(bins)
	g := newGaps(bins, n)
	f.fill(g, once, outcome, bins)
	var all []ReliabilityBin
	for b, rows := range g.rows {
		if rows == 0 {
			continue
		}
		accuracy, err := Proportion(int(g.happened[b]), int(rows), how...)
		if err != nil {
			return nil, err
		}
		all = append(all, ReliabilityBin{int(rows), math.Min(g.probability[b]/float64(rows), 1), accuracy})
	}
	return all, nil
}
