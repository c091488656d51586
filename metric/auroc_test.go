package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// kernel is 1, 1/2 or 0 as the positive score lies above, at or below the negative one.
func kernel(negative, positive float64) float64 {
	switch {
	case positive > negative:
		return 1
	case positive == negative:
		return 0.5
	}
	return 0
}

// direct is DeLong, DeLong and Clarke-Pearson by their double sums: the AUROC and the placement values V10 (positives) and V01 (negatives).
func direct(negative, positive []float64) (area float64, v10, v01 []float64) {
	v10, v01 = make([]float64, len(positive)), make([]float64, len(negative))
	for i, p := range positive {
		for j, n := range negative {
			k := kernel(n, p)
			v10[i] += k / float64(len(negative))
			v01[j] += k / float64(len(positive))
			area += k
		}
	}
	return area / float64(len(negative)*len(positive)), v10, v01
}

// covariance is the sample covariance with divisor n − 1.
func covariance(x, y []float64) float64 {
	mx, my, sum := 0.0, 0.0, 0.0
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		sum += (x[i] - mx) * (y[i] - my)
	}
	return sum / float64(len(x)-1)
}

func TestAUROCAgainstDoubleSums(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for trial := range 60 {
		n, m := 2+r.IntN(30), 2+r.IntN(30)
		negative, positive := normal(r, n, 0), normal(r, m, 0.7)
		if trial%2 == 0 {
			negative, positive = coarse(negative), coarse(positive)
		}
		if trial%5 == 0 {
			negative[0], positive[0] = math.Inf(1), math.Inf(1)
			negative[1] = math.Inf(-1)
		}
		area, v10, v01 := direct(negative, positive)
		e := must(t)(AUROC(negative, positive))
		near(t, "AUROC", e.Value, area, 1e-14)
		variance := covariance(v10, v10)/float64(m) + covariance(v01, v01)/float64(n)
		if area == 0 || area == 1 {
			continue
		}
		half := 1.959963984540054 * math.Sqrt(variance) / (area * (1 - area))
		logit := math.Log(area / (1 - area))
		near(t, "low", e.Low, 1/(1+math.Exp(half-logit)), 1e-12)
		near(t, "high", e.High, 1/(1+math.Exp(-half-logit)), 1e-12)
	}
}

// TestAUROCByHand: negatives 1 2 3, positives 2 4. Pairs: 2 beats 1, ties 2, loses to 3; 4 beats all: 4.5 of 6.
// V10 = (1/2, 1), V01 = (1, 3/4, 1/2): S10 = 1/8, S01 = 1/16, variance 1/16 + 1/48 = 1/12.
func TestAUROCByHand(t *testing.T) {
	e := must(t)(AUROC([]float64{3, 1, 2}, []float64{4, 2}))
	near(t, "AUROC", e.Value, 0.75, 0)
	half := 1.959963984540054 * math.Sqrt(1./12) / (0.75 * 0.25)
	near(t, "low", e.Low, logistic(math.Log(3)-half), 1e-12)
	near(t, "high", e.High, logistic(math.Log(3)+half), 1e-12)
}

// TestAUROCWithoutVariance: all in order, all in reverse, all tied. The end of the interval is the rate at which min(n,m) independent pairs all go the
// same way with probability 0.025.
func TestAUROCWithoutVariance(t *testing.T) {
	for _, k := range []int{1, 2, 5, 100} {
		low, high := make([]float64, k), make([]float64, k+3)
		for i := range high {
			high[i] = 1
		}
		rate := math.Pow(0.025, 1/float64(k))
		for _, c := range []struct {
			name               string
			negative, positive []float64
			want               Estimate
		}{
			{"in order", low, high, Estimate{1, rate, 1, 0.95}},
			{"in reverse", high, low, Estimate{0, 0, 1 - rate, 0.95}},
			{"tied", low, make([]float64, k+3), Estimate{0.5, 0.5 - (1-rate)/2, 0.5 + (1-rate)/2, 0.95}},
		} {
			e := must(t)(AUROC(c.negative, c.positive))
			near(t, fmt.Sprintf("%d rows %s", k, c.name), e.Value, c.want.Value, 0)
			near(t, c.name+" low", e.Low, c.want.Low, 1e-12)
			near(t, c.name+" high", e.High, c.want.High, 1e-12)
		}
	}
}

// TestAUROCOfOneRow: one positive has no variance; the largest possible one, A·(1−A), keeps the interval wide.
func TestAUROCOfOneRow(t *testing.T) {
	negative := make([]float64, 100)
	for i := range negative {
		negative[i] = float64(i)
	}
	e := must(t)(AUROC(negative, []float64{89.5}))
	near(t, "AUROC", e.Value, 0.9, 1e-15)
	if e.Low > 0.2 || e.High < 0.995 {
		t.Errorf("%v claims to know much from one positive row", e)
	}
}

func TestDeLongPairedAgainstDoubleSums(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2))
	for trial := range 60 {
		n, m := 3+r.IntN(30), 3+r.IntN(30)
		negA, posA := normal(r, n, 0), normal(r, m, 1)
		negB, posB := make([]float64, n), make([]float64, m)
		for j := range negB {
			negB[j] = 0.7*negA[j] + 0.7*r.NormFloat64()
		}
		for i := range posB {
			posB[i] = 0.7*posA[i] + 0.7*r.NormFloat64()
		}
		if trial%2 == 0 {
			negA, posA, negB, posB = coarse(negA), coarse(posA), coarse(negB), coarse(posB)
		}
		a, v10A, v01A := direct(negA, posA)
		b, v10B, v01B := direct(negB, posB)
		variance := (covariance(v10A, v10A)+covariance(v10B, v10B)-2*covariance(v10A, v10B))/float64(m) +
			(covariance(v01A, v01A)+covariance(v01B, v01B)-2*covariance(v01A, v01B))/float64(n)
		e, p, err := DeLongPaired(negA, posA, negB, posB)
		must(t)(e, err)
		half := 1.959963984540054 * math.Sqrt(variance)
		near(t, "difference", e.Value, a-b, 1e-14)
		near(t, "low", e.Low, max(a-b-half, -1), 1e-11)
		near(t, "high", e.High, min(a-b+half, 1), 1e-11)
		near(t, "p", p, 2*(1-0.5*(1+math.Erf(math.Abs(a-b)/math.Sqrt(2*variance)))), 1e-11)

		swapped, q, err := DeLongPaired(negB, posB, negA, posA)
		must(t)(swapped, err)
		near(t, "swapped", swapped.Value, -e.Value, 1e-15)
		near(t, "swapped low", swapped.Low, -e.High, 1e-13)
		near(t, "swapped p", q, p, 1e-13)
	}
}

func TestDeLongPairedWithoutVariance(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 2))
	neg, pos := coarse(normal(r, 40, 0)), coarse(normal(r, 60, 1))

	e, p, err := DeLongPaired(neg, pos, each(neg, math.Exp), each(pos, math.Exp))
	must(t)(e, err)
	q := 1 - math.Pow(0.025, 1./40)
	if e.Value != 0 || p != 1 {
		t.Errorf("the same order: %v, p %v", e, p)
	}
	near(t, "low", e.Low, -q, 1e-12)
	near(t, "high", e.High, q, 1e-12)

	up := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	e, p, err = DeLongPaired(up[:5], up[5:], negated(up[:5]), negated(up[5:]))
	must(t)(e, err)
	half := math.Sqrt(2 * math.Log(2/0.05) / 5)
	near(t, "perfect against reversed", e.Value, 1, 0)
	near(t, "its low end", e.Low, 1-half, 1e-12)
	near(t, "its p", p, 2*math.Exp(-2.5), 1e-12)

	// 20000 rows that differ in one pair: a small variance is still one.
	long, high := make([]float64, 10000), make([]float64, 10000)
	for i := range long {
		long[i], high[i] = float64(i), float64(i)+20000
	}
	other := append([]float64(nil), high...)
	other[0] = 9998.5
	e, p, err = DeLongPaired(long, high, long, other)
	must(t)(e, err)
	near(t, "one pair", e.Value, 1e-8, 1e-15)
	near(t, "its p", p, math.Erfc(1/math.Sqrt(2*2)), 1e-3) // two groups with one odd row each: standard error √2·difference
}
