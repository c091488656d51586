package choose

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/catalog"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// clouds draws n rows of d columns; of k > 0 classes, each with its own center.
func clouds(t *testing.T, n, d, k int, seed uint64) *data.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	x, labels := make([]float32, n*d), make([]int, n)
	for i := range n {
		if k > 0 {
			labels[i] = r.IntN(k)
		}
		for j := range d {
			x[i*d+j] = float32(r.NormFloat64() * float64(1+j))
			if k > 0 && j == labels[i]%d {
				x[i*d+j] += 6
			}
		}
	}
	table, err := data.NewTable(n, d, x)
	if err == nil && k > 0 {
		names := make([]string, k)
		for c := range names {
			names[c] = string(rune('a' + c))
		}
		table, err = table.WithLabels(labels, names)
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// scoring is a Fit of candidates that learn nothing.
func scoring(list ...func(row []float32) float64) Fit {
	return func(context.Context, *data.Table) ([]Fitted, error) {
		out := make([]Fitted, len(list))
		for c, f := range list {
			out[c].Score = func(t *data.Table) ([]float64, error) {
				n, _ := t.Dims()
				s := make([]float64, n)
				for i := range s {
					s[i] = f(t.Row(i))
				}
				return s, nil
			}
		}
		return out, nil
	}
}

func first(row []float32) float64  { return math.Abs(float64(row[0])) }
func still([]float32) float64      { return 1 }
func length(row []float32) float64 { return math.Hypot(float64(row[0]), float64(row[1])) }

func TestRankIsTheMeanOfWhatEachSplitMeasures(t *testing.T) {
	table := clouds(t, 300, 2, 0, 1)
	fit := scoring(still, first, length)
	r, err := Rank(t.Context(), Options{Splits: 4, Seed: 9}, table, 3, fit)
	if err != nil {
		t.Fatal(err)
	}
	fitted, _ := fit(t.Context(), table)
	byCandidate := map[int]Result{}
	for _, x := range r.Results {
		byCandidate[x.Candidate] = x
	}
	for c := range 3 {
		sum := 0.0
		for j := range 4 {
			s, err := newSplit(table, 3000, 9, uint64(j))
			if err != nil {
				t.Fatal(err)
			}
			known, _ := fitted[c].Score(s.ask)
			for _, u := range s.unlike {
				unknown, _ := fitted[c].Score(u)
				a, _ := metric.AUROC(known, unknown, metric.Interval{ValueOnly: true})
				sum += a.Value / float64(4*len(s.unlike))
			}
		}
		if x := byCandidate[c]; math.Abs(x.AUROC.Value-sum) > 1e-12 {
			t.Errorf("candidate %d: %v, by hand %v", c, x.AUROC.Value, sum)
		}
	}
	if x := byCandidate[0]; x.AUROC.Value != 0.5 || x.Tied {
		t.Errorf("a constant score reaches %v, tied %v; want 0.5 and not tied", x.AUROC.Value, x.Tied)
	}
	if r.Results[0].Behind.Value != 0 || !r.Results[0].Tied || r.Results[2].Candidate != 0 {
		t.Errorf("%+v", r.Results)
	}
}

func TestOrderAccountsForOverlap(t *testing.T) {
	// Two candidates, 4 splits, 2 kinds: the differences are 0.1, 0.2, 0.3, 0.4.
	values := [][][]float64{
		{{0.4, 0.6}, {0.4, 0.6}, {0.4, 0.6}, {0.4, 0.6}},
		{{0.5, 0.7}, {0.6, 0.8}, {0.8, 0.8}, {0.9, 0.9}},
	}
	r := &Ranking{Kinds: []string{"region", "made"}, Splits: 4}
	if err := r.order(values, make([]error, 2), 3.0/7); err != nil {
		t.Fatal(err)
	}
	x := r.Results[1]
	// s² = 1/60; the quantile of Student's t with 3 degrees of freedom is 3.18245.
	half := 3.182446 * math.Sqrt((1.0/4+3.0/7)/60)
	if math.Abs(x.Behind.Value-0.25) > 1e-12 || math.Abs(x.Behind.High-(0.25+half)) > 1e-6 || math.Abs(x.Behind.Low-(0.25-half)) > 1e-6 {
		t.Errorf("behind by %v, want 0.25 ± %v", x.Behind, half)
	}
	if !x.Tied || !slices.Equal(r.Tied(), []int{1, 0}) {
		t.Errorf("an interval down to %v holds zero: tied %v", x.Behind.Low, r.Tied())
	}
	if !slices.Equal(x.Kinds, []float64{0.4, 0.6}) {
		t.Errorf("kinds %v", x.Kinds)
	}
}

func TestSplitHoldsOutClasses(t *testing.T) {
	table := clouds(t, 400, 3, 7, 2)
	for j := range uint64(6) {
		s, err := newSplit(table, 3000, 3, j)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string][3]int{}
		for part, x := range []*data.Table{s.learn, s.ask, s.unlike[0]} {
			n, _ := x.Dims()
			for i := range n {
				c := seen[x.ClassName(i)]
				c[part]++
				seen[x.ClassName(i)] = c
			}
		}
		held := 0
		for name, c := range seen {
			if c[2] > 0 {
				held++
			}
			if c[2] > 0 && c[0]+c[1] > 0 {
				t.Errorf("class %s is held out and learned: %v", name, c)
			}
		}
		learn, _ := s.learn.Dims()
		ask, _ := s.ask.Dims()
		apart, _ := s.unlike[0].Dims()
		if s.kinds[0] != "classes" || held != 2 || learn+ask+apart != 400 || learn != int(0.7*float64(learn+ask)) {
			t.Errorf("%s: %d classes held out, %d learned, %d asked, %d held out of 400", s.kinds[0], held, learn, ask, apart)
		}
	}
}

func TestSplitHoldsOutARegion(t *testing.T) {
	for _, classes := range []int{0, 2} { // two classes are too few to hold one out
		table := clouds(t, 100, 2, classes, 4)
		s, err := newSplit(table, 3000, 5, 0)
		if err != nil {
			t.Fatal(err)
		}
		apart, _ := s.unlike[0].Dims()
		if s.kinds[0] != "region" || apart != 20 {
			t.Fatalf("%d rows held out as %s, want 20 as region", apart, s.kinds[0])
		}
		_, deviation := columnsOf(table, allRows(table))
		distance := func(a, b []float32) float64 {
			return math.Hypot(float64(a[0]-b[0])/deviation[0], float64(a[1]-b[1])/deviation[1])
		}
		center := slices.ContainsFunc(allRows(s.unlike[0]), func(c int) bool { // one of them has no other row nearer than the held-out ones
			farthest, nearest := 0.0, math.Inf(1)
			for i := range apart {
				farthest = max(farthest, distance(s.unlike[0].Row(c), s.unlike[0].Row(i)))
			}
			for _, x := range []*data.Table{s.learn, s.ask} {
				n, _ := x.Dims()
				for i := range n {
					nearest = min(nearest, distance(s.unlike[0].Row(c), x.Row(i)))
				}
			}
			return farthest <= nearest
		})
		if !center {
			t.Error("no row of the region has all of the region as its nearest rows")
		}
	}
}

func TestMadeRows(t *testing.T) {
	learn, ask := clouds(t, 2000, 12, 0, 6), clouds(t, 1000, 12, 0, 7)
	r := rand.New(rand.NewPCG(8, 0))
	tables := map[string]*data.Table{}
	for _, k := range made {
		x, err := k.make(learn, ask, r)
		if err != nil {
			t.Fatal(err)
		}
		if n, d := x.Dims(); n != 1000 || d != 12 {
			t.Fatalf("%s: %d×%d", k.name, n, d)
		}
		tables[k.name] = x
	}
	column := func(x *data.Table, j int) (v []float32) {
		n, _ := x.Dims()
		for i := range n {
			v = append(v, x.Row(i)[j])
		}
		slices.Sort(v)
		return v
	}
	same := 0
	for j := range 12 {
		if !slices.Equal(column(tables["permuted"], j), column(ask, j)) {
			t.Errorf("permuted: column %d holds other values", j)
		}
	}
	for i := range 1000 {
		if slices.Equal(tables["permuted"].Row(i), ask.Row(i)) {
			same++
		}
	}
	if same > 5 {
		t.Errorf("permuted: %d of 1000 rows are as before", same)
	}
	_, deviation := columnsOf(learn, allRows(learn))
	_, asked := columnsOf(ask, allRows(ask))
	for j := range 12 {
		// Of independent rows, x + (x − o)/2 has (1.5² + 0.5²)·variance.
		_, out := columnsOf(tables["extrapolated"], allRows(ask))
		if ratio := out[j] / asked[j]; math.Abs(ratio-math.Sqrt(2.5)) > 0.12 {
			t.Errorf("extrapolated: column %d spreads %v as far, want √2.5", j, ratio)
		}
		_, out = columnsOf(tables["wide"], allRows(ask))
		if ratio := out[j] / deviation[j]; math.Abs(ratio-2) > 0.2 {
			t.Errorf("wide: column %d spreads %v as far, want 2", j, ratio)
		}
	}
	for i := range 1000 {
		moved := 0
		for j, v := range tables["spiked"].Row(i) {
			by := math.Abs(float64(v)-float64(ask.Row(i)[j])) / deviation[j]
			if by != 0 {
				moved++
				if math.Abs(by-3) > 1e-4 {
					t.Fatalf("spiked: a value moves by %v deviations, want 3", by)
				}
			}
		}
		if moved != 1 {
			t.Fatalf("spiked: %d of 12 columns move, want 1", moved)
		}
	}
}

func TestRankDependsOnTheSeedAlone(t *testing.T) {
	table := clouds(t, 120, 3, 4, 3)
	list := slices.DeleteFunc(Candidates(catalog.All()), func(c Candidate) bool { return !c.TakesRows() || c.Spec.Family != "detect" })
	rank := func(seed uint64) *Ranking {
		r, err := Rank(t.Context(), Options{Splits: 2, Seed: seed}, table, len(list), FitRows(list))
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Results { // errors are equal by their words
			if r.Results[i].Err != nil {
				r.Results[i].Err = errors.New(r.Results[i].Err.Error())
			}
		}
		return r
	}
	want := rank(1)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(8))
	if have := rank(1); !reflect.DeepEqual(have, want) {
		t.Error("the same seed gives another ranking")
	}
	if have := rank(2); reflect.DeepEqual(have, want) {
		t.Error("another seed gives the same figures")
	}
}

// TestRankFindsWhatFits: rows on a ring around nothing. Detectors by mean and covariance take its middle for the most usual
// place; those by neighbours do not.
func TestRankFindsWhatFits(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	ring := func(n int) *data.Table {
		x := make([]float32, 0, 2*n)
		for range n {
			sin, cos := math.Sincos(2 * math.Pi * r.Float64())
			x = append(x, float32(5+cos+0.05*r.NormFloat64()), float32(5+sin+0.05*r.NormFloat64()))
		}
		table, err := data.NewTable(n, 2, x)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	middle := make([]float32, 400)
	for i := range middle {
		middle[i] = float32(5 + 0.2*r.NormFloat64())
	}
	inside, err := data.NewTable(200, 2, middle)
	if err != nil {
		t.Fatal(err)
	}
	list := slices.DeleteFunc(Candidates(catalog.All()), func(c Candidate) bool { return !c.TakesRows() || c.Spec.Family != "detect" })
	train, ask := ring(300), ring(200)
	ranking, err := Rank(t.Context(), Options{Splits: 3}, train, len(list), FitRows(list))
	if err != nil {
		t.Fatal(err)
	}
	fitted, err := FitRows(list)(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	reached := func(c int) float64 {
		known, err := fitted[c].Score(ask)
		if err != nil {
			t.Fatal(err)
		}
		unknown, err := fitted[c].Score(inside)
		if err != nil {
			t.Fatal(err)
		}
		a, err := metric.AUROC(known, unknown)
		if err != nil {
			t.Fatal(err)
		}
		return a.Value
	}
	best := ranking.Results[0].Candidate
	if have := reached(best); have < 0.99 {
		t.Errorf("%s ranks first and reaches %.3f on the ring's middle", list[best].Words(), have)
	}
	for c := range list {
		if list[c].Words() == "detect/gaussianad" && reached(c) > 0.1 {
			t.Errorf("the ring does not fool %s: %v", list[c].Words(), reached(c))
		}
	}
}

func TestRankRefuses(t *testing.T) {
	table := clouds(t, 100, 3, 0, 1)
	same, err := data.NewTable(100, 2, slices.Repeat([]float32{3, 4}, 100))
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	broken := func(context.Context, *data.Table) ([]Fitted, error) {
		return []Fitted{{Err: data.ErrLabels}}, nil
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		o     Options
		table *data.Table
		n     int
		fit   Fit
		want  error
		words string
	}{
		{"few rows", t.Context(), Options{}, table.Slice(0, 19), 1, scoring(first), data.ErrShape, "19 rows"},
		{"one split", t.Context(), Options{Splits: 1}, table, 1, scoring(first), method.ErrConfig, "1 splits"},
		{"few rows asked for", t.Context(), Options{Rows: 10}, table, 1, scoring(first), method.ErrConfig, "10 rows"},
		{"equal rows", t.Context(), Options{}, same, 1, scoring(first), method.ErrDegenerate, "are equal"},
		{"cancelled", gone, Options{}, table, 1, scoring(first), context.Canceled, ""},
		{"no candidates", t.Context(), Options{}, table, 0, scoring(), method.ErrInput, "no candidates"},
		{"none has a result", t.Context(), Options{}, table, 1, broken, data.ErrLabels, "no candidate has a result"},
		{"a wrong number of fits", t.Context(), Options{}, table, 2, scoring(first), method.ErrInput, "1 fits for 2"},
	} {
		if _, err := Rank(c.ctx, c.o, c.table, c.n, c.fit); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.want, c.words)
		}
	}
}

func TestRankPutsFailuresLast(t *testing.T) {
	fit := func(ctx context.Context, train *data.Table) ([]Fitted, error) {
		f, err := scoring(still, first)(ctx, train)
		return append([]Fitted{{Err: method.ErrDegenerate}}, f...), err
	}
	r, err := Rank(t.Context(), Options{}, clouds(t, 100, 3, 0, 1), 3, fit)
	if err != nil {
		t.Fatal(err)
	}
	if x := r.Results[2]; x.Candidate != 0 || !errors.Is(x.Err, method.ErrDegenerate) || x.Tied {
		t.Errorf("%+v", r.Results)
	}
}

func TestCandidates(t *testing.T) {
	words := map[string]bool{}
	for _, c := range Candidates(catalog.All()) {
		if words[c.Words()] {
			t.Errorf("%s twice", c.Words())
		}
		words[c.Words()] = true
		if _, err := c.Spec.Configure(c.Flags); err != nil {
			t.Errorf("%s: %v", c.Words(), err)
		}
	}
	for _, w := range []string{"detect/knn", "detect/knn --neighbors=1", "detect/knn --neighbors=20", "detect/knn --no-normalize=true", "detect/gaussianad --shrinkage=none"} {
		if !words[w] {
			t.Errorf("no candidate %s", w)
		}
	}
	for _, w := range []string{"detect/gaussianad --shrinkage=ledoit-wolf", "probe/ridge", "detect/knn --neighbors=5"} {
		if words[w] {
			t.Errorf("a candidate %s", w)
		}
	}
}

func TestRegionsOfTiesStayWholeTables(t *testing.T) {
	x := make([]float32, 0, 120)
	for i := range 60 { // two values only
		x = append(x, float32(i%2), 0)
	}
	table, err := data.NewTable(60, 2, x)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Rank(t.Context(), Options{}, table, 1, scoring(first)); err != nil {
		t.Error(err)
	}
}
