package part

import (
	"fmt"
	"math"
	"slices"
	"sort"
)

// Conformal turns scores into p-values by a calibration sample. For a row exchangeable with the sample,
// P(p ≤ α) ≤ α for every α and every sample size; ties count against the row, so they only make p larger.
type Conformal struct{ sorted []float64 }

// NewConformal keeps a sorted copy of the calibration scores.
func NewConformal(scores []float64) *Conformal {
	s := slices.Clone(scores)
	slices.Sort(s)
	return &Conformal{s}
}

// Rows returns the size of the calibration sample.
func (c *Conformal) Rows() int { return len(c.sorted) }

// Sorted returns the calibration scores, ascending. The caller must not change them.
func (c *Conformal) Sorted() []float64 { return c.sorted }

// PValue returns (1 + #{calibration scores ≥ score}) / (n + 1).
func (c *Conformal) PValue(score float64) float64 {
	at, _ := slices.BinarySearch(c.sorted, score)
	return float64(1+len(c.sorted)-at) / float64(len(c.sorted)+1)
}

// Check says why a level cannot be kept: below 1/(n+1) no p-value could ever fall under it.
func (c *Conformal) Check(alpha float64) error {
	if !(alpha > 0 && alpha < 1) {
		return fmt.Errorf("a false-alarm rate of %v is not between 0 and 1", alpha)
	}
	if need := int(math.Ceil(1/alpha - 1e-9)); len(c.sorted)+1 < need {
		return fmt.Errorf("a false-alarm rate of %v needs at least %d calibration rows, have %d: give more rows, a larger calibration share, or a rate of at least %.3g",
			alpha, need-1, len(c.sorted), 1/float64(len(c.sorted)+1))
	}
	return nil
}

// Threshold returns the largest score that is still accepted at level alpha, that is whose p-value exceeds alpha;
// +Inf when every score is, which [Conformal.Check] refuses beforehand.
func (c *Conformal) Threshold(alpha float64) float64 {
	n := len(c.sorted)
	// p(score) > α ⇔ #{≥ score} ≥ ⌊α(n+1)⌋ ⇔ score ≤ the ⌊α(n+1)⌋-th largest
	k := sort.Search(n+1, func(k int) bool { return float64(1+k)/float64(n+1) > alpha })
	if k == 0 {
		return math.Inf(1)
	}
	return c.sorted[n-k]
}
