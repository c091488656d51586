package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleLogistic() {
	train, _ := data.NewTable(6, 1, []float32{1, 2, 3, 4, 5, 6})
	train, _ = train.WithClassNames([]string{"low", "low", "high", "low", "high", "high"})
	m, err := probe.Logistic{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 1, []float32{0, 3.5, 7})
	p, _ := m.Predict(query)
	for i := range 3 {
		fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1])
	}
	// Output:
	// high 0.01, low 0.99
	// high 0.50, low 0.50
	// high 0.99, low 0.01
}

func fitLogistic(t testing.TB, c probe.Logistic, train *data.Table) *probe.LogisticModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// waves is a table that other programs can make as well.
func waves(t testing.TB) *data.Table {
	t.Helper()
	const n, d, k = 60, 5, 3
	var x []float32
	var names []string
	for i := range n {
		for j := range d {
			v := math.Sin(float64(3*i*i+7*j*j+i*j+1)) * float64(j+1)
			if i%k == j {
				v++
			}
			x = append(x, float32(math.RoundToEven(1024*v)/1024))
		}
		c := i % k
		if i%7 == 0 {
			c = (i + 1) % k
		}
		names = append(names, fmt.Sprint(c))
	}
	tab, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		t.Fatal(err)
	}
	return tab
}

// TestLogisticGolden holds objectives to those of scikit-learn 1.9.1, v the mean of the columns' variances:
//
//	m = LogisticRegression(C=1/(n*ridge*v), tol=1e-10, max_iter=100000, solver="newton-cg").fit(x, y)
//	-m.predict_log_proba(x)[range(n), y].mean() + ridge*v/2*(m.coef_**2).sum()
func TestLogisticGolden(t *testing.T) {
	train := waves(t)
	for _, c := range []struct{ ridge, objective float64 }{{1, 1.0661061068079087}, {1e-2, 0.8894894399493813}, {1e-4, 0.8461792578480739}} {
		m := fitLogistic(t, probe.Logistic{Ridge: c.ridge}, train)
		near(t, fmt.Sprintf("ridge %g: objective", c.ridge), []float64{m.Objective()}, []float64{c.objective}, 1e-8) // rows less their mean are stored in float32
		if m.Residual() > 1e-6 || m.Separated() {
			t.Errorf("ridge %g: residual %g, separated %v", c.ridge, m.Residual(), m.Separated())
		}
	}
	p, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: 1e-2}, train), train.Slice(0, 2))
	near(t, "probabilities", p, []float64{0.7423673132092908, 0.19955101213837678, 0.05808167465233226, 0.12439051207852082, 0.46999088480055473, 0.4056186031209244}, 1e-5)
}

// logisticObjective is the objective by its definition.
func logisticObjective(c probe.Logistic, train *data.Table, s summary, center, weights, intercept []float64) float64 {
	sum := 0.0
	for i, l := range s.labels {
		logits := make([]float64, s.k)
		total := 0.0
		for c := range logits {
			logits[c] = intercept[c]
			for j, v := range train.Row(i) {
				logits[c] += (float64(v) - center[j]) * weights[j*s.k+c]
			}
			total += math.Exp(logits[c])
		}
		weight := 1 / float64(s.n)
		if c.Balanced {
			weight = 1 / (s.counts[l] * float64(s.k))
		}
		sum += weight * (math.Log(total) - logits[l])
	}
	for i, w := range weights {
		v := s.total[i/s.k]
		if !c.Standardize {
			v = 0
			for _, u := range s.total {
				v += u / float64(s.d)
			}
		}
		sum += c.Ridge / 2 * v * w * w
	}
	return sum
}

func TestLogisticIsAtTheOptimum(t *testing.T) {
	train := toy(t, 1, 200, 6, 3, 0.6, 0.3)
	s := summarise(t, train)
	for _, c := range []probe.Logistic{{Ridge: 0.1}, {Ridge: 1e-4}, {Ridge: 1e-2, Standardize: true}, {Ridge: 1e-2, Balanced: true}} {
		m := fitLogistic(t, c, train)
		center, weights, intercept := m.Linear()
		at := func() float64 { return logisticObjective(c, train, s, center, weights, intercept) }
		near(t, fmt.Sprintf("%+v: objective", c), []float64{m.Objective()}, []float64{at()}, 1e-6)
		for _, list := range [][]float64{weights, intercept} {
			for i := range list { // central differences
				const h = 1e-4
				list[i] += h
				up := at()
				list[i] -= 2 * h
				slope := (up - at()) / (2 * h)
				list[i] += h
				if math.Abs(slope) > 5e-6 { // 1e-6 times the columns' size, of up to 4
					t.Errorf("%+v: derivative %d is %g", c, i, slope)
				}
			}
		}
	}
}

func TestLogisticBalancedIsRowsCopied(t *testing.T) {
	// Two rows of one class and four of the other: as if each of the two were there twice.
	x := []float32{0, 1, 3, 1, 1, 2, 2, 5, 4, 3, 5, 1}
	few, _ := data.NewTable(6, 2, x)
	few, _ = few.WithClassNames([]string{"a", "a", "b", "b", "b", "b"})
	many, _ := data.NewTable(8, 2, append(x[:4:4], x...))
	many, _ = many.WithClassNames([]string{"a", "a", "a", "a", "b", "b", "b", "b"})
	s, r := summarise(t, few), summarise(t, many)
	// Ridge counts from the variance, which copies change.
	share := (r.total[0] + r.total[1]) / (s.total[0] + s.total[1])
	have, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: 0.1 * share, Balanced: true}, few), few)
	want, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: 0.1}, many), few)
	near(t, "probabilities", have, want, 1e-5)
}

func TestLogisticPath(t *testing.T) {
	train := toy(t, 3, 300, 8, 4)
	ridges := []float64{1e3, 1, 1e-2, 1e-4}
	path, err := (probe.Logistic{}).Path(t.Context(), train, ridges)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range path {
		alone := fitLogistic(t, probe.Logistic{Ridge: ridges[i]}, train)
		near(t, "objective on the path", []float64{m.Objective()}, []float64{alone.Objective()}, 1e-7)
	}
	// A huge penalty leaves the shares of the classes.
	s := summarise(t, train)
	p, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: 1e6}, train), train.Slice(0, 1))
	near(t, "shares", p, []float64{s.counts[0] / 300, s.counts[1] / 300, s.counts[2] / 300, s.counts[3] / 300}, 1e-4)
	if _, err := (probe.Logistic{}).Path(t.Context(), train, []float64{-1}); !errors.Is(err, method.ErrConfig) {
		t.Errorf("a negative penalty: %v", err)
	}
}

func TestLogisticFolds(t *testing.T) {
	// Labels by chance: no penalty is large enough. A plain border and many rows: a small one.
	noise := toy(t, 4, 200, 10, 2)
	names := make([]string, 200)
	for i := range names {
		names[i] = fmt.Sprint(i * i % 7 % 2)
	}
	noise, _ = noise.WithClassNames(names)
	if m := fitLogistic(t, probe.Logistic{Folds: 5}, noise); m.Ridge() < 0.1 {
		t.Errorf("labels by chance: ridge %g", m.Ridge())
	}
	clear := fitLogistic(t, probe.Logistic{Folds: 5}, toy(t, 5, 1000, 4, 3))
	if clear.Ridge() > 0.1 {
		t.Errorf("a plain border: ridge %g", clear.Ridge())
	}
	three, _ := data.NewTable(3, 1, []float32{1, 2, 3})
	three, _ = three.WithClassNames([]string{"a", "b", "b"})
	if _, err := (probe.Logistic{Folds: 3}).Fit(t.Context(), three); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("three folds of three rows: %v", err)
	}
}

func TestLogisticBadRows(t *testing.T) {
	// Rows that a plane separates: there is an answer, and it says so.
	x, _ := data.NewTable(4, 1, []float32{1, 2, 8, 9})
	apart, _ := x.WithClassNames([]string{"a", "a", "b", "b"})
	if m := fitLogistic(t, probe.Logistic{}, apart); !m.Separated() || m.Residual() > 1e-6 {
		t.Errorf("separated %v, residual %g", m.Separated(), m.Residual())
	}
	// A class without rows is not among the answers; one row a class is enough.
	missing, _ := x.WithLabels([]int{0, 2, 3, 3}, []string{"a", "none", "c", "d"})
	p, err := fitLogistic(t, probe.Logistic{}, missing).Predict(x)
	if err != nil || fmt.Sprint(p.Columns()) != "[a c d]" {
		t.Errorf("classes %v (%v)", p.Columns(), err)
	}
	one, _ := x.WithClassNames([]string{"a", "a", "a", "a"})
	if p, _ := asked(t, fitLogistic(t, probe.Logistic{}, one), x); p[0] != 1 || p[3] != 1 {
		t.Errorf("probabilities %v of the only class", p)
	}
	half, _ := x.WithClassNames([]string{"a", "", "b", "b"})
	same, _ := data.NewTable(2, 1, []float32{3, 3})
	same, _ = same.WithClassNames([]string{"a", "b"})
	for want, in := range map[error]*data.Table{data.ErrLabels: half, method.ErrDegenerate: same} {
		if _, err := (probe.Logistic{}).Fit(t.Context(), in); !errors.Is(err, want) {
			t.Errorf("%v instead of %v", err, want)
		}
	}
	if _, err := (probe.Logistic{}).Fit(t.Context(), x); !errors.Is(err, data.ErrLabels) {
		t.Errorf("no labels: %v", err)
	}
}

func TestLogisticOnDigits(t *testing.T) {
	all := digits(t)
	n, _ := all.Dims()
	query := all.Slice(n-2000, n)
	for _, rows := range []int{64, 1000} {
		m := fitLogistic(t, probe.Logistic{}, all.Slice(0, rows))
		p, _ := asked(t, m, query)
		labels, _ := query.Labels()
		right := 0.0
		for i, y := range labels {
			best := 0
			for c := range 10 {
				if p[i*10+c] > p[i*10+best] {
					best = c
				}
			}
			if best == y {
				right += 1 / float64(len(labels))
			}
		}
		t.Logf("%d rows: accuracy %.3f, objective %.4f", rows, right, m.Objective())
		if right < map[int]float64{64: 0.68, 1000: 0.91}[rows] {
			t.Errorf("%d rows: accuracy %.3f", rows, right)
		}
	}
}

func BenchmarkLogisticFit(b *testing.B) {
	train := toy(b, 7, 2000, 64, 10)
	for b.Loop() {
		if _, err := (probe.Logistic{}).Fit(b.Context(), train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
