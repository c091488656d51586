package moments_test

import (
	"errors"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/moments"
)

// TestOnlyIsTheClass: a class taken out of a state is the state of its rows alone, and without it the state never saw them, values
// beyond the grid included.
func TestOnlyIsTheClass(t *testing.T) {
	in, err := data.NewTable(5, 2, []float32{1, 2, 3, -4, 5, 6, 1e20, 8, 2, 2})
	if err == nil {
		in, err = in.WithClassNames([]string{"a", "b", "a", "b", "a"})
	}
	if err != nil {
		t.Fatal(err)
	}
	near := in.Slice(0, 3)
	frame, _, err := moments.Frame(t.Context(), near, true)
	if err != nil {
		t.Fatal(err)
	}
	of := func(rows ...int) *moments.State {
		s := frame.Empty()
		if err := s.Observe(in.Pick(rows)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	all := of(0, 1, 2, 3, 4)
	own, err := all.Only("b")
	if err != nil {
		t.Fatal(err)
	}
	if own.Hash() != of(1, 3).Hash() {
		t.Error("the class taken out is not the state of its rows")
	}
	if err := all.Subtract(own); err != nil || all.Hash() != of(0, 2, 4).Hash() {
		t.Errorf("without the class the state is not that of the others (%v)", err)
	}
	if _, err := all.Only("b"); !errors.Is(err, data.ErrLabels) {
		t.Errorf("a class without rows: %v", err)
	}
	plain, err := moments.FromSource(t.Context(), near, moments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Only("a"); !errors.Is(err, data.ErrShape) {
		t.Errorf("one scatter for all: %v", err)
	}
}
