package metric

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// AUPROut is the area under the precision-recall curve with out of distribution as the positive class: of the rows that score highest, how many
// are really unknown? The curve runs through one point per distinct score and starts at recall 0, precision 1; points are joined by straight lines.
//
// Takes:    n scores of in-distribution rows and m of out-of-distribution rows, higher = more unknown; ±Inf is a legal score.
// Value:    depends on n/m (constant scores give (1 + m/(n+m))/2), so compare it only between equal mixtures.
// Interval: logit ± z·(bootstrap standard error, resampling within each group)/(value·(1 − value)), transformed back; the percentiles of the same
// resamples lie too high where the value is near 1. A group of one row, or resamples that never move the value, give no standard error. Then
// perfect separation (1) cannot exclude that a share q of either kind of row (as at [Interval], k = its rows) lies at the far end of the other, and the
// low end is the average precision in that case, the smaller of 1−q (positives at the bottom) and 1 − c·ln(1 + 1/c), c = q·n/m (negatives on top);
// any other value gets ± q with k = min(n,m).
// Errors:   data.ErrShape for an empty group, data.ErrFinite for NaN, ErrRange for the Interval.
// Differs:  [AveragePrecision] has steps instead of straight lines; papers that say AUPR may mean either.
// Source:   as OpenOOD v1.5 computes it (scikit-learn's precision_recall_curve and auc).
func AUPROut(inDistribution, outOfDistribution []float64, how ...Interval) (Estimate, error) {
	return precisionRecall("aupr_out", inDistribution, outOfDistribution, false, ranked.trapezoid, how)
}

// AUPRIn is [AUPROut] with in distribution as the positive class: of the rows that score lowest, how many are really known?
// It takes the same scores, higher = more unknown.
func AUPRIn(inDistribution, outOfDistribution []float64, how ...Interval) (Estimate, error) {
	return precisionRecall("aupr_in", inDistribution, outOfDistribution, true, ranked.trapezoid, how)
}

// AveragePrecision is the mean precision over the positive rows: Σ (recall_k − recall_{k−1})·precision_k over the distinct scores from the top,
// a step function instead of AUPROut's straight lines. Arguments, interval and errors are those of [AUPROut].
//
// Source: scikit-learn's average_precision_score.
func AveragePrecision(negative, positive []float64, how ...Interval) (Estimate, error) {
	return precisionRecall("average precision", negative, positive, false, ranked.steps, how)
}

// precisionRecall evaluates an area under the precision-recall curve; flip makes the negative group, from its lowest scores, the positive class.
func precisionRecall(who string, negative, positive []float64, flip bool, area func(ranked) float64, how []Interval) (Estimate, error) {
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	r, err := rank(who, negative, positive)
	if err != nil {
		return Estimate{}, err
	}
	if flip {
		r = r.flipped()
	}
	value := area(r)
	if h.ValueOnly {
		return h.alone(value), nil
	}
	replicas := h.replicateRanked(r, func(negatives, positives []int32) float64 {
		return area(ranked{n: r.n, m: r.m, negatives: negatives, positives: positives})
	})
	if k := float64(min(r.n, r.m)); k > 1 && !unvaried(value, replicas) {
		// Resampling k rows understates their variance by (k−1)/k.
		return h.logit(value, stat.StdDev(replicas, nil)*math.Sqrt(k/(k-1))), nil
	}
	if value < 1 {
		q := h.unseen(min(r.n, r.m))
		return h.between(value, value-q, value+q, 0, 1), nil
	}
	c := h.unseen(r.n) * float64(r.n) / float64(r.m)
	low := min(1-h.unseen(r.m), 1-c*math.Log1p(1/c))
	return h.between(value, low, 1, 0, 1), nil
}

// trapezoid joins the points of the curve by straight lines. Groups without positives lower the precision from which the next line starts.
func (r ranked) trapezoid() float64 {
	sum, hits, misses := 0.0, int64(0), int64(0)
	before := 1.0 // the precision of the previous point; at recall 0 it is 1 by convention
	for g := len(r.positives) - 1; g >= 0; g-- {
		pos, neg := int64(r.positives[g]), int64(r.negatives[g])
		if pos == 0 {
			misses += neg
			continue
		}
		if hits+misses > 0 {
			before = float64(hits) / float64(hits+misses)
		}
		hits, misses = hits+pos, misses+neg
		sum += float64(pos) * (before + float64(hits)/float64(hits+misses))
	}
	return sum / 2 / float64(r.m)
}

// steps weighs each point's precision with the positives that it adds.
func (r ranked) steps() float64 {
	sum, hits, misses := 0.0, int64(0), int64(0)
	for g := len(r.positives) - 1; g >= 0; g-- {
		pos := int64(r.positives[g])
		hits, misses = hits+pos, misses+int64(r.negatives[g])
		if pos > 0 {
			sum += float64(pos) * (float64(hits) / float64(hits+misses))
		}
	}
	return sum / float64(r.m)
}
