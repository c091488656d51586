package continual_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleAPER() {
	first, _ := days()
	m, err := continual.APER{}.Fit(context.Background(), first)
	old, fresh := remembered(afterBoth(m, err))
	fmt.Println("after the second day:", old, "of the first 4,", fresh, "of the second")
	// Output:
	// after the second day: 4 of the first 4, 4 of the second
}

// TestAPERAdaptsOnTheFirstTaskOnly: later tasks change no direction of earlier classes; the first one brings features that part its classes.
func TestAPERAdaptsOnTheFirstTaskOnly(t *testing.T) {
	all := rows(t, 6, 400, 6, 4)
	first := byClass(all, "0", "1")
	m, err := continual.APER{Rate: 0.05}.Fit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	next, err := m.Update(t.Context(), byClass(all, "2", "3"))
	if err != nil {
		t.Fatal(err)
	}
	a, b := m.State(), next.(*continual.APERModel).State()
	for _, name := range []string{"adapter.down", "adapter.up", "adapter.bias", "adapter.out"} {
		x, _ := a.Tensors[name].Float64s()
		y, _ := b.Tensors[name].Float64s()
		if !slices.Equal(x, y) {
			t.Errorf("%s changed with the second task", name)
		}
		if name == "adapter.up" && !slices.ContainsFunc(x, func(v float64) bool { return v != 0 }) {
			t.Error("the adapter learned nothing")
		}
	}
	got := taught(t, func(in *data.Table) (method.Model, error) { return continual.APER{}.Fit(t.Context(), in) })
	if got < 0.9 {
		t.Errorf("accuracy %.2f", got)
	}
	if _, ok := next.(method.Forgetter); ok {
		t.Error("it says that it can forget")
	}
}
