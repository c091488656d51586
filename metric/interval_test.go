package metric

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

func TestEstimatePrints(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct{ got, want string }{
		{Estimate{0.93412, 0.92804, 0.94018, 0.95}.Percent(2), "93.41 [92.80, 94.02]"},
		{Estimate{0.93412, 0.92804, 0.94018, 0.95}.String(), "0.9341 [0.9280, 0.9402]"},
		{Estimate{0.93412, 0.92804, 0.94018, 0.95}.Plain(3), "0.934 [0.928, 0.940]"},
		{Estimate{1, 0.5, 1, 0.95}.Percent(0), "100 [50, 100]"},
		{Estimate{-0.00001, -0.05, 0.00001, 0.95}.Plain(4), "0.0000 [-0.0500, 0.0000]"},
		{Estimate{0.5, -inf, inf, 0.95}.Percent(2), "50.00 (no interval)"},
		{Estimate{0, 0, inf, 0.95}.Plain(2), "0.00 [0.00, inf]"},
		{Estimate{0, -inf, 0, 0.95}.Plain(2), "0.00 [-inf, 0.00]"},
		{Estimate{2, 1, 3, 0.95}.Plain(-1), "2 [1, 3]"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestEstimateContains(t *testing.T) {
	e := Estimate{0.1, 0, 0.2, 0.95}
	if !e.Contains(0) || !e.Contains(0.2) || e.Contains(-1e-9) || e.Contains(0.21) {
		t.Error("Contains disagrees with the ends")
	}
}

func TestEstimateJSON(t *testing.T) {
	for _, e := range []Estimate{{0.5, 0.25, 0.75, 0.9}, {2, math.Inf(-1), math.Inf(1), 0.95}, {2, 1, math.Inf(1), 0.95}} {
		b, err := json.Marshal(map[string]Estimate{"auroc": e})
		if err != nil {
			t.Fatal(err)
		}
		var back map[string]Estimate
		if err := json.Unmarshal(b, &back); err != nil || back["auroc"] != e {
			t.Errorf("%+v came back as %+v (%v) through %s", e, back["auroc"], err, b)
		}
	}
	if b, _ := json.Marshal(Estimate{0.5, math.Inf(-1), 0.75, 0.9}); string(b) != `{"value":0.5,"low":null,"high":0.75,"level":0.9}` {
		t.Errorf("wire form %s", b)
	}
	if err := new(Estimate).UnmarshalJSON([]byte(`{"value":"x"}`)); err == nil {
		t.Error("a word was read as a value")
	}
}

func TestLeastResamples(t *testing.T) {
	for level, want := range map[float64]int{0.5: 3, 0.9: 19, 0.95: 39, 0.99: 199, 0.999: 1999} {
		if got := leastResamples(level); got != want {
			t.Errorf("level %v needs %d resamples, want %d", level, got, want)
		}
	}
}

// TestTails: of 39 replicas 1..39 the 2.5 % tails are the ends; of 999 they are the 25th from either side.
func TestTails(t *testing.T) {
	h, err := settle("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]float64{39: 1, 79: 2, 999: 25, 199: 5} {
		replicas := make([]float64, n)
		for i := range replicas {
			replicas[i] = float64(n - i)
		}
		low, high := h.tails(replicas)
		near(t, "low", low, want, 1e-9)
		near(t, "high", high, float64(n+1)-want, 1e-9)
	}
	low, _ := h.tails([]float64{0, 1, 2, 3})
	near(t, "beyond the replicas", low, 0, 0)
}

// TestBootstrapDrawsEveryRowAlike: how often row 0 is drawn of two is Binomial(2, 1/2).
func TestBootstrapDrawsEveryRowAlike(t *testing.T) {
	counts := make([]int, 3)
	h := Interval{Resamples: 20000}
	tally := make(chan int, h.Resamples+1)
	if _, err := h.Bootstrap(2, func(index []int) float64 {
		zeros := 0
		for _, i := range index {
			if i == 0 {
				zeros++
			}
		}
		tally <- zeros
		return float64(zeros)
	}); err != nil {
		t.Fatal(err)
	}
	close(tally)
	<-tally // the value itself, on rows 0 and 1
	for zeros := range tally {
		counts[zeros]++
	}
	for zeros, share := range []float64{0.25, 0.5, 0.25} {
		near(t, "share of resamples", float64(counts[zeros])/20000, share, 0.015) // 4 standard errors
	}
}

// TestBootstrapOfMean: for many rows the percentile interval of a mean is the normal one.
func TestBootstrapOfMean(t *testing.T) {
	x := normal(rand.New(rand.NewPCG(1, 4)), 3000, 5)
	e := must(t)(Interval{Resamples: 4000, Seed: 9}.Bootstrap(len(x), func(index []int) float64 {
		sum := 0.0
		for _, i := range index {
			sum += x[i]
		}
		return sum / float64(len(index))
	}))
	exact := must(t)(Mean(x))
	near(t, "value", e.Value, exact.Value, 1e-12)
	near(t, "low", e.Low, exact.Low, 0.17*(exact.High-exact.Low)/2)
	near(t, "high", e.High, exact.High, 0.17*(exact.High-exact.Low)/2)
}

// TestBootstrapIsSeeded: equal seeds give equal bits, other seeds other resamples, and the package function is the method at its default.
func TestBootstrapIsSeeded(t *testing.T) {
	x := normal(rand.New(rand.NewPCG(2, 4)), 40, 0)
	median := func(index []int) float64 {
		picked := make([]float64, len(index))
		for k, i := range index {
			picked[k] = x[i]
		}
		slices.Sort(picked)
		return picked[len(picked)/2]
	}
	a, b := must(t)(Bootstrap(3, len(x), median)), must(t)(Interval{Seed: 3, Resamples: 1000, Level: 0.95}.Bootstrap(len(x), median))
	if a != b {
		t.Errorf("%+v and %+v from one seed", a, b)
	}
	mean := func(index []int) float64 {
		sum := 0.0
		for _, i := range index {
			sum += x[i]
		}
		return sum
	}
	if a, b := must(t)(Bootstrap(3, len(x), mean)), must(t)(Bootstrap(4, len(x), mean)); a == b {
		t.Errorf("seeds 3 and 4 both give %+v", a)
	}
}

// TestThreadsDoNotMatter runs every metric with one and with eight threads.
func TestThreadsDoNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	negative, positive := normal(r, 70, 0), normal(r, 50, 1)
	p, y := forecast(r, 60, 3, 2)
	how := Interval{Resamples: 101, Seed: 8}
	run := func(threads int) map[string]Estimate {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(threads))
		all := map[string]Estimate{}
		for name, f := range rankMetrics {
			all[name] = must(t)(f(negative, positive, how))
		}
		for name, f := range rowMetrics {
			all[name] = must(t)(f(p, 3, y, how))
		}
		all["Bootstrap"] = must(t)(how.Bootstrap(len(negative), func(index []int) float64 {
			sum := 0.0
			for k, i := range index {
				sum += float64(k) * negative[i]
			}
			return sum
		}))
		return all
	}
	one, eight := run(1), run(8)
	for name, e := range one {
		if eight[name] != e {
			t.Errorf("%s: %+v on one thread, %+v on eight", name, e, eight[name])
		}
	}
}

// TestIntervalReachesEveryMetric: Level, Seed and ValueOnly change what they should, and no value.
func TestIntervalReachesEveryMetric(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	negative, positive := normal(r, 70, 0), normal(r, 120, 1)
	p, y := forecast(r, 60, 3, 2)
	run := map[string]func(how ...Interval) (Estimate, error){}
	for name, f := range rankMetrics {
		run[name] = func(how ...Interval) (Estimate, error) { return f(negative, positive, how...) }
	}
	for name, f := range rowMetrics {
		run[name] = func(how ...Interval) (Estimate, error) { return f(p, 3, y, how...) }
	}
	run["Mean"] = func(how ...Interval) (Estimate, error) { return Mean(negative, how...) }
	run["PairedMean"] = func(how ...Interval) (Estimate, error) { return PairedMean(negative, positive[:70], how...) }
	run["Proportion"] = func(how ...Interval) (Estimate, error) { return Proportion(7, 20, how...) }
	run["LastAccuracy"] = func(how ...Interval) (Estimate, error) {
		other := threeTasks()
		other.Accuracy[2][0] = 0.5
		return LastAccuracy([]ContinualRun{threeTasks(), other}, how...)
	}
	seeded := map[string]bool{"AUPROut": true, "AUPRIn": true, "AveragePrecision": true, "NLL": true, "LogitNLL": true, "Brier": true, "ECE": true,
		"BinnedECE(mass)": true, "ClasswiseECE": true, "MaximumCalibrationError": true, "BalancedAccuracy": true, "MacroF1": true}
	for name, f := range run {
		base := must(t)(f())
		if base.Level != 0.95 {
			t.Errorf("%s: level %v by default", name, base.Level)
		}
		narrow := must(t)(f(Interval{Level: 0.5}))
		if narrow.Level != 0.5 || narrow.Value != base.Value || !(narrow.High-narrow.Low < base.High-base.Low) {
			t.Errorf("%s: level 0.5 gives %+v, level 0.95 %+v", name, narrow, base)
		}
		if alone := must(t)(f(valueOnly)); alone.HasInterval() || alone.Value != base.Value {
			t.Errorf("%s: ValueOnly gives %+v, want the value of %+v", name, alone, base)
		}
		other := must(t)(f(Interval{Seed: 1}))
		if other.Value != base.Value || (other != base) != seeded[name] {
			t.Errorf("%s: seed 0 gives %+v, seed 1 %+v; seeded %v", name, base, other, seeded[name])
		}
	}
}
