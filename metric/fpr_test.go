package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// TestFPR95Conventions pins the definition trap: 20 known rows at 1..20, 20 unknown ones, two at 10.5 and 18 at 30.
// Unknown as positive: 19 of 20 need the threshold 10.5, and the known rows 11..20 raise alarms: 1/2.
// Known as positive: 19 of 20 are at most 19, and the two unknown rows at 10.5 pass: 1/10.
func TestFPR95Conventions(t *testing.T) {
	var in, out []float64
	for i := range 20 {
		in, out = append(in, float64(i+1)), append(out, 30)
	}
	out[0], out[1] = 10.5, 10.5
	near(t, "out positive", must(t)(FPR95OutPositive(in, out)).Value, 0.5, 0)
	near(t, "in positive", must(t)(FPR95InPositive(in, out)).Value, 0.1, 0)
}

// TestFPRKeepsAllPoints pins another: 20 scores, a positive and a negative at each. The first point with a rate of 0.95 is the 19th, FPR 0.95; a ROC curve
// whose points on straight lines were dropped (scikit-learn's default) has only its end left and gives 1.
func TestFPRKeepsAllPoints(t *testing.T) {
	var x []float64
	for i := range 20 {
		x = append(x, float64(i))
	}
	near(t, "FPR95", must(t)(FPR95OutPositive(x, x)).Value, 0.95, 0)
	near(t, "FPR at TPR 1", must(t)(FPRAtTPR(x, x, 1)).Value, 1, 0)
	near(t, "FPR at a TPR just above 0.95", must(t)(FPRAtTPR(x, x, math.Nextafter(0.95, 1))).Value, 1, 0)
	near(t, "FPR at a tiny TPR", must(t)(FPRAtTPR(x, x, 1e-300)).Value, 0.05, 0)
}

// TestFPRAgainstThresholds takes the largest threshold that lets enough positives through, by trying all.
func TestFPRAgainstThresholds(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 2))
	for range 100 {
		negative, positive := coarse(normal(r, 1+r.IntN(25), 0)), coarse(normal(r, 1+r.IntN(25), 1))
		tpr := 1 - r.Float64()
		best := 0.0
		thresholds := slices.Clone(positive)
		slices.Sort(thresholds)
		share := func(x []float64, c float64) float64 {
			count := 0
			for _, v := range x {
				if v >= c {
					count++
				}
			}
			return float64(count) / float64(len(x))
		}
		for _, c := range thresholds {
			if share(positive, c) >= tpr {
				best = share(negative, c)
			}
		}
		near(t, "FPR", must(t)(FPRAtTPR(negative, positive, tpr, valueOnly)).Value, best, 1e-15)
	}
}

// TestFPRInterval draws from the two distributions that the interval mixes and compares quantiles.
func TestFPRInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 2))
	negative, positive := coarse(normal(r, 80, 0)), coarse(normal(r, 150, 1.5))
	const tpr, draws = 0.9, 40000
	e := must(t)(FPRAtTPR(negative, positive, tpr, Interval{Level: 0.9}))
	sorted := slices.Clone(positive)
	slices.Sort(sorted)
	atOrAbove := func(j int) float64 { // negatives at or above the j-th lowest positive
		switch {
		case j == 0:
			return float64(len(negative))
		case j > len(sorted):
			return 0
		}
		count := 0.0
		for _, v := range negative {
			if v >= sorted[j-1] {
				count++
			}
		}
		return count
	}
	beta := func(a, b float64) float64 {
		switch {
		case a == 0:
			return 0
		case b == 0:
			return 1
		}
		return distuv.Beta{Alpha: a, Beta: b, Src: r}.Rand()
	}
	n := float64(len(negative))
	var lower, upper []float64
	for range draws {
		below := 0
		for range positive {
			if r.Float64() < 1-tpr {
				below++
			}
		}
		c := atOrAbove(below)
		upper = append(upper, beta(c+1, n-c))
		c = atOrAbove(below + 1)
		lower = append(lower, beta(c, n-c+1))
	}
	slices.Sort(lower)
	slices.Sort(upper)
	// A quantile of 40000 draws has a standard error of √(0.05·0.95/40000)/density, below 0.002 here.
	near(t, "low", e.Low, lower[draws*5/100], 0.008)
	near(t, "high", e.High, upper[draws*95/100], 0.008)
}

// TestFPRIntervalEnds: with fewer than 72 positives none may be among the lowest 5 % (0.95^71 > 0.025), so nothing bounds the rate from above; the lower end
// with TPR 1 is Clopper and Pearson's for the negatives above the lowest positive.
func TestFPRIntervalEnds(t *testing.T) {
	negative := make([]float64, 50)
	for i := range negative {
		negative[i] = float64(i)
	}
	ones := func(n int) []float64 { return each(make([]float64, n), func(float64) float64 { return 100 }) }
	if e := must(t)(FPR95OutPositive(negative, ones(71))); e.Value != 0 || e.Low != 0 || e.High != 1 {
		t.Errorf("71 positives: %v, want 0 [0, 1]", e)
	}
	if e := must(t)(FPR95OutPositive(negative, ones(72))); e.High > 0.9 {
		t.Errorf("72 positives: %v, want less than 1", e)
	}
	if e := must(t)(FPR95OutPositive(negative, ones(5000))); math.Abs(e.High-(1-math.Pow(0.025, 1./50))) > 1e-9 {
		t.Errorf("5000 positives: %v, want the bound of 0 in 50", e)
	}
	e := must(t)(FPRAtTPR(negative, []float64{40, 60}, 1))
	near(t, "TPR 1", e.Value, 0.2, 0)
	near(t, "TPR 1, low", e.Low, distuv.Beta{Alpha: 10, Beta: 41}.Quantile(0.025), 1e-9)
	near(t, "TPR 1, high", e.High, 1, 0)
}

func TestBinomial(t *testing.T) {
	for _, c := range []struct {
		n int
		p float64
	}{{1, 0.5}, {7, 0.05}, {300, 0.95}, {5000, 0.05}, {4, 0}, {4, 1}} {
		sum := 0.0
		for j, w := range binomial(c.n, c.p) {
			sum += w
			want := distuv.Binomial{N: float64(c.n), P: c.p}.Prob(float64(j))
			switch c.p { // there gonum takes logarithms of 0
			case 0:
				want = map[bool]float64{true: 1}[j == 0]
			case 1:
				want = map[bool]float64{true: 1}[j == c.n]
			}
			near(t, "binomial", w, want, 1e-11)
		}
		near(t, "sum", sum, 1, 1e-14)
	}
}
