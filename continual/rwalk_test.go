package continual_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
)

func ExampleRWalk() {
	first, second := sites()
	m, err := continual.RWalk{Steps: 200}.Fit(context.Background(), first)
	held := afterSites(m, err)
	fmt.Println(right(held, first), "of the first site's 4,", right(held, second), "of the second's")
	// Output:
	// 4 of the first site's 4, 4 of the second's
}

// TestRWalkHolds: what counted for the first task stays the nearer to where it was, the stronger it is held.
func TestRWalkHolds(t *testing.T) {
	first, _ := sites()
	by := func(strength float64) float64 {
		m, err := continual.RWalk{Steps: 100, Strength: strength}.Fit(t.Context(), first)
		return moved(t, m, err)
	}
	if free, some, much := by(1e-3), by(1e2), by(1e6); !(some < free/3 && much < some/3) {
		t.Errorf("by importance, weights moved %.3g at strength 0.001, %.3g at 100, %.3g at a million", free, some, much)
	}
}
