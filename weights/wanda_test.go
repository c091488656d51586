package weights_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/moments"
	"github.com/gimbal-ml/gimbal/weights"
)

// reads is the moments state of rows that a matrix is multiplied with.
func reads(names []string, d int, x ...float32) *data.Checkpoint {
	t, err := data.NewTable(len(x)/d, d, x)
	if names != nil {
		t, err = data.NewNamed(len(x)/d, names, x)
	}
	if err != nil {
		panic(err)
	}
	s, err := moments.FromSource(context.Background(), t, moments.Options{})
	if err != nil {
		panic(err)
	}
	return s.Checkpoint()
}

func ExampleWanda() {
	// The second column is ten times as active as the others: its small weight stays.
	out, err := weights.Wanda{}.Apply(context.Background(), weights.WandaInput{
		In:      matrix("w", 1, 4, 0.5, 0.2, -0.3, 0.9),
		Moments: reads(nil, 4, 1, 10, 1, 1 /**/, -1, -10, 1, -1),
	})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 1, 4)
	fmt.Printf("%.1f\n", w)
	// Output:
	// [0.0 0.2 0.0 0.9]
}

func TestWandaGroupsAndNames(t *testing.T) {
	in := matrix("a", 2, 4, 4, 3, 2, 1 /**/, 1, 2, 3, 4)
	in.Tensors["b"] = data.CastTensor(data.F32, []float64{1, 2, 3, 4}, 1, 4)
	state := reads([]string{"a.1", "a.0", "a.3", "a.2", "other"}, 5, 1, 1, 1, 1, 9 /**/, -1, -1, -1, -1, 9)
	out := apply(t, "wanda", map[string]string{"group": "2", "kept": "1"}, data.Bundle{"in": in, "moments": state})
	a, _, _ := out.Floats("a", 2, 4)
	if !slices.Equal(a, []float64{4, 0, 2, 0, 0, 2, 0, 4}) {
		t.Errorf("1:2 gives %v", a)
	}
	if b, _, _ := out.Floats("b", 1, 4); !slices.Equal(b, []float64{1, 2, 3, 4}) {
		t.Errorf("a matrix that the state does not know: %v", b)
	}
	for _, c := range []struct {
		flags map[string]string
		state *data.Checkpoint
		words string
	}{
		{map[string]string{"group": "3"}, state, "which --group 3 does not divide"},
		{map[string]string{"group": "2"}, state, "nothing would go"},
		{nil, reads([]string{"a.0", "a.1"}, 2, 1, 2), "column a.2 is missing"},
		{nil, reads([]string{"x.0", "x.1"}, 2, 1, 2), "no column of the moments state is named"},
		{nil, in, "moments"},
	} {
		if _, err := tryApply(t, "wanda", c.flags, data.Bundle{"in": in, "moments": c.state}); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v, want %q", err, c.words)
		}
	}
}
