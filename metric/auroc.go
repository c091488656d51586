package metric

import "math"

// AUROC is the probability that a positive row scores above a negative one, a tie counting half: the area under the ROC curve, which is
// Mann and Whitney's statistic over n·m. Positive = out of distribution = higher score. O((n+m)·log(n+m)), in exact integer arithmetic up to 2^53 pairs.
//
// Takes:    n negative and m positive scores, n, m ≥ 1; ±Inf is a score like any other.
// Interval: DeLong's variance on the logit of the AUROC, transformed back, so that it stays within (0,1). Three cases have no variance and no
// logit: all pairs in order (1), all in reverse (0), all tied (0.5). There the min(n,m) disjoint pairs that the rows hold are independent trials
// which all went one way, and the interval is the exact bound for those: [1−q, 1], [0, q], [0.5 − q/2, 0.5 + q/2] with q as at [Interval],
// k = min(n,m). A group of one row has no variance of its own; the largest possible one, A·(1−A), stands in.
// Coverage of 95 % intervals on normal scores: 0.93 to 0.98 from 15 rows in each group; with 20 rows against 1000 down to 0.81 at an AUROC of 0.99.
// Errors:   data.ErrShape for an empty group, data.ErrFinite for NaN, ErrRange for the Interval.
// Differs:  the logit interval; many programs clip the symmetric one at 1.
// Source:   DeLong, DeLong and Clarke-Pearson (1988), eq. (3)–(5); ranks as in Sun and Xu (2014); logit: Pepe (2003), section 5.2.
func AUROC(negative, positive []float64, how ...Interval) (Estimate, error) {
	const who = "auroc"
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	r, err := rank(who, negative, positive)
	if err != nil {
		return Estimate{}, err
	}
	area := r.area()
	if h.ValueOnly {
		return h.alone(area), nil
	}
	if tied := len(r.positives) == 1; area == 0 || area == 1 || tied {
		q := h.unseen(min(r.n, r.m))
		if tied {
			q /= 2
		}
		return h.between(area, area-q, area+q, 0, 1), nil
	}
	return h.logit(area, math.Sqrt(r.areaVariance(area))), nil
}

// area is the AUROC: twice the Mann-Whitney statistic is a whole number below 2^63.
func (r ranked) area() float64 {
	twice, below := int64(0), int64(0)
	for g, pos := range r.positives {
		neg := int64(r.negatives[g])
		twice += int64(pos) * (2*below + neg)
		below += neg
	}
	return float64(twice) / 2 / (float64(r.n) * float64(r.m))
}

// areaVariance is DeLong's variance: S10/m + S01/n, the variances of the placement values of positives among negatives and the reverse.
// It is 0 only when the area is 0 or 1 or all scores are tied: for both sorts of placement to be constant, the rows at the highest
// score must be all positives, all negatives, or all rows.
func (r ranked) areaVariance(area float64) float64 {
	n, m := float64(r.n), float64(r.m)
	ofPositives, ofNegatives := 0.0, 0.0
	below, above := 0.0, m // negatives below, positives above
	for g, count := range r.positives {
		pos, neg := float64(count), float64(r.negatives[g])
		above -= pos
		v10 := (below+neg/2)/n - area
		v01 := (above+pos/2)/m - area
		ofPositives += pos * v10 * v10
		ofNegatives += neg * v01 * v01
		below += neg
	}
	return groupVariance(ofPositives, m, area*(1-area)) + groupVariance(ofNegatives, n, area*(1-area))
}

// groupVariance is the variance of a mean of n values with the given sum of squares; one value has none, and the largest possible one stands in.
func groupVariance(squares, n, largest float64) float64 {
	if n < 2 {
		return largest
	}
	return squares / (n - 1) / n
}

// logit is the normal interval on the logit of a value in (0,1) with this standard error, transformed back.
func (h Interval) logit(value, standardError float64) Estimate {
	middle := math.Log(value / (1 - value))
	step := h.z() * standardError / (value * (1 - value))
	return h.between(value, logistic(middle-step), logistic(middle+step), 0, 1)
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
