package probe_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleRCAL() {
	// Two clusters; one row of the left one is labelled wrong, and the right class has few rows.
	train, _ := data.NewTable(12, 1, []float32{-3.2, -3.1, -3, -2.9, -2.8, -2.7, -2.6, -2.5, 2.9, 3, 3.1, -3})
	train, _ = train.WithClassNames([]string{"left", "left", "left", "left", "left", "left", "left", "left", "right", "right", "right", "right"})
	m, err := probe.RCAL{Outlying: 2}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(1, 1, []float32{-3})
	p, _ := m.Predict(query)
	fmt.Printf("dropped rows: %.0f; %s %.2f\n", m.Report()["dropped_rows"], p.Columns()[0], p.Row(0)[0])
	// Output:
	// dropped rows: 1; left 1.00
}

func fitRCAL(t testing.TB, c probe.RCAL, train *data.Table) *probe.RCALModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRCALWithoutFaultsIsLogistic: equal classes and no outliers leave nothing to drop, to lend or to draw.
func TestRCALWithoutFaultsIsLogistic(t *testing.T) {
	all := toy(t, 1, 300, 4, 3)
	labels, _ := all.Labels()
	seen, rows := make([]int, 3), []int(nil)
	for i, l := range labels {
		if seen[l] < 60 {
			seen[l], rows = seen[l]+1, append(rows, i)
		}
	}
	train := all.Pick(rows)
	m := fitRCAL(t, probe.RCAL{Outlying: 1e6}, train)
	want, _ := asked(t, fitLogistic(t, probe.Logistic{}, train), all)
	have, _ := asked(t, m, all)
	near(t, "probabilities", have, want, 1e-6)
	if r := m.Report(); r["dropped_rows"] != 0 || r["borrowing_classes"] != 0 || r["drawn_rows"] != 0 {
		t.Errorf("%v", r)
	}
}

// TestRCALFindsWrongLabels: a fifth of the labels are wrong, most rows are of one class, and the rare one is found all the same.
func TestRCALFindsWrongLabels(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	draw := func(counts ...int) *data.Table { // three clusters, five deviations apart
		var x []float32
		var names []string
		for c, n := range counts {
			for range n {
				for j := range 4 {
					v := r.NormFloat64()
					if j == c {
						v += 5
					}
					x = append(x, float32(v))
				}
				names = append(names, fmt.Sprint(c))
			}
		}
		out, err := data.NewTable(len(names), 4, x)
		if err == nil {
			out, err = out.WithClassNames(names)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	train, query := draw(600, 200, 60), draw(300, 300, 300)
	n, _ := train.Dims()
	names, wrong := make([]string, n), 0
	for i := range names {
		names[i] = train.ClassName(i)
		if r.IntN(20) < 3 {
			names[i] = fmt.Sprint(r.IntN(3))
		}
		if names[i] != train.ClassName(i) {
			wrong++
		}
	}
	noisy, _ := train.WithClassNames(names)
	accuracy := func(p []float64) (right float64) {
		labels, _ := query.Labels()
		for i := range labels {
			var top int
			for c := range 3 {
				if p[3*i+c] > p[3*i+top] {
					top = c
				}
			}
			if fmt.Sprint(top) == query.ClassName(i) {
				right += 1 / float64(len(labels))
			}
		}
		return right
	}
	m := fitRCAL(t, probe.RCAL{}, noisy)
	have, _ := asked(t, m, query)
	plain, _ := asked(t, fitLogistic(t, probe.Logistic{}, noisy), query)
	t.Logf("%d wrong labels, %v; balanced accuracy %.3f, logistic %.3f", wrong, m.Report(), accuracy(have), accuracy(plain))
	if dropped := m.Report()["dropped_rows"]; accuracy(have) < 0.95 || dropped < float64(wrong)/2 || dropped > 2*float64(wrong) {
		t.Errorf("balanced accuracy %.3f, logistic regression %.3f", accuracy(have), accuracy(plain))
	}
}

func TestRCALSeed(t *testing.T) {
	train := toy(t, 5, 200, 4, 2, 0.9)
	a, _ := asked(t, fitRCAL(t, probe.RCAL{}, train), train)
	b, _ := asked(t, fitRCAL(t, probe.RCAL{Seed: 1}, train), train)
	c, _ := asked(t, fitRCAL(t, probe.RCAL{}, train), train)
	near(t, "the same seed", c, a, 0)
	far := 0.0
	for i := range a {
		far = max(far, math.Abs(a[i]-b[i]))
	}
	if far == 0 || far > 0.5 {
		t.Errorf("another seed moves probabilities by up to %g", far)
	}
}
