package drift_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
	"github.com/gimbal-ml/gimbal/method"
)

func mustTable(t testing.TB, n, d int, x []float32) *data.Table {
	t.Helper()
	tab, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// normal draws rows of independent columns.
func normal(t testing.TB, r *rand.Rand, n, d int, shift, spread float64) *data.Table {
	t.Helper()
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(shift + spread*r.NormFloat64())
	}
	return mustTable(t, n, d, x)
}

// fitter is a configuration's Fit with its model's type forgotten.
type fitter func(ctx context.Context, train *data.Table) (method.Model, error)

func as[M method.Model](fit func(context.Context, *data.Table) (M, error)) fitter {
	return func(ctx context.Context, train *data.Table) (method.Model, error) { return fit(ctx, train) }
}

func compare(t testing.TB, fit fitter, reference, window *data.Table) *method.Comparison {
	t.Helper()
	m, err := fit(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.(method.Tester).Test(t.Context(), window)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func close(t testing.TB, what string, have, want, tolerance float64) {
	t.Helper()
	if math.IsNaN(have) || math.Abs(have-want) > tolerance {
		t.Errorf("%s: %.12g, want %.12g ± %g", what, have, want, tolerance)
	}
}

// testers are the tests of tables, with few permutations.
func testers(level float64) map[string]fitter {
	return map[string]fitter{
		"mmd":                 as(drift.MMD{Level: level, Permutations: 199}.Fit),
		"linearmmd":           as(drift.LinearMMD{Level: level, Permutations: 199}.Fit),
		"randomfeaturemmd":    as(drift.RandomFeatureMMD{Level: level, Permutations: 199, Rank: 64}.Fit),
		"energydistance":      as(drift.EnergyDistance{Level: level, Permutations: 199}.Fit),
		"classifiertwosample": as(drift.ClassifierTwoSample{Level: level}.Fit),
		"kolmogorovsmirnov":   as(drift.KolmogorovSmirnov{Level: level}.Fit),
		"cramervonmises":      as(drift.CramerVonMises{Level: level, Permutations: 199}.Fit),
		"wasserstein":         as(drift.Wasserstein{Level: level, Permutations: 199}.Fit),
		"psi":                 as(drift.PSI{Level: level, Permutations: 199}.Fit),
	}
}

// watchers are the alarms on streams.
func watchers(level float64) map[string]fitter {
	return map[string]fitter{
		"cusum":       as(drift.CUSUM{Level: level, Horizon: 500}.Fit),
		"pagehinkley": as(drift.PageHinkley{Level: level, Horizon: 500}.Fit),
		"adwin":       as(drift.ADWIN{Level: level, Horizon: 500}.Fit),
		"martingale":  as(drift.Martingale{Level: level}.Fit),
	}
}

// slow asks for the whole studies.
func slow() bool { return os.Getenv("GIMBAL_SLOW") != "" }

// beyond says whether so many alarms in so many trials are more than the rate explains, by three standard deviations of a binomial.
func beyond(alarms, trials int, rate float64) bool {
	n := float64(trials)
	return float64(alarms) > rate*n+3*math.Sqrt(rate*(1-rate)*n)+1
}

// TestNullPValues: p-values are uniform or above without drift. 1,000 pairs under GIMBAL_SLOW, 60 else.
func TestNullPValues(t *testing.T) {
	trials := 60
	if slow() {
		trials = 1000
	}
	for name, fit := range testers(0.05) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(3, 9))
			below := map[float64]int{0.01: 0, 0.05: 0, 0.25: 0}
			for range trials {
				reference, window := normal(t, r, 40, 3, 0, 1), normal(t, r, 25, 3, 0, 1)
				// Every other one has ties in plenty.
				if r.IntN(2) == 0 {
					reference, window = rounded(t, reference), rounded(t, window)
				}
				c := compare(t, fit, reference, window)
				for level := range below {
					if c.PValue <= level {
						below[level]++
					}
				}
			}
			for level, n := range below {
				if beyond(n, trials, level) {
					t.Errorf("%d of %d p-values at or below %g", n, trials, level)
				}
				if slow() {
					t.Logf("%d of %d p-values at or below %g", n, trials, level)
				}
			}
		})
	}
}

func rounded(t testing.TB, in *data.Table) *data.Table {
	n, d := in.Dims()
	x := slices.Clone(in.X())
	for i, v := range x {
		x[i] = float32(math.Round(float64(v)))
	}
	return mustTable(t, n, d, x)
}

// TestNullStreams: an alarm rings on streams without drift no more often than it promises, with a fresh reference each time. 1,000 streams at either level
// under GIMBAL_SLOW, 25 at 0.05 else.
func TestNullStreams(t *testing.T) {
	trials, levels := 25, []float64{0.05}
	if slow() {
		trials, levels = 1000, []float64{0.01, 0.05}
	}
	for _, level := range levels {
		for name, fit := range watchers(level) {
			t.Run(fmt.Sprint(name, "/", level), func(t *testing.T) {
				t.Parallel()
				for _, columns := range []int{1, 3} {
					r := rand.New(rand.NewPCG(4, uint64(columns)))
					rang := 0
					for range trials {
						m, err := fit(t.Context(), normal(t, r, 200, columns, 2, 3))
						if err != nil {
							t.Fatal(err)
						}
						s := m.(method.Watcher).Watch()
						if err := s.Observe(t.Context(), normal(t, r, 500, columns, 2, 3)); err != nil {
							t.Fatal(err)
						}
						if s.Watched().AlarmRow > 0 {
							rang++
						}
					}
					if beyond(rang, trials, level) {
						t.Errorf("%d of %d streams of %d columns rang, promised is %g", rang, trials, columns, level)
					}
					if slow() {
						t.Logf("%d of %d streams of %d columns rang, promised is %g", rang, trials, columns, level)
					}
				}
			})
		}
	}
}

// TestPowerGrowsWithShift: larger shifts are found more often, and large ones nearly always.
func TestPowerGrowsWithShift(t *testing.T) {
	const trials = 20
	for name, fit := range testers(0.05) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var found []int
			for _, shift := range []float64{0, 0.4, 0.8, 1.6} {
				r := rand.New(rand.NewPCG(5, 5)) // the same noise for every shift
				n := 0
				for range trials {
					if compare(t, fit, normal(t, r, 60, 2, 0, 1), normal(t, r, 40, 2, shift, 1)).Drift {
						n++
					}
				}
				found = append(found, n)
			}
			for i := range found[1:] {
				if found[i+1] < found[i]-2 {
					t.Errorf("found %v of %d", found, trials)
				}
			}
			if found[3] < trials-1 || beyond(found[0], trials, 0.05) {
				t.Errorf("found %v of %d", found, trials)
			}
		})
	}
}

// TestDelayAndVisibleShift: larger shifts ring sooner, and a shift of the size that the model calls visible, in the middle of what it
// promises for, is found about four times out of five: at least six tenths and with no more than half of the size in less than nine tenths.
func TestDelayAndVisibleShift(t *testing.T) {
	const trials = 40
	for name, fit := range watchers(0.05) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(6, 6))
			m, err := fit(t.Context(), normal(t, r, 400, 1, 0, 1))
			if err != nil {
				t.Fatal(err)
			}
			w := m.(method.Watcher).Watch().Watched()
			before := w.Within
			if w.Horizon == 0 { // from the first row on
				before = 0
			}
			run := func(shift float64) (found int, delay float64) {
				for range trials {
					s := m.(method.Watcher).Watch()
					for _, part := range []*data.Table{normal(t, r, before, 1, 0, 1), normal(t, r, w.Within, 1, shift, 1)} {
						if err := s.Observe(t.Context(), part); err != nil {
							t.Fatal(err)
						}
					}
					if row := s.Watched().AlarmRow; row > before {
						found++
						delay += float64(row - before)
					}
				}
				return found, delay / float64(found)
			}
			found, delay := run(w.Visible)
			more, sooner := run(3 * w.Visible)
			fewer, _ := run(w.Visible / 3)
			t.Logf("visible shift %.2f within %d rows: %d of %d found after %.0f rows; three times that: %d after %.0f; a third: %d", w.Visible, w.Within, found, trials, delay, more, sooner, fewer)
			if found < trials*6/10 || fewer > trials*7/10 || more < trials*9/10 || sooner >= delay {
				t.Errorf("found %d, %d and %d of %d at 1/3, 1 and 3 times the visible shift of %.2f; delays %.0f and %.0f", fewer, found, more, trials, w.Visible, delay, sooner)
			}
		})
	}
}

// golden reads a file of named matrices.
func golden(t testing.TB, path string) (map[string][]float64, map[string]int) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values, columns := map[string][]float64{}, map[string]int{}
	for line := range strings.Lines(string(raw)) {
		words := strings.Fields(line)
		if words[0] == "#" {
			continue
		}
		columns[words[0]], _ = strconv.Atoi(words[1])
		for _, w := range words[2:] {
			x, err := strconv.ParseFloat(w, 64)
			if err != nil {
				t.Fatal(err)
			}
			values[words[0]] = append(values[words[0]], x)
		}
	}
	return values, columns
}

// scipySamples are the samples of testdata/peers.txt, one column of them.
func scipySamples(t testing.TB, column int) (reference, window *data.Table, say func(name string) []float64) {
	v, _ := golden(t, "testdata/peers.txt")
	take := func(name string) *data.Table {
		var x []float32
		for i := column; i < len(v[name]); i += 2 {
			x = append(x, float32(v[name][i]))
		}
		return mustTable(t, len(x), 1, x)
	}
	return take("reference"), take("window"), func(name string) []float64 { return v[fmt.Sprint(name, ".", column)] }
}

// subsets calls f with every choice of k of n rows.
func subsets(n, k int, f func(chosen []int)) {
	var chosen []int
	var walk func(from int)
	walk = func(from int) {
		if len(chosen) == k {
			f(chosen)
			return
		}
		for i := from; i < n; i++ {
			chosen = append(chosen, i)
			walk(i + 1)
			chosen = chosen[:len(chosen)-1]
		}
	}
	walk(0)
}

// enumerated is the share of all relabellings whose statistic, measured by brute force, is at least the observed one.
func enumerated(a, b [][]float64, statistic func(a, b [][]float64) float64) float64 {
	pool := slices.Concat(a, b)
	observed := statistic(a, b)
	all, as := 0, 0
	subsets(len(pool), len(b), func(chosen []int) {
		var x, y [][]float64
		for i, row := range pool {
			if slices.Contains(chosen, i) {
				y = append(y, row)
			} else {
				x = append(x, row)
			}
		}
		all++
		if statistic(x, y) >= observed-1e-12 {
			as++
		}
	})
	return float64(as) / float64(all)
}

func rowsOf(in *data.Table) (out [][]float64) {
	n, _ := in.Dims()
	for i := range n {
		var row []float64
		for _, v := range in.Row(i) {
			row = append(row, float64(v))
		}
		out = append(out, row)
	}
	return out
}

// meanKernel is the mean of a function over all pairs.
func meanKernel(a, b [][]float64, k func(squared float64) float64) (sum float64) {
	for _, x := range a {
		for _, y := range b {
			s := 0.0
			for j := range x {
				s += (x[j] - y[j]) * (x[j] - y[j])
			}
			sum += k(s)
		}
	}
	return sum / float64(len(a)*len(b))
}

// TestHardCases: what columns that say nothing, copies, ties and single rows make of every test.
func TestHardCases(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	reference := normal(t, r, 30, 2, 0, 1)
	constant := mustTable(t, 5, 2, slices.Repeat([]float32{3, 3}, 5))
	for name, fit := range testers(0.05) {
		if c := compare(t, fit, constant, constant); c.PValue != 1 || c.Drift {
			t.Errorf("%s: equal rows against equal rows: p = %v", name, c.PValue)
		}
		if c := compare(t, fit, reference, reference); c.PValue < 0.5 {
			t.Errorf("%s: a sample against itself: p = %v", name, c.PValue)
		}
		m, err := fit(t.Context(), reference)
		if err != nil {
			t.Fatal(err)
		}
		c, err := m.(method.Tester).Test(t.Context(), reference.Slice(0, 1))
		if err == nil && c.PValue < 1.0/31 {
			t.Errorf("%s: one row in 31 cannot be rarer than that: p = %v", name, c.PValue)
		}
		if _, err := m.(method.Tester).Test(t.Context(), reference.Slice(0, 0)); err == nil {
			t.Errorf("%s: an empty window is answered", name)
		}
	}
}

func TestCorrections(t *testing.T) {
	// Ten columns, one of which moved: the parts say which, and the correction costs what it must.
	r := rand.New(rand.NewPCG(8, 8))
	reference, window := normal(t, r, 80, 10, 0, 1), normal(t, r, 60, 10, 0, 1)
	x := slices.Clone(window.X())
	for i := range 60 {
		x[i*10+6] += 1.5
	}
	window = mustTable(t, 60, 10, x)
	bh := compare(t, as(drift.KolmogorovSmirnov{}.Fit), reference, window)
	bonferroni := compare(t, as(drift.KolmogorovSmirnov{Correction: "bonferroni"}.Fit), reference, window)
	least := math.Inf(1)
	for j, p := range bh.Parts {
		if p.Drift != (j == 6) {
			t.Errorf("%s: drift %v, p-value %v", p.Name, p.Drift, p.PValue)
		}
		least = min(least, p.PValue)
		close(t, "Bonferroni", bonferroni.Parts[j].Corrected, min(1, 10*p.PValue), 1e-15)
	}
	close(t, "Bonferroni over all", bonferroni.PValue, 10*least, 1e-15)
	// Simes' p-value by its definition.
	var p []float64
	for _, part := range bh.Parts {
		p = append(p, part.PValue)
	}
	slices.Sort(p)
	simes := 1.0
	for i, v := range p {
		simes = min(simes, v*10/float64(i+1))
	}
	close(t, "Simes", bh.PValue, simes, 1e-15)
	if e := bh.Parts[6].Effect; !e.Contains(1.2) || e.Contains(0.3) { // 1.5 over the pooled spread, √(1 + 1.5²·0.57·0.43)
		t.Errorf("effect of the moved column: %v", e)
	}
}
