package metric

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/gimbal-ml/gimbal/data"
)

// DeLongPaired compares two scorers on the same rows: the difference AUROC(A) − AUROC(B) and the two-sided p-value of no difference.
// Pairing takes out what both find hard, so it sees differences that two separate intervals hide. O((n+m)·log(n+m)).
//
// Takes:    the scores of scorer A and of scorer B on the same n negative and m positive rows, in the same order; ±Inf is a legal score.
// Interval: difference ± z·(DeLong's standard error), clipped to [−1, 1]. Two cases have no variance. Where A and B order every pair alike,
// the difference is 0, p is 1, and the interval is [−q, q] with q as at [Interval], k = min(n,m) disjoint pairs. Otherwise (A perfect
// and B reversed) interval and p-value are Hoeffding's bound for k pairs. A group of one row gets the largest variance possible, 1 − difference².
// Errors:   data.ErrShape for an empty group or unequal lengths, data.ErrFinite for NaN, ErrRange for the Interval.
// Source:   DeLong, DeLong and Clarke-Pearson (1988), eq. (5)–(8); Hoeffding (1963), section 5a.
func DeLongPaired(negativeA, positiveA, negativeB, positiveB []float64, how ...Interval) (difference Estimate, p float64, err error) {
	const who = "delong"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, 0, err
	}
	for _, g := range []struct {
		name string
		a, b []float64
	}{{"negative", negativeA, negativeB}, {"positive", positiveA, positiveB}} {
		if err := checkScores(who, g.name+" A", g.a); err != nil {
			return Estimate{}, 0, err
		}
		if err := checkScores(who, g.name+" B", g.b); err != nil {
			return Estimate{}, 0, err
		}
		if len(g.a) != len(g.b) {
			return Estimate{}, 0, fmt.Errorf("%s: %w: scorer A has %d %s scores, scorer B %d; they must be of the same rows", who, data.ErrShape, len(g.a), g.name, len(g.b))
		}
	}
	a, b := place(negativeA, positiveA), place(negativeB, positiveB)
	d := a.area - b.area
	variance := differenceVariance(a.ofPositive, b.ofPositive, d) + differenceVariance(a.ofNegative, b.ofNegative, d)
	pairs := float64(min(len(negativeA), len(positiveA)))
	var half float64
	switch {
	// Equal placements mean equal order of every pair: step functions of A's scores are the unique maximisers of Σ step·(a_i − a_j) up to A's
	// ties, B's reach the same sum because the sum reads placements only, and the same holds with A and B exchanged.
	case slices.Equal(a.ofPositive, b.ofPositive) && slices.Equal(a.ofNegative, b.ofNegative):
		half, p = h.unseen(int(pairs)), 1
	case variance*pairs <= 1e-30: // nothing but the rounding of placements
		half = math.Sqrt(2 * math.Log(2/h.alpha()) / pairs) // a pair's difference lies in [−1, 1]
		p = min(1, 2*math.Exp(-pairs*d*d/2))
	default:
		half = h.z() * math.Sqrt(variance)
		p = math.Erfc(math.Abs(d) / math.Sqrt(2*variance))
	}
	if h.ValueOnly {
		return h.alone(d), p, nil
	}
	return h.between(d, d-half, d+half, -1, 1), p, nil
}

// placements are, for each positive row, the share of negatives below it, and for each negative row the share of positives above it; ties count half.
type placements struct {
	area       float64
	ofPositive []float64 // m
	ofNegative []float64 // n
}

func place(negative, positive []float64) placements {
	keyOfNegative, keyOfPositive := orderKeys(negative), orderKeys(positive)
	sortedNegative, sortedPositive := sortKeys(slices.Clone(keyOfNegative)), sortKeys(slices.Clone(keyOfPositive))
	p := placements{
		area:       mergeKeys(sortedNegative, sortedPositive).area(),
		ofPositive: shareBelow(sortedNegative, keyOfPositive),
		ofNegative: shareBelow(sortedPositive, keyOfNegative),
	}
	for j, v := range p.ofNegative {
		p.ofNegative[j] = 1 - v
	}
	return p
}

// shareBelow returns, for each key, the share of sorted keys below it, ties counting half.
func shareBelow(sorted, keys []uint64) []float64 {
	share := make([]float64, len(keys))
	for i, k := range keys {
		below, _ := slices.BinarySearch(sorted, k)
		ties := sort.Search(len(sorted)-below, func(t int) bool { return sorted[below+t] > k })
		share[i] = (float64(below) + float64(ties)/2) / float64(len(sorted))
	}
	return share
}

// differenceVariance is the variance of the mean difference of two scorers' placements of one group, whose mean is d.
func differenceVariance(a, b []float64, d float64) float64 {
	squares := 0.0
	for i, v := range a {
		e := v - b[i] - d
		squares += e * e
	}
	return groupVariance(squares, float64(len(a)), 1-d*d)
}
