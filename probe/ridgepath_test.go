package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleRidgePath() {
	train, _ := data.NewTable(6, 1, []float32{1, 2, 3, 4, 5, 6})
	train, _ = train.WithClassNames([]string{"low", "low", "low", "high", "high", "high"})
	m, err := probe.RidgePath{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 1, []float32{0, 3.5})
	p, _ := m.Predict(query)
	for i := range 2 {
		fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1])
	}
	// Output:
	// high 0.03, low 0.97
	// high 0.50, low 0.50
}

func fitRidgePath(t testing.TB, c probe.RidgePath, train *data.Table) *probe.RidgePathModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRidgePathAgainstRefits leaves out each row in turn and refits: the sum of weighted squared errors plus the penalty
// of all rows, for the rows that stay.
func TestRidgePathAgainstRefits(t *testing.T) {
	for _, shape := range [][2]int{{30, 4}, {12, 20}} {
		for _, balanced := range []bool{false, true} {
			n, d := shape[0], shape[1]
			train := toy(t, 1, n, d, 3, 0.6, 0.2)
			m := fitRidgePath(t, probe.RidgePath{Balanced: balanced}, train)
			ridges, have := m.Path()
			s := summarise(t, train)
			weight := func(i int) float64 {
				if balanced {
					return 1 / (s.counts[s.labels[i]] * float64(s.k))
				}
				return 1 / float64(n)
			}
			// The mean variance of weighted rows.
			unit := 0.0
			for j := range d {
				mean := 0.0
				for i := range n {
					mean += weight(i) * float64(train.Row(i)[j])
				}
				for i := range n {
					e := float64(train.Row(i)[j]) - mean
					unit += weight(i) * e * e / float64(d)
				}
			}
			for _, l := range []int{5, 40, 70} {
				want := 0.0
				for out := range n {
					a, y := mat.NewDense(n+d, d+1, nil), mat.NewDense(n+d, s.k, nil)
					for i := range n {
						if i == out {
							continue
						}
						root := math.Sqrt(weight(i))
						for j, v := range train.Row(i) {
							a.Set(i, j, root*(float64(v)-10))
						}
						a.Set(i, d, root)
						y.Set(i, s.labels[i], root)
					}
					for j := range d {
						a.Set(n+j, j, math.Sqrt(ridges[l]*unit))
					}
					w := mat.NewDense(d+1, s.k, nil)
					if err := w.Solve(a, y); err != nil {
						t.Fatal(err)
					}
					for c := range s.k {
						v := w.At(d, c)
						for j, x := range train.Row(out) {
							v += w.At(j, c) * (float64(x) - 10)
						}
						if c == s.labels[out] {
							v--
						}
						want += weight(out) * v * v
					}
				}
				near(t, fmt.Sprintf("%d×%d, balanced %v, ridge %g", n, d, balanced, ridges[l]), have[l:l+1], []float64{want}, 1e-7)
			}
		}
	}
}

func TestRidgePathIsRidge(t *testing.T) {
	train, query := toy(t, 2, 400, 10, 4), toy(t, 3, 50, 10, 4)
	m := fitRidgePath(t, probe.RidgePath{}, train)
	_, have := asked(t, m, query)
	for i := range have {
		have[i] *= m.Temperature()
	}
	near(t, "fitted values", have, leastSquares(t, probe.Ridge{Ridge: m.Ridge()}, train, query), 2e-6)
}

func TestRidgePathOnDigits(t *testing.T) {
	// 1,000 rows are enough for products in float32: the choice is that of float64 by refits on tenths of the rows.
	all := digits(t)
	n, _ := all.Dims()
	query := all.Slice(n-2000, n)
	for _, rows := range []int{40, 3000} {
		m := fitRidgePath(t, probe.RidgePath{}, all.Slice(0, rows))
		p, err := m.Predict(query)
		if err != nil {
			t.Fatal(err)
		}
		labels, _ := query.Labels()
		right := 0
		for i, y := range labels {
			best := 0
			for c, v := range p.Row(i) {
				if v > p.Row(i)[best] {
					best = c
				}
			}
			if query.ClassName(i) == p.Columns()[best] {
				right++
			}
			_ = y
		}
		t.Logf("%d rows: ridge %.3g, accuracy %.3f", rows, m.Ridge(), float64(right)/2000)
		if float64(right)/2000 < map[int]float64{40: 0.6, 3000: 0.92}[rows] {
			t.Errorf("%d rows: accuracy %.3f", rows, float64(right)/2000)
		}
	}
}

func TestRidgePathBadRows(t *testing.T) {
	x, _ := data.NewTable(3, 1, []float32{1, 2, 9})
	each, _ := x.WithClassNames([]string{"a", "b", "c"})
	if p, _ := asked(t, fitRidgePath(t, probe.RidgePath{}, each), x); len(p) != 9 {
		t.Errorf("one row a class: %v", p)
	}
	missing, _ := x.WithLabels([]int{0, 2, 2}, []string{"a", "none", "c"})
	if p, err := fitRidgePath(t, probe.RidgePath{Balanced: true}, missing).Predict(x); err != nil || fmt.Sprint(p.Columns()) != "[a c]" {
		t.Errorf("a class without rows: %v (%v)", p.Columns(), err)
	}
	half, _ := x.WithClassNames([]string{"a", "", "b"})
	if _, err := (probe.RidgePath{}).Fit(t.Context(), half); !errors.Is(err, data.ErrLabels) {
		t.Errorf("a row without label: %v", err)
	}
	same, _ := data.NewTable(2, 1, []float32{3, 3})
	same, _ = same.WithClassNames([]string{"a", "b"})
	if _, err := (probe.RidgePath{}).Fit(t.Context(), same); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
}

func BenchmarkRidgePathFit(b *testing.B) {
	train := toy(b, 7, 2000, 64, 10)
	for b.Loop() {
		if _, err := (probe.RidgePath{}).Fit(b.Context(), train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// TestRidgePathIsNoSurerThanItsRows: where every left-out row is named rightly, the wrong classes keep, on the whole, the
// probability 1/(N+2); more rows make surer.
func TestRidgePathIsNoSurerThanItsRows(t *testing.T) {
	before := 1.0
	for _, n := range []int{10, 100, 1000} {
		x, names := make([]float32, 2*n), make([]string, n)
		r := rand.New(rand.NewPCG(uint64(n), 1))
		for i := range n {
			x[2*i], x[2*i+1] = float32(100*(i%2)+r.IntN(9)), float32(r.IntN(9))
			names[i] = []string{"near", "far"}[i%2]
		}
		train, _ := data.NewTable(n, 2, x)
		train, _ = train.WithClassNames(names)
		p, _ := asked(t, fitRidgePath(t, probe.RidgePath{}, train), train)
		wrong := 0.0
		for i, v := range p {
			if (names[i/2] == "far") != (i%2 == 0) {
				wrong += v / float64(n)
			}
		}
		t.Logf("%d rows: %.3g", n, wrong)
		if least := 1 / float64(n+2); wrong < 0.5*least || wrong > 2*least || wrong >= before {
			t.Errorf("%d rows: the wrong classes get %.3g, the rows allow %.3g", n, wrong, least)
		}
		before = wrong
	}
}
