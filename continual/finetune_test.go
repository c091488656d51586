package continual_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
)

func ExampleFineTune() {
	first, _ := days()
	m, err := continual.FineTune{Steps: 200}.Fit(context.Background(), first)
	if err != nil {
		panic(err)
	}
	old, _ := remembered(m)
	fmt.Println("after the first day:", old, "of 4")
	old, fresh := remembered(afterBoth(m, err))
	fmt.Println("after the second:", old, "of the first 4,", fresh, "of the second")
	// Output:
	// after the first day: 4 of 4
	// after the second: 0 of the first 4, 4 of the second
}

// TestFineTuneStartsWhereItStood: one pass at a rate of nearly zero changes nearly nothing, but makes outputs for new classes.
func TestFineTuneStartsWhereItStood(t *testing.T) {
	first, second := days()
	m, err := continual.FineTune{Steps: 100}.Fit(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	next := afterBoth(continual.FineTune{Steps: 1, Rate: 1e-9}.Fit(t.Context(), first))
	p := predict(t, next.(*continual.FineTuneModel), second)
	if got := fmt.Sprint(p.Columns()); got != "[apple pear fig plum]" {
		t.Errorf("classes %s: old ones keep their places", got)
	}
	for _, v := range p.Row(0) {
		if v < 0.249 || v > 0.251 {
			t.Errorf("untrained outputs say %v", p.Row(0))
		}
	}
	if old, _ := remembered(m); old != 4 {
		t.Errorf("%d of 4 after 100 passes", old)
	}
}
