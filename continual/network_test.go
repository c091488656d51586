package continual_test

import (
	"context"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// days are two tasks of two classes each.
func days() (first, second *data.Table) {
	first, _ = data.NewTable(4, 2, []float32{3, 0, 4, 1, 0, 3, 1, 4})
	first, _ = first.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	second, _ = data.NewTable(4, 2, []float32{-3, 0, -4, -1, 0, -3, -1, -4})
	second, _ = second.WithClassNames([]string{"fig", "fig", "plum", "plum"})
	return first, second
}

// remembered counts the rows of both days that a model gets right.
func remembered(m method.Model) (old, fresh int) {
	first, second := days()
	right := func(in *data.Table) (n int) {
		p, err := m.(method.Predictor).Predict(in)
		if err != nil {
			panic(err)
		}
		for i := range 4 {
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
	return right(first), right(second)
}

func afterBoth(m method.Model, err error) method.Model {
	if err != nil {
		panic(err)
	}
	_, second := days()
	next, err := m.(method.Updater).Update(context.Background(), second)
	if err != nil {
		panic(err)
	}
	return next
}

func accuracy(t testing.TB, m method.Model, in *data.Table) float64 {
	t.Helper()
	p := predict(t, m.(method.Predictor), in)
	n, _ := in.Dims()
	right := 0
	for i := range n {
		best := 0
		for k, v := range p.Row(i) {
			if v > p.Row(i)[best] {
				best = k
			}
		}
		if p.Columns()[best] == in.ClassName(i) {
			right++
		}
	}
	return float64(right) / float64(n)
}

// taught takes a method through tasks of one class each and returns its accuracy on all.
func taught(t testing.TB, fit func(*data.Table) (method.Model, error)) float64 {
	t.Helper()
	all := rows(t, 6, 300, 8, 4)
	m, err := fit(byClass(all, "0", "1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"2", "3"} {
		if m, err = m.(method.Updater).Update(t.Context(), byClass(all, c)); err != nil {
			t.Fatal(err)
		}
	}
	return accuracy(t, m, rows(t, 7, 300, 8, 4))
}

func TestNetworksRemember(t *testing.T) {
	ctx := t.Context()
	fine := taught(t, func(in *data.Table) (method.Model, error) { return continual.FineTune{}.Fit(ctx, in) })
	joint := taught(t, func(in *data.Table) (method.Model, error) { return continual.Joint{}.Fit(ctx, in) })
	if fine > 0.6 || joint < 0.9 {
		t.Errorf("trained task by task %.2f, jointly %.2f; want at most 0.6, and above 0.9", fine, joint)
	}
	for _, strategy := range []string{"balanced", "reservoir", "herding"} {
		a := taught(t, func(in *data.Table) (method.Model, error) {
			return continual.Replay{Capacity: 40, Strategy: strategy}.Fit(ctx, in)
		})
		if a < fine+0.25 || a > joint+0.05 {
			t.Errorf("with 40 rows kept (%s) %.2f; task by task %.2f, jointly %.2f", strategy, a, fine, joint)
		}
	}
}

// TestNetworkUpdateOfNoRows leaves a model what it is.
func TestNetworkUpdateOfNoRows(t *testing.T) {
	first, _ := days()
	m, err := continual.FineTune{Hidden: 3}.Fit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	next, err := m.Update(t.Context(), first.Slice(0, 0))
	if err != nil || hash(t, m) != hash(t, next) {
		t.Errorf("%v", err)
	}
}
