package metric

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// covered is the share of trials whose interval holds the truth.
func covered(t *testing.T, trials int, truth float64, sample func() (Estimate, error)) float64 {
	t.Helper()
	hits := 0
	for range trials {
		if must(t)(sample()).Contains(truth) {
			hits++
		}
	}
	return float64(hits) / float64(trials)
}

// TestCoverage draws samples from populations with known truths. With 400 trials a true coverage of 0.95 shows as 0.95 ± 0.033 (3 standard errors); the
// bounds below leave that, and nothing more than what the doc comments say.
func TestCoverage(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 5))
	const trials = 400
	how := Interval{Resamples: 199}
	gap := 1.5
	area := distuv.UnitNormal.CDF(gap / math.Sqrt2)
	tail := 1 - distuv.UnitNormal.CDF(gap+distuv.UnitNormal.Quantile(0.05)) // negatives above the positives' 5 % quantile
	everyone := make([]float64, 1<<17)
	shifted := make([]float64, len(everyone))
	for i := range everyone {
		everyone[i] = distuv.UnitNormal.Quantile((float64(i) + 0.5) / float64(len(everyone)))
		shifted[i] = everyone[i] + gap
	}
	precision := must(t)(AUPROut(everyone, shifted, valueOnly)).Value
	sharp, labels := forecast(r, 100000, 3, 3)
	brier := must(t)(Brier(sharp, 3, labels, valueOnly)).Value
	ece := must(t)(ECE(sharp, 3, labels, valueOnly)).Value

	for _, c := range []struct {
		name        string
		truth       float64
		low, high   float64
		sampleTrial func() (Estimate, error)
	}{
		{"AUROC", area, 0.917, 0.983, func() (Estimate, error) { return AUROC(normal(r, 40, 0), normal(r, 60, gap)) }},
		{"AUROC of 8 rows each", area, 0.917, 1, func() (Estimate, error) { return AUROC(normal(r, 8, 0), normal(r, 8, gap)) }},
		{"AUPROut", precision, 0.9, 0.983, func() (Estimate, error) { return AUPROut(normal(r, 80, 0), normal(r, 80, gap), how) }},
		{"FPR95OutPositive", tail, 0.93, 1, func() (Estimate, error) { return FPR95OutPositive(normal(r, 90, 0), normal(r, 150, gap)) }},
		{"FPR95OutPositive of few", tail, 0.93, 1, func() (Estimate, error) { return FPR95OutPositive(normal(r, 200, 0), normal(r, 20, gap)) }},
		{"Brier", brier, 0.9, 0.983, func() (Estimate, error) { p, y := forecast(r, 100, 3, 3); return Brier(p, 3, y, how) }},
		{"ECE, overconfident", ece, 0.88, 0.983, func() (Estimate, error) { p, y := forecast(r, 300, 3, 3); return ECE(p, 3, y, how) }},
		{"ECE, calibrated", 0, 0.93, 1, func() (Estimate, error) { p, y := forecast(r, 100, 3, 1); return ECE(p, 3, y, how) }},
		{"class-wise ECE, calibrated", 0, 0.93, 1, func() (Estimate, error) { p, y := forecast(r, 60, 3, 1); return ClasswiseECE(Bins{}, p, 3, y, how) }},
		{"Mean of 5", 0, 0.917, 0.983, func() (Estimate, error) { return Mean(normal(r, 5, 0)) }},
		{"PairedMean of 5", 0, 0.917, 0.983, func() (Estimate, error) { return PairedMean(normal(r, 5, 3), normal(r, 5, 3)) }},
	} {
		if got := covered(t, trials, c.truth, c.sampleTrial); got < c.low || got > c.high {
			t.Errorf("%s: %.3f of the intervals hold the truth, want %v to %v", c.name, got, c.low, c.high)
		}
	}
}

// TestDeLongPairedUnderNoDifference: two equally good scorers with common noise. The p-value is below 0.05 in 5 % of the trials, and exactly then the
// interval excludes 0.
func TestDeLongPairedUnderNoDifference(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 5))
	const trials = 1000
	rejected := 0
	for range trials {
		negative, positive := normal(r, 50, 0), normal(r, 50, 1)
		noisy := func(v float64) float64 { return v + 0.5*r.NormFloat64() }
		e, p, err := DeLongPaired(each(negative, noisy), each(positive, noisy), each(negative, noisy), each(positive, noisy))
		must(t)(e, err)
		if (p < 0.05) != !e.Contains(0) {
			t.Fatalf("p %v and interval %v disagree", p, e)
		}
		if p < 0.05 {
			rejected++
		}
	}
	near(t, "rejected", float64(rejected)/trials, 0.05, 0.021) // 3 standard errors
}
