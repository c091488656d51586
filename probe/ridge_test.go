package probe_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleRidge() {
	train, _ := data.NewTable(6, 1, []float32{1, 2, 3, 4, 5, 6})
	train, _ = train.WithClassNames([]string{"low", "low", "high", "low", "high", "high"})
	m, err := probe.Ridge{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 1, []float32{0, 3.5, 7})
	p, _ := m.Predict(query)
	for i := range 3 {
		fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1])
	}
	// Output:
	// high 0.34, low 0.66
	// high 0.50, low 0.50
	// high 0.66, low 0.34
}

func fitRidge(t testing.TB, c probe.Ridge, train *data.Table) *probe.RidgeModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// leastSquares solves the penalised problem as one of least squares with more rows: rows of features, each weighted, and
// below them the roots of the penalties. It returns the fitted values of the query's rows, N×K.
//
// Balanced, the rows are those of a set in which every class has the same number: a class's mean moved to each row's
// deviation from its own class's mean.
func leastSquares(t testing.TB, c probe.Ridge, train, query *data.Table) []float64 {
	t.Helper()
	s := summarise(t, train)
	type weighted struct {
		x      []float64
		class  int
		weight float64
	}
	var rows []weighted
	for i, l := range s.labels {
		for to := range s.k {
			r := weighted{make([]float64, s.d), to, 1 / float64(s.n*s.k)}
			if !c.Balanced {
				r.weight *= float64(s.k)
			}
			for j, v := range train.Row(i) {
				r.x[j] = float64(v) - s.means[l][j] + s.means[to][j]
			}
			if c.Balanced || to == l {
				rows = append(rows, r)
			}
		}
	}
	center, share, total, mean := make([]float64, s.d), make([]float64, s.k), make([]float64, s.d), 0.0
	for _, r := range rows {
		share[r.class] += r.weight
		for j, v := range r.x {
			center[j] += r.weight * v
		}
	}
	for _, r := range rows {
		for j, v := range r.x {
			total[j] += r.weight * (v - center[j]) * (v - center[j])
			mean += r.weight * (v - center[j]) * (v - center[j]) / float64(s.d)
		}
	}
	n := len(rows)
	a, y := mat.NewDense(n+s.d, s.d, nil), mat.NewDense(n+s.d, s.k, nil)
	for i, r := range rows {
		root := math.Sqrt(r.weight)
		for j, v := range r.x {
			a.Set(i, j, root*(v-center[j]))
		}
		y.Set(i, r.class, root) // its mean is taken up by the intercept, for features are centred
	}
	for j := range s.d {
		penalty := c.Ridge * mean
		if c.Standardize {
			penalty = c.Ridge * total[j]
		}
		a.Set(n+j, j, math.Sqrt(penalty))
	}
	var w mat.Dense
	if err := w.Solve(a, y); err != nil {
		t.Fatal(err)
	}
	q, _ := query.Dims()
	var out []float64
	for i := range q {
		for l := range s.k {
			v := share[l]
			for j, x := range query.Row(i) {
				v += (float64(x) - center[j]) * w.At(j, l)
			}
			out = append(out, v)
		}
	}
	return out
}

func TestRidgeAgainstLeastSquares(t *testing.T) {
	query := toy(t, 2, 60, 6, 3)
	for _, n := range []int{300, 5} {
		train := toy(t, 1, n, 6, 3, 0.6, 0.3)
		for _, c := range []probe.Ridge{{Ridge: 0.1}, {Ridge: 1e-8}, {Ridge: 3, Balanced: true}, {Ridge: 0.2, Standardize: true}} {
			if n == 5 && c.Ridge < 1e-3 {
				continue // the oracle's condition
			}
			m := fitRidge(t, c, train)
			p, logits := asked(t, m, query)
			want := leastSquares(t, c, train, query)
			k := len(want) / 60
			for i := range logits {
				logits[i] *= m.Temperature()
			}
			near(t, fmt.Sprintf("%d rows, %+v: fitted values", n, c), logits, want, 2e-6) // logits are float32
			for i := range 60 {
				sum, best, likely := 0.0, 0, 0
				for l := range k {
					sum += want[i*k+l]
					if want[i*k+l] > want[i*k+best] {
						best = l
					}
					if p[i*k+l] > p[i*k+likely] {
						likely = l
					}
				}
				if likely != best {
					t.Errorf("row %d: most probable is class %d, the largest fitted value is that of %d", i+1, likely, best)
				}
				if math.Abs(sum-1) > 1e-9 {
					t.Errorf("row %d: the oracle's fitted values add up to %g", i+1, sum)
				}
			}
		}
	}
}

// losses returns accuracy, mean log loss and the loss at the best temperature there is for the rows.
func losses(t testing.TB, m *probe.RidgeModel, in *data.Table) (accuracy, loss, least float64) {
	t.Helper()
	_, logits := asked(t, m, in)
	labels, err := in.Labels()
	if err != nil {
		t.Fatal(err)
	}
	k := len(logits) / len(labels)
	at := func(factor float64) (right, loss float64) {
		for i, y := range labels {
			row := logits[i*k : (i+1)*k]
			top, sum, best := math.Inf(-1), 0.0, 0
			for l, v := range row {
				if v > top {
					top, best = v, l
				}
			}
			for _, v := range row {
				sum += math.Exp(factor * (v - top))
			}
			loss += (math.Log(sum) - factor*(row[y]-top)) / float64(len(labels))
			if best == y {
				right += 1 / float64(len(labels))
			}
		}
		return right, loss
	}
	accuracy, loss = at(1)
	least = loss
	for e := -2.0; e < 2; e += 0.05 {
		_, l := at(math.Exp(e))
		least = min(least, l)
	}
	return accuracy, loss, least
}

func TestRidgeCalibratedWithoutHeldOutRows(t *testing.T) {
	query := toy(t, 9, 4000, 20, 4)
	// From two rows a column to a hundred, the loss is near that of the temperature chosen on the new rows themselves.
	for _, n := range []int{40, 80, 400, 2000} {
		_, loss, least := losses(t, fitRidge(t, probe.Ridge{}, toy(t, uint64(n), n, 20, 4)), query)
		t.Logf("%d rows: loss %.4f, at best %.4f", n, loss, least)
		if loss > 1.1*least+0.01 {
			t.Errorf("%d rows: log loss %.4f, with the best temperature %.4f", n, loss, least)
		}
	}
}

func TestRidgeIsTheLinearDiscriminantOfTwoClasses(t *testing.T) {
	// Least squares on the indicators of two equal classes has the direction of the linear discriminant, and with the
	// temperature its log odds.
	var x []float32
	var names []string
	for _, c := range []int{0, 1} {
		part := toy(t, 20, 30000, 4, 2)
		labels, _ := part.Labels()
		for i, l := range labels {
			if l == c && len(names) < 14000*(c+1) {
				x, names = append(x, part.Row(i)...), append(names, fmt.Sprint(c))
			}
		}
	}
	train, err := data.NewTable(28000, 4, x)
	if err != nil {
		t.Fatal(err)
	}
	train, _ = train.WithClassNames(names)
	s := summarise(t, train)
	difference := mat.NewVecDense(4, nil)
	for j := range 4 {
		difference.SetVec(j, s.means[1][j]-s.means[0][j])
	}
	var w mat.VecDense
	if err := w.SolveVec(s.within, difference); err != nil {
		t.Fatal(err)
	}
	// The rule of succession costs a percent: one mistake in 28 000 rows is little beside those of classes that overlap.
	query := toy(t, 21, 100, 4, 2)
	_, logits := asked(t, fitRidge(t, probe.Ridge{Ridge: 1e-9}, train), query)
	for i := range 100 {
		want := 0.0
		for j, v := range query.Row(i) {
			want += w.AtVec(j) * (float64(v) - (s.means[0][j]+s.means[1][j])/2)
		}
		if have := logits[2*i+1] - logits[2*i]; math.Abs(have-want) > 0.02*math.Max(1, math.Abs(want)) {
			t.Fatalf("row %d: log odds %.4f, of the discriminant %.4f", i+1, have, want)
		}
	}
}

func TestRidgeBalanced(t *testing.T) {
	train, query := toy(t, 3, 4000, 3, 2, 0.97), toy(t, 4, 4000, 3, 2) // the query's classes are equally frequent
	recall := func(m *probe.RidgeModel) (r [2]float64) {
		p, _ := asked(t, m, query)
		labels, _ := query.Labels()
		var all [2]float64
		for i, y := range labels {
			all[y]++
			if p[2*i+y] > 0.5 {
				r[y]++
			}
		}
		return [2]float64{r[0] / all[0], r[1] / all[1]}
	}
	plain, balanced := recall(fitRidge(t, probe.Ridge{}, train)), recall(fitRidge(t, probe.Ridge{Balanced: true}, train))
	t.Logf("recall %.3f plain, %.3f balanced", plain, balanced)
	if plain[1] > 0.5 || balanced[0] < 0.9 || balanced[1] < 0.9 {
		t.Errorf("recall of the frequent and the rare class: %.3f plain, %.3f balanced", plain, balanced)
	}
}

func TestRidgeInvariantToScaleAndPlace(t *testing.T) {
	change := func(in *data.Table) *data.Table {
		n, d := in.Dims()
		x := make([]float32, 0, n*d)
		for _, v := range in.X() {
			x = append(x, 0x1p-20*(v+8))
		}
		out, err := data.NewTable(n, d, x)
		if err != nil {
			t.Fatal(err)
		}
		labels, _ := in.Labels()
		out, _ = out.WithLabels(labels, in.Classes())
		return out
	}
	train, query := toy(t, 5, 100, 4, 3), toy(t, 6, 50, 4, 3)
	want, _ := asked(t, fitRidge(t, probe.Ridge{}, train), query)
	have, _ := asked(t, fitRidge(t, probe.Ridge{}, change(train)), change(query))
	near(t, "in another unit", have, want, 1e-6)
}

func TestRidgeFewRowsStayUnsure(t *testing.T) {
	// One row a class shows nothing of how classes spread: probabilities keep the order and say little.
	train, _ := data.NewTable(2, 3, []float32{0, 0, 0, 1, 1, 1})
	train, _ = train.WithClassNames([]string{"a", "b"})
	p, _ := asked(t, fitRidge(t, probe.Ridge{}, train), train)
	if p[0] <= p[1] || p[3] <= p[2] || p[0] > 0.7 {
		t.Errorf("probabilities %.3f from one row a class", p)
	}
	// Classes that never overlap in ten rows are believed, but not beyond what ten rows can show.
	x, names := make([]float32, 10), make([]string, 10)
	for i := range x {
		x[i], names[i] = float32(i/5*10)+float32(i%5)/10, fmt.Sprint(i/5)
	}
	train, _ = data.NewTable(10, 1, x)
	train, _ = train.WithClassNames(names)
	p, _ = asked(t, fitRidge(t, probe.Ridge{}, train), train)
	if p[0] < 0.85 || p[0] > 0.99 {
		t.Errorf("ten rows in two classes apart: %.4f", p[0])
	}
}

func TestRidgeOneClass(t *testing.T) {
	train := toy(t, 7, 20, 3, 1)
	p, _ := asked(t, fitRidge(t, probe.Ridge{}, train), train)
	for i, v := range p {
		if v != 1 {
			t.Fatalf("row %d: probability %g of the only class", i+1, v)
		}
	}
}

func TestRidgeOnDigits(t *testing.T) {
	all := digits(t)
	n, _ := all.Dims()
	query := all.Slice(n-2000, n)
	for _, c := range []struct {
		rows           int
		accuracy, loss float64
	}{{64, 0.70, 1.1}, {200, 0.84, 0.65}, {3000, 0.92, 0.30}} {
		accuracy, loss, least := losses(t, fitRidge(t, probe.Ridge{}, all.Slice(0, c.rows)), query)
		t.Logf("%d rows: accuracy %.3f, log loss %.3f, %.3f at the best temperature", c.rows, accuracy, loss, least)
		if accuracy < c.accuracy || loss > c.loss {
			t.Errorf("%d rows: accuracy %.3f and log loss %.3f, want %.2f and %.2f", c.rows, accuracy, loss, c.accuracy, c.loss)
		}
	}
}

func BenchmarkRidgeFit(b *testing.B) {
	train := toy(b, 7, 2000, 128, 10)
	for b.Loop() {
		if _, err := (probe.Ridge{}).Fit(b.Context(), train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkRidgePredict(b *testing.B) {
	train := toy(b, 7, 2000, 128, 10)
	m := fitRidge(b, probe.Ridge{}, train)
	for b.Loop() {
		if _, err := m.Predict(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
