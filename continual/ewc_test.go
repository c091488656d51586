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
	for _, c := range []struct {
		name string
		fit  func(*data.Table) (method.Model, error)
	}{
		{"finetune", func(in *data.Table) (method.Model, error) {
			return continual.FineTune{Steps: 200}.Fit(context.Background(), in)
		}},
		{"ewc", func(in *data.Table) (method.Model, error) {
			return continual.EWC{Steps: 200}.Fit(context.Background(), in)
		}},
	} {
		m, err := c.fit(first)
		if err != nil {
			panic(err)
		}
		if m, err = m.(method.Updater).Update(context.Background(), second); err != nil {
			panic(err)
		}
		fmt.Println(c.name, "after the second site:", right(m, first), "of the first 4,", right(m, second), "of the second")
	}
	// Output:
	// finetune after the second site: 0 of the first 4, 4 of the second
	// ewc after the second site: 4 of the first 4, 4 of the second
}

// sites are two tasks with the same classes: at the first the height tells them apart, at the second the width does, and height misleads.
func sites() (first, second *data.Table) {
	first, _ = data.NewTable(4, 2, []float32{0, 2, 0.1, 3, 0, -2, 0.1, -3})
	first, _ = first.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	second, _ = data.NewTable(4, 2, []float32{1, -2, 1.2, -3, -1, 2, -1.2, 3})
	second, _ = second.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	return first, second
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
	first, second := sites()
	moved := func(strength float64) float64 {
		m, err := continual.EWC{Steps: 100, Strength: strength}.Fit(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		next, err := m.Update(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		before, err := m.State().Tensors["net.0.weight"].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		after, err := next.State().Tensors["net.0.weight"].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		held, err := m.State().Tensors["importance.0.weight"].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, v := range held {
			sum += v * (after[i] - before[i]) * (after[i] - before[i])
		}
		return sum
	}
	free, some, much := moved(1e-3), moved(1e2), moved(1e6)
	if !(some < free/3 && much < some/3) {
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
