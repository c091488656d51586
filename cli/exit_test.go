package cli

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/method"
)

// TestFitRefusedByItsOwnTest: a method that tests the data before it answers, and does not answer, ends as a gate does.
func TestFitRefusedByItsOwnTest(t *testing.T) {
	fixture(t)
	for _, s := range specs() {
		if !s.TwoClasses {
			continue
		}
		refused(t, exitFailed, []string{"two classes"}, "fit", s.ID(), "--train", "train.csv", "--label", "y", "-o", "m.gimbal")
		if !slices.ContainsFunc(s.Params, func(p method.Param) bool { return p.Name == "excess" }) { // it answers whatever the data
			continue
		}
		refused(t, exitGate, []string{"two.csv", "refused", "test", "is allowed"}, "fit", s.ID(), "--train", "two.csv", "--label", "y", "--no-whiten", "--excess", "0.001", "-o", "m.gimbal")
		o := fitted(t, s.ID())
		for _, name := range []string{"error", "excess", "moments_statistic", "moments_threshold"} {
			if _, ok := o[name].(float64); !ok {
				t.Errorf("%s: its report lacks %s: %v", s.ID(), name, o)
			}
		}
	}
}

// fitted is what fit says with --json.
func fitted(t *testing.T, id string) map[string]any {
	t.Helper()
	o := map[string]any{}
	if err := json.Unmarshal([]byte(must(t, "fit", id, "--train", "two.csv", "--label", "y", "-o", "m.gimbal", "--json")), &o); err != nil {
		t.Fatal(err)
	}
	return o
}
