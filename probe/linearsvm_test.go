package probe_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleLinearSVM() {
	train, _ := data.NewTable(6, 1, []float32{1, 2, 3, 5, 6, 7})
	train, _ = train.WithClassNames([]string{"low", "low", "low", "high", "high", "high"})
	m, err := probe.LinearSVM{Ridge: 1e-6}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 1, []float32{3, 4})
	scores, _ := m.Logits(query)
	for i := range 2 {
		fmt.Printf("%s %.2f\n", scores.Columns()[1], m.Temperature()*float64(scores.Row(i)[1]))
	}
	// Output:
	// low 1.00
	// low 0.00
}

func fitLinearSVM(t testing.TB, c probe.LinearSVM, train *data.Table) *probe.LinearSVMModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestLinearSVMGolden holds the first row's scores to those that SciPy's BFGS finds for the same objective, v the mean of the
// columns' variances, µ their means, s the signs of a class: minimise
//
//	mean(maximum(0, 1 − s·((x − µ)·w + b))²) + ridge·v/2·‖w‖²
func TestLinearSVMGolden(t *testing.T) {
	train := waves(t)
	for _, c := range []struct {
		ridge float64
		want  []float64
	}{
		{1e-2, []float64{0.5194692891518224, -0.41822848111163036, -1.1284307105900457}},
		{1e-4, []float64{0.5545273183186159, -0.42088148060654224, -1.1598327518444334}},
	} {
		m := fitLinearSVM(t, probe.LinearSVM{Ridge: c.ridge}, train)
		_, scores := asked(t, m, train.Slice(0, 1))
		for i := range scores {
			scores[i] *= m.Temperature()
		}
		near(t, fmt.Sprintf("ridge %g", c.ridge), scores, c.want, 1e-6) // logits are float32
		if m.Gap() > 1e-10 {
			t.Errorf("ridge %g: duality gap %g", c.ridge, m.Gap())
		}
	}
}

func TestLinearSVMIgnoresRowsBeyondTheMargin(t *testing.T) {
	x := []float32{0, 1, 2, 5, 6, 7}
	names := []string{"a", "a", "a", "b", "b", "b"}
	fit := func(far float32) *probe.LinearSVMModel {
		// The far rows change the variance that Ridge counts from; a tiny one counts for nothing.
		tab, _ := data.NewTable(8, 1, append(append([]float32{}, x...), -far, 7+far))
		tab, _ = tab.WithClassNames(append(append([]string{}, names...), "a", "b"))
		return fitLinearSVM(t, probe.LinearSVM{Ridge: 1e-8}, tab)
	}
	query, _ := data.NewTable(1, 1, []float32{3.1})
	var scores []float64
	for _, far := range []float32{1, 50} {
		m := fit(far)
		_, z := asked(t, m, query)
		scores = append(scores, m.Temperature()*z[0])
	}
	near(t, "score", scores[1:], scores[:1], 1e-3)
}

func TestLinearSVMOnDigits(t *testing.T) {
	all := digits(t)
	n, _ := all.Dims()
	query := all.Slice(n-1000, n)
	m := fitLinearSVM(t, probe.LinearSVM{}, all.Slice(0, 1000))
	p, _ := asked(t, m, query)
	labels, _ := query.Labels()
	right := 0
	for i, y := range labels {
		best := 0
		for c := range 10 {
			if p[i*10+c] > p[i*10+best] {
				best = c
			}
		}
		if best == y {
			right++
		}
	}
	t.Logf("accuracy %.3f, gap %.2g", float64(right)/1000, m.Gap())
	if right < 900 {
		t.Errorf("accuracy %.3f", float64(right)/1000)
	}
}

func TestLinearSVMBadRows(t *testing.T) {
	x, _ := data.NewTable(3, 1, []float32{1, 2, 9})
	missing, _ := x.WithLabels([]int{0, 2, 2}, []string{"a", "none", "c"})
	if p, err := fitLinearSVM(t, probe.LinearSVM{}, missing).Predict(x); err != nil || fmt.Sprint(p.Columns()) != "[a c]" {
		t.Errorf("a class without rows: %v (%v)", p.Columns(), err)
	}
	one, _ := x.WithClassNames([]string{"a", "a", "a"})
	if p, _ := asked(t, fitLinearSVM(t, probe.LinearSVM{}, one), x); p[0] != 1 {
		t.Errorf("one class: %v", p)
	}
	same, _ := data.NewTable(2, 1, []float32{3, 3})
	same, _ = same.WithClassNames([]string{"a", "b"})
	if _, err := (probe.LinearSVM{}).Fit(t.Context(), same); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
}

func BenchmarkLinearSVMFit(b *testing.B) {
	train := toy(b, 7, 2000, 64, 10)
	for b.Loop() {
		if _, err := (probe.LinearSVM{}).Fit(b.Context(), train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
