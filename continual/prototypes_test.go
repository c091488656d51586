package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

func ExamplePrototypes() {
	ctx := context.Background()
	day1, _ := data.NewTable(4, 2, []float32{1, 0, 3, 0, 0, 1, 0, 5})
	day1, _ = day1.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	m, err := continual.Prototypes{}.Fit(ctx, day1)
	if err != nil {
		panic(err)
	}
	day2, _ := data.NewTable(1, 2, []float32{-2, 0})
	day2, _ = day2.WithClassNames([]string{"plum"})
	updated, err := m.Update(ctx, day2)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 2, []float32{7, 1, -1, 0.5})
	p, _ := updated.(*continual.PrototypesModel).Predict(query)
	fmt.Println(p.Columns())
	for i := range 2 {
		fmt.Printf("%.3f\n", p.Row(i))
	}
	back, _ := updated.(*continual.PrototypesModel).Forget(ctx, day2)
	a, _ := m.State().Hash()
	b, _ := back.State().Hash()
	fmt.Println("forgotten without a trace:", a == b)
	// Output:
	// [apple pear plum]
	// [1.000 0.000 0.000]
	// [0.000 0.000 1.000]
	// forgotten without a trace: true
}

func table(t testing.TB, names []string, x ...float32) *data.Table {
	t.Helper()
	tab, err := data.NewTable(len(names), len(x)/len(names), x)
	if err == nil {
		tab, err = tab.WithClassNames(names)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// rows draws n rows of k classes in d columns.
func rows(t testing.TB, seed uint64, n, d, k int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 3))
	x, names := make([]float32, n*d), make([]string, n)
	for i := range n {
		c := r.IntN(k)
		names[i] = fmt.Sprint(c)
		for j := range d {
			x[i*d+j] = float32(r.NormFloat64() + 2*math.Cos(float64(1+c*d+j)))
		}
	}
	return table(t, names, x...)
}

func fit(t testing.TB, in data.Source) *continual.PrototypesModel {
	t.Helper()
	m, err := continual.Prototypes{}.Fit(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func update(t testing.TB, m *continual.PrototypesModel, task *data.Table) *continual.PrototypesModel {
	t.Helper()
	next, err := m.Update(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	return next.(*continual.PrototypesModel)
}

func predict(t testing.TB, m method.Predictor, in *data.Table) *data.Table {
	t.Helper()
	p, err := m.Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func hash(t testing.TB, m method.Model) string {
	t.Helper()
	h, err := m.State().Hash()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// byClass returns the rows of the given classes.
func byClass(t *data.Table, classes ...string) *data.Table {
	n, _ := t.Dims()
	var pick []int
	for i := range n {
		if slices.Contains(classes, t.ClassName(i)) {
			pick = append(pick, i)
		}
	}
	return t.Pick(pick)
}

func TestPrototypesAgainstTheFormula(t *testing.T) {
	train, query := rows(t, 1, 400, 7, 4), rows(t, 2, 600, 7, 4)
	m := fit(t, train)
	p := predict(t, m, query)
	scores, err := m.Score(query)
	if err != nil {
		t.Fatal(err)
	}
	means := map[string][]float64{}
	for _, name := range m.Classes() {
		own := byClass(train, name)
		n, d := own.Dims()
		mean := make([]float64, d)
		for i := range n {
			for j, v := range own.Row(i) {
				mean[j] += float64(v) / float64(n)
			}
		}
		means[name] = mean
	}
	for i := range 600 {
		cosines, sum := make([]float64, 4), 0.0
		for c, name := range m.Classes() {
			dot, a, b := 0.0, 0.0, 0.0
			for j, v := range query.Row(i) {
				dot += float64(v) * means[name][j]
				a += float64(v) * float64(v)
				b += means[name][j] * means[name][j]
			}
			cosines[c] = dot / math.Sqrt(a*b)
			sum += math.Exp(cosines[c] / 0.03)
		}
		// The grid moves a value by at most 2^-23 of its column's half range, a cosine by as little, its exponent by 30 times that.
		if math.Abs(scores[i]-(1-slices.Max(cosines))) > 1e-6 {
			t.Fatalf("row %d: score %.9f, want %.9f", i, scores[i], 1-slices.Max(cosines))
		}
		for c, v := range p.Row(i) {
			if want := math.Exp(cosines[c]/0.03) / sum; math.Abs(float64(v)-want) > 3e-5 {
				t.Fatalf("row %d, class %d: probability %.7f, want %.7f", i, c, v, want)
			}
		}
	}
}

func TestPrototypesTasksInAnyOrderAndPieces(t *testing.T) {
	all := rows(t, 3, 600, 6, 5)
	whole, err := moments.FromSource(t.Context(), all, moments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := hash(t, fit(t, all))
	r := rand.New(rand.NewPCG(9, 9))
	for range 4 {
		tasks := []*data.Table{byClass(all, "0", "3"), byClass(all, "1"), byClass(all, "4"), byClass(all, "2").Slice(0, 7), byClass(all, "2")}
		n, _ := tasks[4].Dims()
		tasks[4] = tasks[4].Slice(7, n)
		r.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
		first, err := moments.FromSource(t.Context(), tasks[0], moments.Options{Like: whole}) // one grid for all
		if err != nil {
			t.Fatal(err)
		}
		m, err := continual.Prototypes{}.FitMoments(first)
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks[1:] {
			m = update(t, m, task)
		}
		if hash(t, m) != want {
			t.Fatal("another order of tasks gives other bytes")
		}
	}
}

func TestPrototypesForgetLeavesNoTrace(t *testing.T) {
	m := fit(t, rows(t, 4, 200, 5, 3))
	before := hash(t, m)
	task := rows(t, 5, 50, 5, 6)
	wild := slices.Clone(task.X())
	wild[7], wild[23], wild[101] = 1e30, -3e9, math.SmallestNonzeroFloat32 // far off the grid of the first fit
	labels, err := task.Labels()
	if err != nil {
		t.Fatal(err)
	}
	task, err = data.NewTable(50, 5, wild)
	if err == nil {
		task, err = task.WithLabels(labels, []string{"0", "1", "2", "3", "4", "5"})
	}
	if err != nil {
		t.Fatal(err)
	}
	next := update(t, m, task)
	if hash(t, m) != before {
		t.Error("an update changes the old model")
	}
	if hash(t, next) == before || len(next.Classes()) != 6 {
		t.Error("an update changes nothing")
	}
	back, err := next.Forget(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if hash(t, back) != before {
		t.Error("rows leave a trace after they are forgotten")
	}
}

func TestPrototypesOfOneRowIsTheRow(t *testing.T) {
	m := fit(t, table(t, []string{"a", "b", "b"}, 0.5, -3, 2, 8, 1, 1, 4, 3, -7))
	want := []float64{0.5, -3, 2, 6, 2, -3}
	if !slices.Equal(m.Means(), want) {
		t.Errorf("means %v, want %v", m.Means(), want)
	}
}

func TestPrototypesNewClassChangesNoOther(t *testing.T) {
	old := rows(t, 6, 300, 8, 4)
	m := fit(t, old)
	x := make([]float32, 40*8)
	for i := range x {
		x[i] = float32(100 + i%7) // far away, beyond the grid
	}
	next := update(t, m, table(t, slices.Repeat([]string{"9"}, 40), x...))
	if !slices.Equal(next.Means()[:4*8], m.Means()) {
		t.Error("a new class moves old means")
	}
	// With the new class's probability taken out, the old ones' proportions stand.
	a, b := predict(t, m, old), predict(t, next, old)
	for i := range 300 {
		rest := 1 - float64(b.Row(i)[4])
		if rest < 1e-3 {
			continue
		}
		for c, v := range a.Row(i) {
			if math.Abs(float64(b.Row(i)[c])/rest-float64(v)) > 1e-4 {
				t.Fatalf("row %d, class %d: %.6f of the old classes' share, %.6f before", i, c, float64(b.Row(i)[c])/rest, v)
			}
		}
	}
}

func TestPrototypesWithAnUnadaptedSecondEncoder(t *testing.T) {
	// ADAM with a copy of the same encoder: features stand twice, and no angle changes.
	double := func(in *data.Table) *data.Table {
		n, d := in.Dims()
		x := make([]float32, 0, 2*n*d)
		names := make([]string, n)
		for i := range n {
			x = append(append(x, in.Row(i)...), in.Row(i)...)
			names[i] = in.ClassName(i)
		}
		return table(t, names, x...)
	}
	train, query := rows(t, 7, 300, 9, 5), rows(t, 8, 500, 9, 5)
	a, b := predict(t, fit(t, train), query), predict(t, fit(t, double(train)), double(query))
	for i := range 500 {
		p, q := a.Row(i), b.Row(i)
		if slices.Index(p, slices.Max(p)) != slices.Index(q, slices.Max(q)) {
			t.Fatalf("row %d: %v once, %v twice", i, p, q)
		}
		for c := range p {
			if math.Abs(float64(p[c]-q[c])) > 1e-6 { // sums of 9 and of 18 products round apart
				t.Fatalf("row %d: %v once, %v twice", i, p, q)
			}
		}
	}
}

func TestPrototypesDirectionAndScale(t *testing.T) {
	m := fit(t, table(t, []string{"a", "b", "zero", "zero"}, 2, 0, 0, 3, 1, 1, -1, -1))
	s, err := m.Score(table(t, []string{"a", "a", "a", "a"}, 5, 0, 0, 1e-20, -1, -1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	// On a prototype; on one however short the row; opposite to a and b (the mean of length zero has cosine 0); no direction at all.
	for i, want := range []float64{0, 0, 1, 1} {
		if math.Abs(s[i]-want) > 1e-12 {
			t.Errorf("row %d: score %v, want %v", i+1, s[i], want)
		}
	}
	p := predict(t, m, table(t, []string{"a"}, 0, 0))
	for _, v := range p.Row(0) {
		if math.Abs(float64(v)-1.0/3) > 1e-7 {
			t.Errorf("a row without direction has probabilities %v", p.Row(0))
		}
	}
}

func TestPrototypesSaveAndLoad(t *testing.T) {
	query := rows(t, 2, 20, 5, 3)
	specs := continual.Methods()
	spec := specs[slices.IndexFunc(specs, func(s method.Spec) bool { return s.Name == "prototypes" })]
	cfg, err := spec.Configure(map[string]string{"temperature": "0.5"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := spec.Fit(t.Context(), cfg, data.Bundle{"in": rows(t, 1, 90, 5, 3)})
	if err != nil {
		t.Fatal(err)
	}
	file, err := method.Save(spec, cfg, m)
	if err != nil {
		t.Fatal(err)
	}
	_, _, back, err := method.Load(specs, file)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(predict(t, m.(method.Predictor), query).X(), predict(t, back.(method.Predictor), query).X()) || hash(t, m) != hash(t, back) {
		t.Error("a loaded model predicts otherwise")
	}
	for _, verb := range []string{"predict", "score", "update", "forget"} {
		if !spec.Can(verb) {
			t.Errorf("cannot %s", verb)
		}
	}
	delete(file.Tensors, "state/moments/class.sums")
	if err := file.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := method.Load(specs, file); !errors.Is(err, method.ErrState) {
		t.Errorf("a file without sums: %v", err)
	}
}

func TestPrototypesErrors(t *testing.T) {
	m := fit(t, table(t, []string{"a", "b"}, 1, 0, 0, 1))
	wide := table(t, []string{"a"}, 1, 2, 3)
	free, err := data.NewTable(1, 2, []float32{1, 1})
	if err != nil {
		t.Fatal(err)
	}
	_, fitErr := continual.Prototypes{}.Fit(t.Context(), free)
	_, predictErr := m.Predict(wide)
	_, scoreErr := m.Score(wide)
	_, updateErr := m.Update(t.Context(), wide)
	_, labelErr := m.Update(t.Context(), free)
	_, strangerErr := m.Forget(t.Context(), table(t, []string{"c"}, 1, 1))
	_, emptyErr := m.Forget(t.Context(), table(t, []string{"a", "b"}, 1, 0, 0, 1))
	_, rangeErr := continual.Prototypes{Temperature: -1}.Fit(t.Context(), table(t, []string{"a"}, 1))
	for _, test := range []struct {
		err, kind error
		says      string
	}{
		{fitErr, data.ErrLabels, "1 of 1 rows have none"},
		{predictErr, data.ErrShape, "3 columns, fitted on 2"},
		{scoreErr, data.ErrShape, "3 columns, fitted on 2"},
		{updateErr, data.ErrShape, "3 columns"},
		{labelErr, data.ErrLabels, "1 of 3 rows"},
		{strangerErr, data.ErrShape, `class "c"`},
		{emptyErr, data.ErrShape, "no rows"},
		{rangeErr, method.ErrConfig, "temperature"},
	} {
		if !errors.Is(test.err, test.kind) || !strings.Contains(test.err.Error(), test.says) {
			t.Errorf("error %v, want %v and %q", test.err, test.kind, test.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Update(ctx, wide); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPrototypesUsedConcurrently(t *testing.T) {
	m := fit(t, rows(t, 1, 100, 4, 3))
	wild := table(t, []string{"x"}, 1e30, 1, 1, 1)
	m = update(t, m, wild)
	var wg sync.WaitGroup
	want := hash(t, m)
	for range 8 {
		wg.Go(func() {
			next, err := m.Update(t.Context(), wild)
			if err != nil {
				t.Error(err)
				return
			}
			back, err := next.(*continual.PrototypesModel).Forget(t.Context(), wild)
			if err != nil {
				t.Error(err)
				return
			}
			if h, err := back.State().Hash(); err != nil || h != want {
				t.Errorf("hash %s, want %s (%v)", h, want, err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkPrototypesPredict(b *testing.B) {
	in := rows(b, 1, 2000, 128, 10)
	m := fit(b, in)
	for b.Loop() {
		predict(b, m, in)
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkPrototypesUpdate(b *testing.B) {
	in, task := rows(b, 1, 2000, 128, 10), rows(b, 2, 100, 128, 10)
	m := fit(b, in)
	for b.Loop() {
		update(b, m, task)
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
