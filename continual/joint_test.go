package continual_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleJoint() {
	first, _ := days()
	m, err := continual.Joint{Steps: 200}.Fit(context.Background(), first)
	old, fresh := remembered(afterBoth(m, err))
	fmt.Println("after the second day:", old, "of the first 4,", fresh, "of the second")
	// Output:
	// after the second day: 4 of the first 4, 4 of the second
}

func TestJointForgets(t *testing.T) {
	forgets(t, func(in *data.Table) (method.Model, error) { return continual.Joint{Steps: 3}.Fit(t.Context(), in) })
}

// TestJointIsAFitOnAllRows, to the byte, whatever the tasks.
func TestJointIsAFitOnAllRows(t *testing.T) {
	all := rows(t, 3, 90, 4, 3)
	c := continual.Joint{Steps: 2, Hidden: 5, Seed: 7}
	whole, err := c.Fit(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Fit(t.Context(), byClass(all, "2"))
	if err != nil {
		t.Fatal(err)
	}
	next, err := m.Update(t.Context(), byClass(all, "0", "1"))
	if err != nil || hash(t, next) != hash(t, whole) {
		t.Errorf("in two tasks another model than at once (%v)", err)
	}
	if _, err := m.Forget(t.Context(), byClass(all, "0")); !errors.Is(err, data.ErrShape) {
		t.Errorf("rows that were never learned: %v", err)
	}
}
