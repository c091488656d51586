package probe_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleNMTune() {
	// A class in the middle of the other, which no plane cuts off.
	train, _ := data.NewTable(9, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9})
	train, _ = train.WithClassNames([]string{"out", "out", "out", "in", "in", "in", "out", "out", "out"})
	m, err := probe.NMTune{Epochs: 300, Rate: 0.02, Consistency: 1e-3, Width: 16}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 1, []float32{1, 5, 9})
	p, _ := m.Predict(query)
	for i := range 3 {
		fmt.Println(p.Columns()[0], p.Row(i)[0] > 0.5)
	}
	// Output:
	// in false
	// in true
	// in false
}

func fitNMTune(t testing.TB, c probe.NMTune, train *data.Table) *probe.NMTuneModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestNMTuneSpectra: features that spread alike in all directions have the entropy log D and the largest share 1/D; those of
// one direction have neither; scale and turning change nothing.
func TestNMTuneSpectra(t *testing.T) {
	const d = 4
	corners := func(change func(x []float64)) *data.Table { // ±1 in every column: the covariance is the identity
		var x []float32
		var names []string
		for i := range 1 << d {
			row := make([]float64, d)
			for j := range row {
				row[j] = float64(2*(i>>j&1) - 1)
			}
			change(row)
			for _, v := range row {
				x = append(x, float32(v))
			}
			names = append(names, fmt.Sprint(i%2))
		}
		tab, _ := data.NewTable(1<<d, d, x)
		tab, err := tab.WithClassNames(names)
		if err != nil {
			t.Fatal(err)
		}
		return tab
	}
	before := func(change func(x []float64)) []float64 {
		r := fitNMTune(t, probe.NMTune{Epochs: 1}, corners(change)).Report()
		return []float64{r["singular_value_entropy_before"], r["largest_singular_value_before"]}
	}
	isotropic := []float64{math.Log(d), math.Log(d)}
	near(t, "isotropic", before(func([]float64) {}), isotropic, 1e-6)
	near(t, "scaled and moved", before(func(x []float64) {
		for j := range x {
			x[j] = 1000*x[j] + 5
		}
	}), isotropic, 1e-6)
	turn := func(x []float64) {
		x[0], x[3] = 0.6*x[0]-0.8*x[3], 0.8*x[0]+0.6*x[3]
	}
	near(t, "turned", before(turn), isotropic, 1e-6)
	near(t, "one direction", before(func(x []float64) {
		for j := 1; j < d; j++ {
			x[j] = x[0] * float64(j)
		}
	}), []float64{0, 0}, 1e-5) // singular values are roots of eigenvalues known to 2^-24 of float32 rows
	stretched := before(func(x []float64) { // three sigmas of 1 and one of 3
		x[2] *= 3
		turn(x)
	})
	p := []float64{1. / 6, 1. / 6, 1. / 6, 0.5}
	entropy := 0.0
	for _, v := range p {
		entropy -= v * math.Log(v)
	}
	near(t, "stretched", stretched, []float64{entropy, math.Log(2)}, 1e-6)
}

// moved is how far a model turned rows' features away from the given ones, 1 − cosine, and how much of their covariance is off
// the diagonal.
func moved(t *testing.T, m *probe.NMTuneModel, train *data.Table) (turned, covariance float64) {
	t.Helper()
	z, err := m.Features(train)
	if err != nil {
		t.Fatal(err)
	}
	s := summarise(t, train)
	n, d := train.Dims()
	labels, _ := train.Labels()
	labelled, _ := z.WithLabels(labels, train.Classes())
	after := summarise(t, labelled)
	for i := range n {
		dot, a, b := 0.0, 0.0, 0.0
		for j, v := range z.Row(i) {
			x := float64(train.Row(i)[j]) - s.mean[j]
			dot, a, b = dot+x*float64(v), a+x*x, b+float64(v)*float64(v)
		}
		turned += (1 - dot/math.Sqrt(a*b)) / float64(n)
	}
	for i := range d {
		for j := range i {
			covariance += math.Pow(after.covariance.At(i, j), 2)
		}
	}
	return turned, covariance
}

// TestNMTuneRegularizers: each weight does what it is for.
func TestNMTuneRegularizers(t *testing.T) {
	train := toy(t, 1, 300, 6, 3)
	loose := probe.NMTune{Consistency: 1e-9, Decorrelation: 1e-9, Dominance: 1e-9, Rate: 0.01}
	strict := func(change func(*probe.NMTune)) *probe.NMTuneModel {
		c := loose
		change(&c)
		return fitNMTune(t, c, train)
	}
	turned, covariance := moved(t, fitNMTune(t, loose, train), train)
	still, _ := moved(t, strict(func(c *probe.NMTune) { c.Consistency = 1000 }), train)
	_, apart := moved(t, strict(func(c *probe.NMTune) { c.Decorrelation = 100 }), train)
	t.Logf("turned by %.3g, consistent by %.3g; covariances of %.3g, decorrelated %.3g", turned, still, covariance, apart)
	if still > turned/10 || apart > covariance/10 {
		t.Errorf("turned by %.3g, consistent by %.3g; covariances of %.3g, decorrelated %.3g", turned, still, covariance, apart)
	}
	many := toy(t, 1, 300, 16, 3)
	free := fitNMTune(t, loose, many).Report()["singular_value_entropy_after"]
	loose.Dominance = 100
	dominated := fitNMTune(t, loose, many).Report()["singular_value_entropy_after"]
	t.Logf("entropy of singular values: %.3f free, %.3f dominated", free, dominated)
	if dominated > free-0.3 {
		t.Errorf("entropy of singular values: %.3f free, %.3f dominated", free, dominated)
	}
}

// TestNMTunePlain: with weights of nothing it is the network without regularisers.
func TestNMTunePlain(t *testing.T) {
	train, query := toy(t, 1, 200, 5, 3), toy(t, 2, 50, 5, 3)
	plain, _ := asked(t, fitNMTune(t, probe.NMTune{NoRegularizers: true}, train), query)
	nothing, _ := asked(t, fitNMTune(t, probe.NMTune{Consistency: 1e-12, Decorrelation: 1e-12, Dominance: 1e-12}, train), query)
	near(t, "probabilities", nothing, plain, 1e-4)
	full, _ := asked(t, fitNMTune(t, probe.NMTune{}, train), query)
	largest := 0.0
	for i, v := range full {
		largest = max(largest, math.Abs(v-plain[i]))
	}
	if largest < 1e-3 {
		t.Errorf("regularisers move probabilities by %g at most", largest)
	}
}

func TestNMTuneSeparatesRings(t *testing.T) {
	train, query := rings(t, 1, 400), rings(t, 2, 1000)
	p, _ := asked(t, fitNMTune(t, probe.NMTune{NoRegularizers: true, Rate: 0.02, Width: 16}, train), query)
	labels, _ := query.Labels()
	right := 0.0
	for i, y := range labels {
		if p[2*i+y] > 0.5 {
			right += 1 / float64(len(labels))
		}
	}
	if right < 0.97 {
		t.Errorf("accuracy %.3f", right)
	}
}

// TestNMTuneFewRows: a batch of fewer rows than columns, and one of a single row at an epoch's end.
func TestNMTuneFewRows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	x := make([]float32, 17*30)
	for i := range x {
		x[i] = r.Float32()
	}
	train, _ := data.NewTable(17, 30, x)
	train, _ = train.WithClassNames([]string{"a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "a", "b", "a"})
	asked(t, fitNMTune(t, probe.NMTune{}, train), train)
}

// TestNMTuneFolds: the factor is the one that plain fits on the folds choose, and the model that of its weights.
func TestNMTuneFolds(t *testing.T) {
	const folds = 2
	train, query := toy(t, 4, 60, 4, 3), toy(t, 5, 30, 4, 3)
	n, _ := train.Dims()
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(train.Row(a)[0], train.Row(b)[0]) })
	sorted := train.Pick(order)
	var parts [folds][2][]int
	turn := map[string]int{}
	for i := range n {
		for f := range folds {
			side := 0
			if turn[sorted.ClassName(i)]%folds == f {
				side = 1
			}
			parts[f][side] = append(parts[f][side], i)
		}
		turn[sorted.ClassName(i)]++
	}
	base := probe.NMTune{Consistency: 20, Decorrelation: 2, Dominance: 1, Rate: 0.01, Width: 8}
	at := func(factor float64) probe.NMTune {
		c := base
		c.NoRegularizers = factor == 0
		c.Consistency, c.Decorrelation, c.Dominance = factor*c.Consistency, factor*c.Decorrelation, factor*c.Dominance
		return c
	}
	best, least := 0.0, math.Inf(1)
	for _, factor := range []float64{0, 0.1, 1, 10} {
		loss := 0.0
		for _, rows := range parts {
			p, err := fitNMTune(t, at(factor), sorted.Pick(rows[0])).Predict(sorted.Pick(rows[1]))
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range rows[1] {
				loss -= math.Log(float64(p.Row(i)[slices.Index(p.Columns(), sorted.ClassName(row))]))
			}
		}
		t.Logf("factor %g: log loss %.3f", factor, loss)
		if loss < least {
			best, least = factor, loss
		}
	}
	chosen := base
	chosen.Folds = folds
	m := fitNMTune(t, chosen, train)
	if have := m.Report()["regularizer_factor"]; have != best {
		t.Errorf("factor %g, by fits of our own %g", have, best)
	}
	have, _ := asked(t, m, query)
	want, _ := asked(t, fitNMTune(t, at(best), train), query)
	near(t, "probabilities", have, want, 0)
	if _, err := (probe.NMTune{Folds: 40}).Fit(t.Context(), train); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("40 folds of 60 rows in 3 classes: %v", err)
	}
}
