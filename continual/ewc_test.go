package continual_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleEWC() {
	first, second := sites()
	plain, err := continual.FineTune{Steps: 200}.Fit(context.Background(), first)
	tuned := afterSites(plain, err)
	m, err := continual.EWC{Steps: 200}.Fit(context.Background(), first)
	held := afterSites(m, err)
	fmt.Println("finetune:", right(tuned, first), "of the first site's 4,", right(tuned, second), "of the second's")
	fmt.Println("ewc:", right(held, first), "of the first site's 4,", right(held, second), "of the second's")
	// Output:
	// finetune: 0 of the first site's 4, 4 of the second's
	// ewc: 4 of the first site's 4, 4 of the second's
}

// sites are two tasks with the same classes: at the first the height tells them apart, at the second the width does, and height misleads.
func sites() (first, second *data.Table) {
	first, _ = data.NewTable(4, 2, []float32{0, 2, 0.1, 3, 0, -2, 0.1, -3})
	first, _ = first.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	second, _ = data.NewTable(4, 2, []float32{1, -2, 1.2, -3, -1, 2, -1.2, 3})
	second, _ = second.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	return first, second
}

// afterSites takes a model of the first site to the second.
func afterSites(m method.Model, err error) method.Model {
	if err != nil {
		panic(err)
	}
	_, second := sites()
	next, err := m.(method.Updater).Update(context.Background(), second)
	if err != nil {
		panic(err)
	}
	return next
}

// moved is how far the second site moved the weights that a model of the first holds, by their importance.
func moved(t *testing.T, m method.Model, err error) (sum float64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	read := func(m method.Model, name string) []float64 {
		x, err := m.State().Tensors[name].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	next := afterSites(m, nil)
	before, after := read(m, "net.0.weight"), read(next, "net.0.weight")
	for i, v := range read(m, "importance.0.weight") {
		sum += v * (after[i] - before[i]) * (after[i] - before[i])
	}
	return sum
}

// right counts the rows that a model gets right.
func right(m method.Model, in *data.Table) (n int) {
	p, err := m.(method.Predictor).Predict(in)
	if err != nil {
		panic(err)
	}
	rows, _ := p.Dims()
	for i := range rows {
		best := 0
		for k, v := range p.Row(i) {
			if v > p.Row(i)[best] {
				best = k
			}
		}
		if p.Columns()[best] == in.ClassName(i) {
			n++
		}
	}
	return n
}

// TestEWCHolds: what counted for the first task stays the nearer to where it was, the stronger it is held.
func TestEWCHolds(t *testing.T) {
	first, _ := sites()
	by := func(strength float64) float64 {
		m, err := continual.EWC{Steps: 100, Strength: strength}.Fit(t.Context(), first)
		return moved(t, m, err)
	}
	if free, some, much := by(1e-3), by(1e2), by(1e6); !(some < free/3 && much < some/3) {
		t.Errorf("by importance, weights moved %.3g at strength 0.001, %.3g at 100, %.3g at a million", free, some, much)
	}
}

// TestEWCStrategies: they part at the third task, not before.
func TestEWCStrategies(t *testing.T) {
	first, second := sites()
	fit := func(strategy string, tasks ...*data.Table) string {
		m, err := method.Model(nil), error(nil)
		if m, err = (continual.EWC{Steps: 5, Strategy: strategy}).Fit(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			if m, err = m.(method.Updater).Update(t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
		x, err := m.State().Tensors["net.0.weight"].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(x)
	}
	if fit("separate", second) != fit("latest", second) {
		t.Error("after two tasks the strategies differ")
	}
	if fit("separate", second, first) == fit("latest", second, first) {
		t.Error("after three tasks the strategies do not differ")
	}
}
