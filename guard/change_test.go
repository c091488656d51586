package guard_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
)

func TestApplyIsOneAfterTheOther(t *testing.T) {
	g := fit(t, guard.Config{}, rows(1, 800, "a", "b"))
	narrow, _ := data.NewTable(1, 3, make([]float32, 3))
	changes := []guard.Change{
		{Rows: rows(2, 3, "owl")},
		{Rows: rows(3, 40, "a", "b")},
		{Rows: narrow},
		{Rows: rows(2, 1, "owl"), Forget: true},
		{Alpha: 0.1},
		{Rows: rows(9, 60, "zebra"), Forget: true}, // never seen
		{Rows: rows(4, 30, "owl", "a"), Teach: true},
		{Rows: rows(3, 20, "a", "b"), Forget: true, Alpha: 0.2},
		{Rows: narrow, Alpha: 0.3},
		{Alpha: 0.0001},
	}
	refused := []bool{2: true, 5: true, 8: true, 9: true}
	want := g
	for i, c := range changes {
		next, errs := want.Apply(t.Context(), []guard.Change{c})
		if (errs[0] != nil) != refused[i] {
			t.Fatalf("change %d: %v", i, errs[0])
		}
		if next != nil {
			want = next
		}
	}
	before := g.Hash()
	for _, cut := range []int{0, 4, 7} { // changes before the second call
		have, at := g, 0
		for _, part := range [][]guard.Change{changes[:cut], changes[cut:]} {
			next, errs := have.Apply(t.Context(), part)
			for _, err := range errs {
				if (err != nil) != refused[at] {
					t.Errorf("cut at %d: change %d: %v", cut, at, err)
				}
				at++
			}
			if next != nil {
				have = next
			}
		}
		if have.Hash() != want.Hash() {
			t.Errorf("cut at %d: another guard than one change after the other", cut)
		}
	}
	if g.Hash() != before || want.Alpha() != 0.2 {
		t.Errorf("the old guard changed, or the rate is %g", want.Alpha())
	}
}

func TestForgettingMayLeaveTooFewToCalibrate(t *testing.T) {
	whole := rows(1, 300, "a", "b")
	g := fit(t, guard.Config{Calibration: 0.1}, whole)
	// Together the two changes could be fitted; one after the other the first one cannot, so it is refused either way.
	next, errs := g.Apply(t.Context(), []guard.Change{{Rows: whole.Slice(0, 250), Forget: true}, {Rows: rows(2, 300, "a", "b")}})
	if !errors.Is(errs[0], method.ErrConfig) || errs[1] != nil || next == nil {
		t.Errorf("%v", errs)
	}
}

func TestReplicasAgree(t *testing.T) {
	base := fit(t, guard.Config{}, rows(1, 900, "a", "b"))
	feedback := []*data.Table{rows(2, 40, "a", "b"), rows(3, 25, "owl"), rows(4, 60, "b", "owl"), rows(5, 7, "fox")}
	replicas := make([]*guard.Guard, len(feedback))
	for i, f := range feedback {
		var err error
		if replicas[i], err = base.Update(t.Context(), f, true); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if replicas[0], err = replicas[0].Forget(t.Context(), rows(1, 100, "a", "b")); err != nil { // rows that base learned
		t.Fatal(err)
	}
	one := base // the guard that saw all of it
	for _, f := range feedback {
		if one, err = one.Update(t.Context(), f, true); err != nil {
			t.Fatal(err)
		}
	}
	if one, err = one.Forget(t.Context(), rows(1, 100, "a", "b")); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		r.Shuffle(len(replicas), func(i, j int) { replicas[i], replicas[j] = replicas[j], replicas[i] })
		all, err := guard.Combine(t.Context(), base, replicas...)
		if err != nil {
			t.Fatal(err)
		}
		if all.Hash() != one.Hash() {
			t.Error("replicas together differ from one guard that saw everything")
		}
	}
	same, err := guard.Combine(t.Context(), base)
	if err != nil || same.Hash() != base.Hash() {
		t.Errorf("nothing to combine: %v", err)
	}
	other := fit(t, guard.Config{Seed: 9}, rows(1, 900, "a", "b"))
	if _, err := guard.Combine(t.Context(), base, other); !errors.Is(err, method.ErrConfig) {
		t.Errorf("a replica of another guard: %v", err)
	}
	forgot, err := base.Forget(t.Context(), rows(1, 500, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guard.Combine(t.Context(), base, forgot, forgot); !errors.Is(err, data.ErrShape) {
		t.Errorf("the same rows forgotten twice: %v", err)
	}
}

func TestReplicasAgreeAcrossHalvings(t *testing.T) {
	base := fit(t, guard.Config{Calibration: 0.9}, rows(1, 12000, "a", "b"))
	grown, err := base.Update(t.Context(), rows(2, 14000, "a", "b"), false) // more than 20,000 would calibrate
	if err != nil {
		t.Fatal(err)
	}
	small, err := base.Update(t.Context(), rows(3, 50, "a", "b"), false)
	if err != nil {
		t.Fatal(err)
	}
	a, err := guard.Combine(t.Context(), base, grown, small)
	if err != nil {
		t.Fatal(err)
	}
	b, err := guard.Combine(t.Context(), base, small, grown)
	if err != nil {
		t.Fatal(err)
	}
	one, err := grown.Update(t.Context(), rows(3, 50, "a", "b"), false)
	if err != nil {
		t.Fatal(err)
	}
	if a.Hash() != b.Hash() || a.Hash() != one.Hash() {
		t.Errorf("%.12s, %.12s, one guard %.12s", a.Hash(), b.Hash(), one.Hash())
	}
}
