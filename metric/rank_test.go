package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestOrderKeysKeepTheOrder(t *testing.T) {
	ascending := []float64{math.Inf(-1), -math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, math.Nextafter(1, 2), math.MaxFloat64, math.Inf(1)}
	keys := orderKeys(ascending)
	for i := 1; i < len(keys); i++ {
		if keys[i-1] >= keys[i] {
			t.Errorf("key(%v) = %x, key(%v) = %x", ascending[i-1], keys[i-1], ascending[i], keys[i])
		}
	}
	if zero := orderKeys([]float64{math.Copysign(0, -1), 0}); zero[0] != zero[1] {
		t.Error("−0 and +0 have different keys")
	}
}

func TestSortKeys(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for name, draw := range map[string]func() uint64{
		"any":        r.Uint64,
		"few values": func() uint64 { return r.Uint64N(5) << 40 },
		"one value":  func() uint64 { return 7 },
		"low digit":  func() uint64 { return 1<<60 + r.Uint64N(1<<digitBits) },
		"top digit":  func() uint64 { return r.Uint64() &^ (1<<55 - 1) },
	} {
		for _, n := range []int{0, 1, 2, radixLeast - 1, radixLeast, 3 * radixLeast} {
			keys := make([]uint64, n)
			for i := range keys {
				keys[i] = draw()
			}
			want := slices.Clone(keys)
			slices.Sort(want)
			if got := sortKeys(keys); !slices.Equal(got, want) {
				t.Errorf("%s: %d keys are not sorted", name, n)
			}
		}
	}
}

// TestRankMetricsReadOrderOnly: a strictly increasing transform, another order of the rows, or −0 for 0 changes no bit of value and interval.
func TestRankMetricsReadOrderOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	negative, positive := coarse(normal(r, 60, 0)), coarse(normal(r, 40, 1))
	how := Interval{Resamples: 60, Seed: 5}
	transforms := map[string]func(float64) float64{
		"exp":    math.Exp,
		"affine": func(v float64) float64 { return 1e9*v - 3 },
		"sign of 0": func(v float64) float64 {
			if v == 0 {
				return math.Copysign(0, -1)
			}
			return v
		},
	}
	for name, f := range rankMetrics {
		if name == "DeLongPaired" {
			continue // here its second scorer rounds the first one's scores; see TestDeLongPairedWithoutVariance
		}
		base := must(t)(f(negative, positive, how))
		for transform, g := range transforms {
			if got := must(t)(f(each(negative, g), each(positive, g), how)); got != base {
				t.Errorf("%s after %s: %+v, want %+v", name, transform, got, base)
			}
		}
		if got := must(t)(f(shuffled(r, negative), shuffled(r, positive), how)); got != base {
			t.Errorf("%s in another row order: %+v, want %+v", name, got, base)
		}
	}
}

// TestInfiniteScoresAreScores: scores beyond ±1.25 count alike whether they are ±1.5 or ±Inf.
func TestInfiniteScoresAreScores(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	negative, positive := normal(r, 60, 0), normal(r, 40, 1)
	ends := func(end float64) func(float64) float64 {
		return func(v float64) float64 {
			if math.Abs(v) < 1.25 {
				return v
			}
			return math.Copysign(end, v)
		}
	}
	for name, f := range rankMetrics {
		how := Interval{Resamples: 39}
		finite := must(t)(f(each(negative, ends(1.5)), each(positive, ends(1.5)), how))
		infinite := must(t)(f(each(negative, ends(math.Inf(1))), each(positive, ends(math.Inf(1))), how))
		if finite != infinite {
			t.Errorf("%s: %+v with infinite ends, %+v with finite ones", name, infinite, finite)
		}
	}
}

// TestRolesSwap: what is measured with the positive class in distribution is the same as with scores and groups turned round.
func TestRolesSwap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	in, out := coarse(normal(r, 50, 0)), coarse(normal(r, 70, 1))
	how := Interval{Resamples: 60}
	for _, pair := range [][2]string{{"AUPRIn", "AUPROut"}, {"FPR95InPositive", "FPR95OutPositive"}, {"AUROC", "AUROC"}} {
		a := must(t)(rankMetrics[pair[0]](in, out, how))
		b := must(t)(rankMetrics[pair[1]](negated(out), negated(in), how))
		if pair[0] == "AUROC" {
			near(t, "low", a.Low, b.Low, 1e-15)
			near(t, "high", a.High, b.High, 1e-15)
			a.Low, a.High = b.Low, b.High
		}
		if a != b {
			t.Errorf("%s = %+v, %s of the negated = %+v", pair[0], a, pair[1], b)
		}
	}
	a, b := must(t)(AUROC(in, out)), must(t)(AUROC(out, in))
	near(t, "AUROC + AUROC with groups swapped", a.Value+b.Value, 1, 1e-15)
	near(t, "its low end", a.Low, 1-b.High, 1e-14)
	near(t, "its high end", a.High, 1-b.Low, 1e-14)
}

// TestResultsDoNotChangeTheirInput guards the sorting.
func TestResultsDoNotChangeTheirInput(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	negative, positive := normal(r, 5000, 0), normal(r, 5000, 1)
	n, p := slices.Clone(negative), slices.Clone(positive)
	for name, f := range rankMetrics {
		must(t)(f(negative, positive, Interval{Resamples: 39}))
		if !slices.Equal(n, negative) || !slices.Equal(p, positive) {
			t.Fatalf("%s changed its input", name)
		}
	}
}
