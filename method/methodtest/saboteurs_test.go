package methodtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/method/methodtest/saboteurs"
	"github.com/gimbal-ml/gimbal/moments"
)

// failures is Failures with a limit that the saboteur [saboteurs.Slow] breaks and the others, race detector and all, do not.
func failures(s method.Spec, more ...Check) (all []Failure) {
	run(s, saboteurs.SlowFor*9/10, more, func(name string, body func() (string, []string)) {
		_, bad := body()
		for _, text := range bad {
			all = append(all, Failure{name, text})
		}
	})
	return all
}

func TestEverySaboteurIsCaughtByItsCheck(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range saboteurs.Methods() {
		seen[s.Caught] = true
		t.Run(s.ID(), func(t *testing.T) {
			var by []string
			for _, f := range failures(s.Spec) {
				by = append(by, f.Check)
				t.Logf("%s: %.300s", f.Check, f.Text)
			}
			by = slices.Compact(by)
			want := []string{s.Caught}
			if s.Caught == "" {
				want = nil
			}
			if !slices.Equal(by, want) {
				t.Errorf("caught by %v, want %v", by, want)
			}
		})
	}
	for _, name := range Names() {
		if !seen[name] && name != "merge" { // whose saboteur is a state that loses rows: TestMergeLaw
			t.Errorf("no saboteur tests the check %q", name)
		}
	}
}

func spec(t *testing.T, id string) method.Spec {
	t.Helper()
	all := saboteurs.Methods()
	i := slices.IndexFunc(all, func(s saboteurs.Saboteur) bool { return s.ID() == id })
	if i < 0 {
		t.Fatalf("no saboteur %s", id)
	}
	return all[i].Spec
}

func TestMergeLaw(t *testing.T) {
	for what, merge := range map[string]func(into, from *moments.State) error{
		"loses single rows": func(into, from *moments.State) error {
			if from.Rows() == 1 {
				return nil
			}
			return into.Merge(from)
		},
		"counts what it meets first twice": func(into, from *moments.State) error {
			if into.Rows() == 0 {
				if err := into.Merge(from); err != nil {
					return err
				}
			}
			return into.Merge(from)
		},
	} {
		r := newT(spec(t, "detect/honest"))
		r.guard(func(r *T) { mergeLaw(r, merge) })
		if len(r.failures) == 0 {
			t.Errorf("a merge that %s is not caught", what)
		}
	}
}

func TestExemptions(t *testing.T) {
	for _, c := range []struct {
		id     string
		exempt map[string]string
		want   []string // of the failures' texts, a part each
	}{
		{"detect/honest", nil, nil},
		{"detect/honest", map[string]string{"merge": "not needed"}, []string{`"merge" passes`}},
		{"detect/honest", map[string]string{"no-such-check": "reason"}, []string{`no check is called "no-such-check"`}},
		{"weights/average", map[string]string{"merge": "reason"}, []string{`"merge" does not apply`}},
		{"detect/signflipped", map[string]string{"direction": "the paper's sign"}, nil},
		{"detect/signflipped", map[string]string{"direction": " "}, []string{"AUROC 0.00", `"direction" is exempt without a reason`}},
		{"detect/signflipped", map[string]string{"not-constant": "reason"}, []string{"AUROC 0.00", `"not-constant" passes`}},
	} {
		s := spec(t, c.id)
		s.Exempt = c.exempt
		have := failures(s)
		if len(have) != len(c.want) {
			t.Errorf("%s exempt %v: have %v, want %v", c.id, c.exempt, have, c.want)
			continue
		}
		for i, f := range have {
			if !strings.Contains(f.Text, c.want[i]) {
				t.Errorf("%s exempt %v: have %q, want %q", c.id, c.exempt, f.Text, c.want[i])
			}
		}
	}
}

func TestMoreChecks(t *testing.T) {
	mine := Check{Name: "mine", Run: func(t *T) { t.Fatalf("%s has no claim", t.Spec.ID()) }}
	never := Check{Name: "never", When: func(method.Spec) bool { return false }, Run: func(t *T) { t.Errorf("ran") }}
	wild := Check{Name: "wild", Run: func(*T) { panic(errors.New("out of range")) }}
	have := failures(spec(t, "weights/average"), mine, never, wild)
	if len(have) != 2 || have[0] != (Failure{"mine", "weights/average has no claim"}) || have[1].Check != "wild" || !strings.Contains(have[1].Text, "panic: out of range at saboteurs_test.go:") {
		t.Errorf("have %v", have)
	}
}

func TestGates(t *testing.T) {
	s := spec(t, "detect/slow")
	ran := false
	run(s, time.Millisecond, nil, func(name string, body func() (string, []string)) {
		if note, bad := body(); name == "direction" {
			ran = note != "not run: defaults-run failed" || bad != nil
		}
	})
	if ran {
		t.Error("direction ran after defaults-run failed")
	}
}

func TestSaidDefault(t *testing.T) {
	for text, want := range map[string]string{
		"Ridge is added. Defaults to 1e-6.":          "1e-6",
		"Ridge is added (default 0.5).":              "0.5",
		"Ridge is the paper's; its default is zero":  "",
		"Wide is on by default: see [X]":             "",
		"Steps, by default 30, is how many":          "30",
		"Wide defaults to false":                     "false",
		"Steps keeps the default of the code, not 7": "",
	} {
		if have, ok := saidDefault(text); have != want || ok != (want != "") {
			t.Errorf("%q: %q, want %q", text, have, want)
		}
	}
}

func TestMutateIsDeterministicAndChangesSomething(t *testing.T) {
	s := spec(t, "detect/honest")
	r := newT(s)
	_, good := r.saved(s.Config(), toys(s)[0].in)
	changed := map[byte]bool{}
	for what := range byte(10) {
		for where := range byte(20) {
			for how := range byte(8) {
				a, b := mutate(good, []byte{what, where, how}), mutate(good, []byte{what, where, how})
				x, y := must(a.Hash()), must(b.Hash())
				if x != y {
					t.Fatalf("program %d %d %d is not deterministic", what, where, how)
				}
				changed[what] = changed[what] || x != must(good.Hash())
			}
		}
	}
	if len(changed) != 10 || fmt.Sprint(changed) != fmt.Sprint(map[byte]bool{0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true}) {
		t.Errorf("changes that do nothing: %v", changed)
	}
}

func FuzzState(f *testing.F) {
	var specs []method.Spec
	for _, s := range saboteurs.Methods() {
		if s.Caught == "" {
			specs = append(specs, s.Spec)
		}
	}
	Fuzz(f, specs)
}

// The toy head knows the toy classes, wherever the features are moved to, and one for any table has its shape.
func TestToyHead(t *testing.T) {
	for _, shift := range []float64{0, far} {
		r := separable
		r.shift = shift
		x, h := r.table("train"), r.head()
		w, shape := must2(h.Floats("weight", -1, -1))
		b, _ := must2(h.Floats("bias", -1))
		labels := must(x.Labels())
		for i, c := range labels {
			z := slices.Clone(b)
			for k := range z {
				for j, v := range x.Row(i) {
					z[k] += w[k*shape[1]+j] * float64(v)
				}
			}
			if best, _ := argmax(z); best != c {
				t.Errorf("shift %g, row %d of class %d: logits %v", shift, i+1, c, z)
			}
		}
	}
	for _, o := range oddities {
		x := o.table()
		in := withHead(data.Bundle{"train": x, headSlot: separable.head()}, x)
		if shape := in[headSlot].(*data.Checkpoint).Tensors["weight"].Shape; !slices.Equal(shape, []int{o.shared, o.d}) {
			t.Errorf("%s: a head of shape %v for %d classes and %d columns", o.name, shape, o.shared, o.d)
		}
	}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}
