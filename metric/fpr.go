package metric

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"
)

// tpr95 is the true positive rate that the field's FPR95 asks for.
const tpr95 = 0.95

// FPR95OutPositive is the share of in-distribution rows that raise an alarm when the threshold catches 95 % of the out-of-distribution rows.
// It is [FPRAtTPR] at 0.95 with out of distribution as the positive class: the definition of OpenOOD v1.5 and pytorch-ood.
// It differs from [FPR95InPositive]; say which one you report.
func FPR95OutPositive(inDistribution, outOfDistribution []float64, how ...Interval) (Estimate, error) {
	return falsePositiveRate("fpr95 (out positive)", inDistribution, outOfDistribution, tpr95, false, how)
}

// FPR95InPositive is the share of out-of-distribution rows that pass as known when the threshold lets 95 % of the in-distribution rows pass.
// It is [FPRAtTPR] at 0.95 with in distribution as the positive class: the definition of ODIN (Liang et al., 2018), of OpenOOD v1 and of most papers.
// It takes the same scores as [FPR95OutPositive], higher = more unknown.
func FPR95InPositive(inDistribution, outOfDistribution []float64, how ...Interval) (Estimate, error) {
	return falsePositiveRate("fpr95 (in positive)", inDistribution, outOfDistribution, tpr95, true, how)
}

// FPRAtTPR is the share of negative rows at or above the highest threshold at which at least the share tpr of the positive rows is: the first point
// of the ROC curve that reaches tpr, one point per distinct score, never interpolated between points.
//
// Takes:    n negative and m positive scores, higher = more positive, ±Inf legal; tpr in (0,1].
// Interval: exact in both of its parts, without a model of the scores and without resampling. The true threshold is a quantile of the positives; how
// many of m lie below it is Binomial(m, 1−tpr), and it lies between two neighbours of them. Given the threshold, the count of negatives above it
// bounds their share as Clopper and Pearson do (Beta distributions). The interval holds the middle Level of the mixture. With fewer than
// ln((1−Level)/2)/ln(tpr) positives (72 for 95 % at tpr 0.95) its high end is 1: it may be that no positive yet shows where the lowest 1−tpr lie. A bootstrap
// of so few does not see that: on normal scores with 20 positives it missed the truth in a fifth to a quarter of the samples.
// Errors:   data.ErrShape for an empty group, data.ErrFinite for NaN, ErrRange for tpr or the Interval.
// Differs:  scikit-learn's roc_curve drops points on straight stretches by default, and OpenOOD then takes the next corner: with many tied
// scores its number can be larger.
// Source:   the definition of OpenOOD v1.5 (out of distribution positive) for the value; the interval is ours.
func FPRAtTPR(negative, positive []float64, tpr float64, how ...Interval) (Estimate, error) {
	return falsePositiveRate("fpr at tpr", negative, positive, tpr, false, how)
}

func falsePositiveRate(who string, negative, positive []float64, tpr float64, flip bool, how []Interval) (Estimate, error) {
	h, err := settle(who, how)
	if err != nil {
		return Estimate{}, err
	}
	if math.IsNaN(tpr) || tpr <= 0 || tpr > 1 {
		return Estimate{}, fmt.Errorf("%s: true positive rate %v is %w, want more than 0, at most 1", who, tpr, ErrRange)
	}
	r, err := rank(who, negative, positive)
	if err != nil {
		return Estimate{}, err
	}
	if flip {
		r = r.flipped()
	}
	value := float64(r.falsePositives(tpr)) / float64(r.n)
	if h.ValueOnly {
		return h.alone(value), nil
	}
	low, high := h.falsePositiveBounds(r, tpr)
	return h.between(value, low, high, 0, 1), nil
}

// falsePositives counts the negatives at or above the highest score at which the true positive rate reaches tpr.
func (r ranked) falsePositives(tpr float64) int {
	hits, misses := 0, 0
	for g := len(r.positives) - 1; g >= 0; g-- {
		hits += int(r.positives[g])
		misses += int(r.negatives[g])
		// The quotient rounds as the literal 0.95 does, so 19 of 20 reach it.
		if r.positives[g] > 0 && float64(hits)/float64(r.m) >= tpr {
			break
		}
	}
	return misses
}

// falsePositiveBounds mixes, over the number j of positives below the true threshold, the bounds for the share of negatives at or above it:
// the j-th lowest positive is not above the threshold and bounds from above, the next one is not below it and bounds from below.
func (h Interval) falsePositiveBounds(r ranked, tpr float64) (low, high float64) {
	// misses[j] is the number of negatives at or above the j-th lowest positive, j = 1..m; all n for j = 0, none for j = m+1.
	misses := make([]int, 1, r.m+2)
	misses[0] = r.n
	above := r.n
	for g, positives := range r.positives {
		for range positives {
			misses = append(misses, above)
		}
		above -= int(r.negatives[g])
	}
	misses = append(misses, 0)
	var upper, lower []betaPart
	for j, weight := range binomial(r.m, 1-tpr) {
		if weight == 0 {
			continue
		}
		c := float64(misses[j])
		upper = addPart(upper, weight, c+1, float64(r.n)-c)
		c = float64(misses[j+1])
		lower = addPart(lower, weight, c, float64(r.n)-c+1)
	}
	return mixtureQuantile(lower, h.alpha()/2), mixtureQuantile(upper, 1-h.alpha()/2)
}

// betaPart is a component of a mixture: Beta(a, b), where a = 0 is the point 0 and b = 0 the point 1.
type betaPart struct{ weight, a, b float64 }

// addPart appends a component or adds its weight to the last one, if that is the same.
func addPart(mixture []betaPart, weight, a, b float64) []betaPart {
	if last := len(mixture) - 1; last >= 0 && mixture[last].a == a && mixture[last].b == b {
		mixture[last].weight += weight
		return mixture
	}
	return append(mixture, betaPart{weight, a, b})
}

// mixtureQuantile solves Σ weight·P(Beta ≤ x) = q by bisection.
func mixtureQuantile(mixture []betaPart, q float64) float64 {
	below := func(x float64) float64 {
		sum := 0.0
		for _, c := range mixture {
			switch {
			case c.a == 0:
				sum += c.weight
			case c.b > 0:
				sum += c.weight * mathext.RegIncBeta(c.a, c.b, x)
			}
		}
		return sum
	}
	low, high := 0.0, 1.0
	for range 40 { // to 1e-12
		if middle := (low + high) / 2; below(middle) < q {
			low = middle
		} else {
			high = middle
		}
	}
	if high == 1 || low == 0 { // the quantile is the end itself, or closer to it than the last step
		return math.Round(low)
	}
	return (low + high) / 2
}

// binomial returns the probabilities of 0..n successes, summing to 1; those below 1e-16 of the largest may be left 0.
func binomial(n int, p float64) []float64 {
	weights := make([]float64, n+1)
	mode := min(int(float64(n+1)*p), n)
	weights[mode] = 1 // relative to the mode, then normalised
	sum := 1.0
	const negligible = 1e-16
	for j := mode; j < n && weights[j] > negligible; j++ {
		weights[j+1] = weights[j] * float64(n-j) / float64(j+1) * (p / (1 - p))
		sum += weights[j+1]
	}
	for j := mode; j > 0 && weights[j] > negligible; j-- {
		weights[j-1] = weights[j] * float64(j) / float64(n-j+1) * ((1 - p) / p)
		sum += weights[j-1]
	}
	for j := range weights {
		weights[j] /= sum
	}
	return weights
}
