package continual_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleSLCA() {
	first, _ := days()
	m, err := continual.SLCA{}.Fit(context.Background(), first)
	old, fresh := remembered(afterBoth(m, err))
	fmt.Println("after the second day:", old, "of the first 4,", fresh, "of the second")
	// Output:
	// after the second day: 4 of the first 4, 4 of the second
}

// TestSLCAAlignsWhatTuningForgets: without a row of earlier tasks it comes near joint training, where tuning over all outputs forgets.
func TestSLCAAlignsWhatTuningForgets(t *testing.T) {
	ctx := t.Context()
	fine := taught(t, func(in *data.Table) (method.Model, error) { return continual.FineTune{}.Fit(ctx, in) })
	for _, hidden := range []int{0, 32} {
		a := taught(t, func(in *data.Table) (method.Model, error) { return continual.SLCA{Hidden: hidden}.Fit(ctx, in) })
		if a < 0.85 || a < fine+0.2 {
			t.Errorf("hidden %d: %.2f; tuned task by task %.2f", hidden, a, fine)
		}
	}
}

// TestSLCAOnOneCovariance: classes of one isotropic covariance are parted by the planes half way between means; the aligned linear head
// must come near those of the closed form.
func TestSLCAOnOneCovariance(t *testing.T) {
	all, query := rows(t, 11, 600, 5, 4), rows(t, 12, 1000, 5, 4)
	var m method.Model
	m, err := continual.SLCA{Steps: 40, Alignment: 20}.Fit(t.Context(), byClass(all, "0", "1"))
	for _, c := range []string{"2", "3"} {
		if err != nil {
			t.Fatal(err)
		}
		m, err = m.(method.Updater).Update(t.Context(), byClass(all, c))
	}
	if err != nil {
		t.Fatal(err)
	}
	best, err := continual.StreamingLDA{Shrinkage: 1}.Fit(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	same := 0
	z := predict(t, m.(method.Predictor), query)
	closed := predict(t, best, query)
	for i := range 1000 {
		if z.Columns()[largest(z.Row(i))] == closed.Columns()[largest(closed.Row(i))] {
			same++
		}
	}
	if same < 930 { // means are shrunk by up to a twentieth, steps are few: the planes lie a little off
		t.Errorf("the aligned head and the closed form agree on %d of 1000 rows", same)
	}
}

func largest(x []float32) (at int) {
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return at
}
