package continual_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleAGEM() {
	first, second := sites()
	m, err := continual.AGEM{Steps: 1000, Capacity: 4}.Fit(context.Background(), first)
	bent := afterSites(m, err)
	fmt.Println(right(bent, first), "of the first site's 4,", right(bent, second), "of the second's")
	// Output:
	// 4 of the first site's 4, 4 of the second's
}

// TestAGEMTouchesNothing: where kept rows ask for the same as the task, training is what it is without them, to the bit.
func TestAGEMTouchesNothing(t *testing.T) {
	first, _ := sites()
	weights := func(m method.Model, err error) string {
		for range 3 {
			if err != nil {
				t.Fatal(err)
			}
			m, err = m.(method.Updater).Update(t.Context(), first)
		}
		if err != nil {
			t.Fatal(err)
		}
		x, err := m.State().Tensors["net.0.weight"].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(x)
	}
	plain, err := continual.FineTune{Steps: 20}.Fit(t.Context(), first)
	want := weights(plain, err)
	kept, err := continual.AGEM{Steps: 20, Capacity: 4}.Fit(t.Context(), first)
	if have := weights(kept, err); have != want {
		t.Errorf("weights %s, without kept rows %s", have, want)
	}
}

// TestAGEMKeepsMore than plain tuning, on domains that share their classes.
func TestAGEMKeepsMore(t *testing.T) {
	first, _ := sites()
	after := func(m method.Model, err error) (old *data.Table) {
		old, err = afterSites(m, err).(method.Predictor).Predict(first)
		if err != nil {
			t.Fatal(err)
		}
		return old
	}
	plain, err := continual.FineTune{Steps: 200}.Fit(t.Context(), first)
	a := after(plain, err)
	kept, err := continual.AGEM{Steps: 200, Capacity: 4}.Fit(t.Context(), first)
	b := after(kept, err)
	for i := range 4 {
		k := map[string]int{"apple": 0, "pear": 1}[first.ClassName(i)]
		if b.Row(i)[k] <= a.Row(i)[k] {
			t.Errorf("row %d of the first site is what it is with probability %.3f, without kept rows %.3f", i, b.Row(i)[k], a.Row(i)[k])
		}
	}
}
