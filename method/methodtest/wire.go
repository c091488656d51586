package methodtest

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// Way is one way to reach a method: a program's flags, a server's routes.
type Way struct {
	Name string
	// Answer fits the method on a bundle, or applies it, with its parameters given as flags, and says what came of it.
	Answer func(s method.Spec, flags map[string]string, in data.Bundle, query *data.Table) (Answer, error)
}

// Answer is what a way says: the hash of the fitted model's state, or of what a map made, and the numbers of each verb for the query.
type Answer struct {
	State string
	Verbs map[string][]float64
}

// Wire is the check that all ways lead to the same method: they give the same bits as a call of this process does.
func Wire(ways ...Way) Check {
	return Check{Name: "wire", When: canBeSent, Run: func(t *T) {
		y := toys(t.Spec)[0]
		in := sendable(t.Spec, y.in)
		flags, want := t.moved(in, y.query)
		for _, w := range ways {
			have, err := w.Answer(t.Spec, flags, in, y.query)
			if err != nil {
				t.Errorf("%s, %v: %v", w.Name, flags, err)
				continue
			}
			if d := have.differs(want); d != "" {
				t.Errorf("%s, %v: %s", w.Name, flags, d)
			}
		}
	}}
}

// canBeSent reports whether all that a method must have can be written to files.
func canBeSent(s method.Spec) bool {
	for _, slot := range s.Inputs {
		if !slot.Optional && !slices.Contains(fileKinds, slot.Kind) {
			return false
		}
	}
	return true
}

var fileKinds = []data.Kind{data.KindTable, data.KindCheckpoint, data.KindCheckpoints}

func sendable(s method.Spec, in data.Bundle) data.Bundle {
	out := data.Bundle{}
	for _, slot := range s.Inputs {
		if slices.Contains(fileKinds, slot.Kind) {
			out[slot.Name] = in[slot.Name]
		}
		if t, ok := in[slot.Name].(*data.Table); ok {
			out[slot.Name] = asRead(t)
		}
	}
	return out
}

// asRead numbers a table's classes as a reader of a file does, in order of appearance.
func asRead(t *data.Table) *data.Table {
	labels, err := t.Labels()
	if err != nil {
		return t
	}
	var classes []string
	next := make([]int, len(labels))
	for i := range labels {
		if next[i] = slices.Index(classes, t.ClassName(i)); next[i] < 0 {
			next[i] = len(classes)
			classes = append(classes, t.ClassName(i))
		}
	}
	return must(t.WithLabels(next, classes))
}

// moved answers in this process, with as many knobs as possible away from their defaults: a way that loses one is found.
func (t *T) moved(in data.Bundle, query *data.Table) (map[string]string, Answer) {
	flags := maps.Clone(t.Spec.Small)
	if flags == nil {
		flags = map[string]string{}
	}
	want, err := t.here(flags, in, query)
	if err != nil {
		t.Fatalf("in this process: %v", err)
	}
	for _, p := range t.Spec.Params {
		if _, small := flags[p.Name]; small {
			continue
		}
		for _, text := range alternatives(t.Spec, p) {
			more := maps.Clone(flags)
			more[p.Name] = text
			if a, err := t.here(more, in, query); err == nil && a.differs(want) != "" {
				return more, a
			}
		}
	}
	return flags, want
}

func values(t *data.Table) []float64 {
	out := make([]float64, len(t.X()))
	for i, x := range t.X() {
		out[i] = float64(x)
	}
	return out
}

func (t *T) here(flags map[string]string, in data.Bundle, query *data.Table) (Answer, error) {
	cfg, err := t.Spec.Configure(flags)
	if err != nil {
		return Answer{}, err
	}
	if !t.Spec.Learns() {
		v, err := t.Spec.Apply(t.ctx, cfg, in)
		if err != nil {
			return Answer{}, err
		}
		if table, ok := v.(*data.Table); ok {
			return Answer{Verbs: map[string][]float64{"apply": values(table)}}, nil
		}
		c, ok := v.(*data.Checkpoint)
		if !ok {
			return Answer{}, fmt.Errorf("%w: a %s has no file format", method.ErrInput, v.Kind())
		}
		h, err := c.Hash()
		return Answer{State: h}, err
	}
	m, err := t.Spec.Fit(t.ctx, cfg, in)
	if err != nil {
		return Answer{}, err
	}
	h, err := m.State().Hash()
	if err != nil {
		return Answer{}, err
	}
	a := Answer{State: h, Verbs: map[string][]float64{}}
	if query == nil {
		return a, nil
	}
	table := func(verb string, out *data.Table, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", verb, err)
		}
		a.Verbs[verb] = flatten(verb, out).values
		return nil
	}
	if s, ok := m.(method.Scorer); ok {
		if a.Verbs["score"], err = s.Score(query); err != nil {
			return a, fmt.Errorf("score: %w", err)
		}
	}
	if p, ok := m.(method.Predictor); ok {
		out, err := p.Predict(query)
		if err := table("predict", out, err); err != nil {
			return a, err
		}
	}
	if p, ok := m.(method.SetPredictor); ok {
		out, err := p.Sets(query)
		if err := table("sets", out, err); err != nil {
			return a, err
		}
	}
	if c, ok := m.(method.Tester); ok {
		out, err := c.Test(t.ctx, query)
		if err != nil {
			return a, fmt.Errorf("test: %w", err)
		}
		a.Verbs["test"] = []float64{out.PValue, out.Statistic}
	}
	return a, nil
}

// differs says how an answer differs from another, "" when not.
func (a Answer) differs(b Answer) string {
	if a.State != b.State {
		return fmt.Sprintf("state %.12s instead of %.12s", a.State, b.State)
	}
	for _, verb := range slices.Sorted(maps.Keys(b.Verbs)) {
		have, want := a.Verbs[verb], b.Verbs[verb]
		if len(have) != len(want) {
			return fmt.Sprintf("%s: %d values instead of %d", verb, len(have), len(want))
		}
		for i, x := range have {
			if math.Float64bits(x) != math.Float64bits(want[i]) {
				return fmt.Sprintf("%s: value %d is %.17g instead of %.17g", verb, i+1, x, want[i])
			}
		}
	}
	return ""
}
