package moments

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// toy makes n rows of d columns around 1e6 in column 0, with k classes and one target; some values are wild when wild is set.
func toy(t testing.TB, seed uint64, n, d, k int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n*d)
	names := make([]string, n)
	target := make([]float64, n)
	for i := range n {
		c := r.IntN(k)
		names[i] = fmt.Sprint(c)
		for j := range d {
			x[i*d+j] = float32((r.NormFloat64() + float64(c)) * math.Ldexp(1, j-3))
		}
		x[i*d] = float32(1e6 + r.NormFloat64())
		target[i] = r.NormFloat64() + float64(x[i*d+d-1])
	}
	tab, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		t.Fatal(err)
	}
	if tab, err = tab.WithTargets([][]float64{target}); err != nil {
		t.Fatal(err)
	}
	return tab
}

func fit(t testing.TB, tab *data.Table, o Options) *State {
	t.Helper()
	s, err := FromSource(t.Context(), tab, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSumsEqualBigIntegers(t *testing.T) {
	for _, perClass := range []bool{false, true} {
		tab := toy(t, 1, 1500, 5, 3)
		// Values far beyond the grid come later, through a state made like one that never saw them.
		s := fit(t, tab, Options{PerClass: perClass})
		wild := slices.Clone(tab.Slice(0, 40).X())
		for i, v := range []float32{math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1e20, -3e9} {
			wild[i*5+i%5] = v
			wild[(i+7)*5+2] = -v
		}
		w, err := data.NewTable(40, 5, wild)
		if err != nil {
			t.Fatal(err)
		}
		w, _ = w.WithLabels(make([]int, 40), []string{"0"})
		w, _ = w.WithTargets([][]float64{slices.Repeat([]float64{1e30, -7}, 20)})
		if err := s.Observe(w); err != nil {
			t.Fatal(err)
		}
		s.flush()

		// The oracle grids each value and multiplies in big integers.
		p := s.p()
		products := make([]*big.Int, packed(p))
		sums := map[string][]*big.Int{}
		for i := range products {
			products[i] = new(big.Int)
		}
		for _, tb := range []*data.Table{tab, w} {
			n, _ := tb.Dims()
			for i := range n {
				row := make([]*big.Int, p)
				q := 0.0
				lanes := [8]float64{}
				for j := range p - 1 {
					v := 0.0
					if j < s.d {
						v = float64(tb.Row(i)[j])
					} else {
						v = tb.Targets()[j-s.d][i]
					}
					k := math.RoundToEven(math.Ldexp(v, -s.grid.Exponent[j]) - float64(s.grid.Origin[j]))
					row[j], _ = big.NewFloat(k).Int(nil)
					if j < s.d {
						z := math.Ldexp(k, s.grid.Exponent[j]-s.grid.norm/2)
						lanes[j] += z * z
					}
				}
				q = ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) + ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]))
				row[p-1], _ = big.NewFloat(math.RoundToEven(q)).Int(nil)
				name := tb.ClassName(i)
				if sums[name] == nil {
					for range p {
						sums[name] = append(sums[name], new(big.Int))
					}
				}
				for a := range p {
					sums[name][a].Add(sums[name][a], row[a])
					for b := a; b < p; b++ {
						products[at(p, a, b)].Add(products[at(p, a, b)], new(big.Int).Mul(row[a], row[b]))
					}
				}
			}
		}
		for i, want := range products {
			if got := s.scatterAll().big(i); got.Cmp(want) != 0 {
				t.Fatalf("perClass %v, product %d: %v, want %v", perClass, i, got, want)
			}
		}
		for name, want := range sums {
			for j := range p {
				if got := s.classes[name].sums.big(j); got.Cmp(want[j]) != 0 {
					t.Fatalf("class %s, sum %d: %v, want %v", name, j, got, want[j])
				}
			}
		}
		back, err := FromCheckpoint(s.Checkpoint())
		if err != nil || back.Hash() != s.Hash() {
			t.Fatalf("saved state differs: %v", err)
		}
	}
}

func TestLawOfOneHash(t *testing.T) {
	for _, perClass := range []bool{false, true} {
		tab := toy(t, 2, 3000, 7, 4)
		want := fit(t, tab, Options{PerClass: perClass})
		check := func(what string, s *State) {
			t.Helper()
			if s.Hash() != want.Hash() {
				t.Errorf("perClass %v: %s changes the hash", perClass, what)
			}
		}
		r := rand.New(rand.NewPCG(3, 3))
		for range 3 {
			check("a permutation", fit(t, tab.Pick(r.Perm(3000)), Options{PerClass: perClass}))
		}
		for _, threads := range []int{1, 2, 8} {
			old := runtime.GOMAXPROCS(threads)
			check(fmt.Sprint(threads, " threads"), fit(t, tab, Options{PerClass: perClass}))
			runtime.GOMAXPROCS(old)
		}
		for range 3 {
			cuts := []int{0, r.IntN(3000), r.IntN(3000), r.IntN(3000), 3000}
			slices.Sort(cuts)
			order := r.Perm(4)
			s := want.Empty()
			for _, k := range order {
				part := fit(t, tab.Slice(cuts[k], cuts[k+1]), Options{PerClass: perClass, Like: want})
				if err := s.Merge(part); err != nil {
					t.Fatal(err)
				}
			}
			check("a split", s)
		}
		more := toy(t, 9, 700, 7, 6)
		s := want.Clone()
		if err := s.Observe(more); err != nil {
			t.Fatal(err)
		}
		if s.Hash() == want.Hash() {
			t.Error("more rows leave the hash as it was")
		}
		if err := s.Forget(more.Pick(r.Perm(700))); err != nil {
			t.Fatal(err)
		}
		check("add then forget", s)
		if err := s.Forget(tab); err != nil {
			t.Fatal(err)
		}
		if s.Hash() != want.Empty().Hash() || s.Rows() != 0 {
			t.Error("a state that forgot everything is not the empty one")
		}
	}
}

func TestForgetRefusesRowsNeverSeen(t *testing.T) {
	tab := toy(t, 4, 500, 3, 2)
	s := fit(t, tab, Options{})
	before := s.Hash()
	stranger := toy(t, 5, 600, 3, 2)
	if err := s.Forget(stranger); !errors.Is(err, data.ErrShape) {
		t.Errorf("more rows than held: %v", err)
	}
	labels, _ := tab.Labels()
	x := slices.Clone(tab.X())
	x[0] += 0.5
	other, _ := data.NewTable(500, 3, x)
	other, _ = other.WithLabels(labels, tab.Classes())
	other, _ = other.WithTargets(tab.Targets())
	if err := s.Forget(other); !errors.Is(err, data.ErrShape) {
		t.Errorf("all rows, one changed: %v", err)
	}
	if s.Hash() != before {
		t.Error("a refused forget changed the state")
	}
}

// moments about the mean by the definition, in big rationals over the exact float32 values.
func exactCovariance(tab *data.Table, rows []int) []float64 {
	_, d := tab.Dims()
	n := big.NewRat(int64(len(rows)), 1)
	mean := make([]*big.Rat, d)
	for j := range d {
		mean[j] = new(big.Rat)
		for _, i := range rows {
			mean[j].Add(mean[j], new(big.Rat).SetFloat64(float64(tab.Row(i)[j])))
		}
		mean[j].Quo(mean[j], n)
	}
	c := make([]float64, d*d)
	for a := range d {
		for b := range d {
			s := new(big.Rat)
			for _, i := range rows {
				x := new(big.Rat).Sub(new(big.Rat).SetFloat64(float64(tab.Row(i)[a])), mean[a])
				y := new(big.Rat).Sub(new(big.Rat).SetFloat64(float64(tab.Row(i)[b])), mean[b])
				s.Add(s, x.Mul(x, y))
			}
			c[a*d+b], _ = s.Quo(s, n).Float64()
		}
	}
	return c
}

func TestCovariancesFarFromZero(t *testing.T) {
	n, d := 400, 3
	r := rand.New(rand.NewPCG(7, 7))
	for _, far := range []float64{0, 1e6, 1e8} {
		x := make([]float32, n*d)
		names := make([]string, n)
		for i := range n {
			names[i] = fmt.Sprint(i % 3)
			for j := range d {
				x[i*d+j] = float32(far + r.NormFloat64()*20 + float64(i%3))
			}
		}
		tab, _ := data.NewTable(n, d, x)
		tab, _ = tab.WithClassNames(names)
		s := fit(t, tab, Options{PerClass: true})
		var all []int
		byClass := make([][]int, 3)
		for i := range n {
			all = append(all, i)
			byClass[i%3] = append(byClass[i%3], i)
		}
		// The grid resolves 2^-22 of the half range: values near it are off by 2^-23 at most, and far away not at all.
		close := func(what string, got, want []float64) {
			t.Helper()
			for i := range want {
				if math.Abs(got[i]-want[i]) > 1e-4*math.Max(1, math.Abs(want[i])) {
					t.Fatalf("far %g: %s entry %d is %.9g, want %.9g", far, what, i, got[i], want[i])
				}
			}
		}
		close("covariance", s.Covariance(), exactCovariance(tab, all))
		pooled := make([]float64, d*d)
		for k, rows := range byClass {
			want := exactCovariance(tab, rows)
			got, err := s.ClassCovariance(fmt.Sprint(k))
			if err != nil {
				t.Fatal(err)
			}
			close("class covariance", got, want)
			for i, v := range want {
				pooled[i] += v * float64(len(rows)) / float64(n)
			}
		}
		got, err := s.PooledCovariance()
		if err != nil {
			t.Fatal(err)
		}
		close("pooled covariance", got, pooled)
	}
}

func TestLedoitWolfAgainstDefinition(t *testing.T) {
	for _, n := range []int{8, 40, 500} {
		d := 6
		r := rand.New(rand.NewPCG(8, uint64(n)))
		x := make([]float32, n*d)
		for i := range x {
			x[i] = float32(1e4 + r.NormFloat64()*float64(1+i%d))
		}
		x[0] = 1.2e4 // an outlier stretches the grid
		tab, _ := data.NewTable(n, d, x)
		s := fit(t, tab, Options{})
		var all []int
		for i := range n {
			all = append(all, i)
		}
		c := exactCovariance(tab, all)
		mean := s.Mean()
		fourth := 0.0
		for i := range n {
			q := 0.0
			for j, v := range tab.Row(i) {
				q += (float64(v) - mean[j]) * (float64(v) - mean[j])
			}
			fourth += q * q / float64(n)
		}
		trace, square := traces(c, d)
		noise := (fourth - square) / (float64(n) * float64(d))
		dist := (square - trace*trace/float64(d)) / float64(d)
		want := min(noise, dist) / dist
		if _, got := s.LedoitWolf(); math.Abs(got-want) > 1e-5 {
			t.Errorf("n %d: intensity %.9f, want %.9f", n, got, want)
		}
	}
}

func TestRidgeSolvesNormalEquations(t *testing.T) {
	tab := toy(t, 10, 300, 4, 3)
	s := fit(t, tab, Options{})
	for _, cross := range [][]float64{s.Cross(), s.Indicators()} {
		m := len(cross) / 4
		w, ok := s.Ridge(0.3, cross)
		if !ok {
			t.Fatal("not positive definite")
		}
		c := s.Covariance()
		for i := range 4 {
			for k := range m {
				sum := 0.3 * w[i*m+k]
				for j := range 4 {
					sum += c[i*4+j] * w[j*m+k]
				}
				if math.Abs(sum-cross[i*m+k]) > 1e-9 {
					t.Errorf("row %d, target %d: %g, want %g", i, k, sum, cross[i*m+k])
				}
			}
		}
	}
	// An indicator is a 0/1 target: both ways must agree.
	labels, _ := tab.Labels()
	targets := make([][]float64, 3)
	for k := range targets {
		for _, l := range labels {
			v := 0.0
			if l == k {
				v = 1
			}
			targets[k] = append(targets[k], v)
		}
	}
	as, _ := tab.WithTargets(targets)
	u := fit(t, as, Options{})
	for i, v := range u.Cross() {
		if math.Abs(v-s.Indicators()[i]) > 1e-6 {
			t.Errorf("entry %d: %g as a target, %g as a class", i, v, s.Indicators()[i])
		}
	}
}

func TestRegridThenMergeEqualsWhole(t *testing.T) {
	tab := toy(t, 11, 900, 4, 3)
	// Whole multiples of 1/4 lie exactly on both shards' grids, so sums must come out the same.
	x := slices.Clone(tab.X())
	for i := range x {
		x[i] = float32(math.Round(float64(x[i])*4)) / 4
	}
	targets := slices.Repeat([]float64{0.5, -8}, 450)
	whole, _ := data.NewTable(900, 4, x)
	labels, _ := tab.Labels()
	whole, _ = whole.WithLabels(labels, tab.Classes())
	whole, _ = whole.WithTargets([][]float64{targets})
	for _, perClass := range []bool{false, true} {
		a := fit(t, whole.Slice(0, 300), Options{PerClass: perClass})
		b := fit(t, whole.Slice(300, 900), Options{PerClass: perClass})
		if err := a.Clone().Merge(b); !errors.Is(err, data.ErrShape) {
			t.Fatalf("different grids merged: %v", err)
		}
		g, err := Finer(a, b)
		if err != nil {
			t.Fatal(err)
		}
		ra, err := a.Regrid(g)
		if err != nil {
			t.Fatal(err)
		}
		rb, err := b.Regrid(g)
		if err != nil {
			t.Fatal(err)
		}
		if err := ra.Merge(rb); err != nil {
			t.Fatal(err)
		}
		want := ra.Empty()
		if err := want.Observe(whole); err != nil {
			t.Fatal(err)
		}
		want.flush()
		p := want.p()
		for i := range p {
			for j := i; j < p; j++ {
				got, exact := ra.scatterAll().big(at(p, i, j)), want.scatterAll().big(at(p, i, j))
				if j < p-1 && got.Cmp(exact) != 0 {
					t.Fatalf("product (%d, %d): %v, want %v", i, j, got, exact)
				}
				if j == p-1 { // the squared norm's own rounding
					a, _ := new(big.Float).SetInt(got).Float64()
					b, _ := new(big.Float).SetInt(exact).Float64()
					if math.Abs(a-b) > 1e-9*math.Abs(b) {
						t.Fatalf("norm product %d: %g, want %g", i, a, b)
					}
				}
			}
		}
		_, ia := ra.LedoitWolf()
		_, ib := want.LedoitWolf()
		if math.Abs(ia-ib) > 1e-6 {
			t.Errorf("intensity %g after regridding, %g", ia, ib)
		}
	}
}

func TestPipeGridFromFirstBlock(t *testing.T) {
	tab := toy(t, 12, 2000, 3, 2)
	s, err := FromSource(t.Context(), pipe{tab}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := fit(t, tab, Options{Like: s})
	if s.Hash() != w.Hash() {
		t.Error("a pipe's state differs from a file's on the same grid")
	}
}

type pipe struct{ *data.Table }

func (pipe) Replayable() bool { return false }

func TestFloat192(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 13))
	for i := range 20000 {
		w := [3]uint64{r.Uint64(), r.Uint64(), r.Uint64()}
		for k := range 3 { // sparse words exercise ties and carries
			switch r.IntN(4) {
			case 0:
				w[k] = 0
			case 1:
				w[k] = math.MaxUint64
			case 2:
				w[k] &= 1<<r.IntN(64) - 1
			}
		}
		x := join(int64(w[2]), w[1])
		x.Lsh(x, 64).Add(x, new(big.Int).SetUint64(w[0]))
		want, _ := new(big.Float).SetInt(x).Float64()
		if got := float192(w[2], w[1], w[0]); got != want {
			t.Fatalf("case %d: %x → %g, want %g", i, w, got, want)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	n, d := 16384, 256
	x := make([]float32, n*d)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	tab, _ := data.NewTable(n, d, x)
	labels := make([]int, n)
	classes := make([]string, 100)
	for k := range classes {
		classes[k] = fmt.Sprint(k)
	}
	for i := range labels {
		labels[i] = i % 100
	}
	tab, _ = tab.WithLabels(labels, classes)
	s := fit(b, tab, Options{})
	b.SetBytes(int64(4 * n * d))
	for b.Loop() {
		if err := s.Observe(tab); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
