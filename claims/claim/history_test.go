package claim

import (
	"slices"
	"testing"
)

func TestEachRunIsKept(t *testing.T) {
	var stored *Result
	for i, v := range []Verdict{Open, Holds, Holds, Fails, Fails} {
		r := &Result{Verdict: v, Difference: Interval{Value: float64(i)}, Outcomes: make([]Outcome, 5+i), When: string(rune('a' + i))}
		r.Follow(stored)
		stored = r
	}
	runs := stored.Runs()
	if len(runs) != 5 || len(stored.Earlier) != 4 {
		t.Fatalf("have %d runs, %d earlier, want 5 and 4", len(runs), len(stored.Earlier))
	}
	for i, r := range runs {
		if r.Difference.Value != float64(i) || r.Seeds != 5+i {
			t.Errorf("run %d is %+v", i, r)
		}
	}
	was, at, ok := stored.Changed()
	if !ok || was != Holds || at.Verdict != Fails || at.When != "d" {
		t.Errorf("changed from %s at %+v, %v; want from holds in run d", was, at, ok)
	}
	before := slices.Clone(stored.Earlier)
	(&Result{}).Follow(stored)
	if !slices.Equal(before, stored.Earlier) {
		t.Error("following a result changed it")
	}
}

func TestOneRunNeverChanged(t *testing.T) {
	r := &Result{Verdict: Holds}
	r.Follow(nil)
	if _, _, ok := r.Changed(); ok || len(r.Runs()) != 1 {
		t.Errorf("a first run has %d runs, changed %v", len(r.Runs()), ok)
	}
}
