package methodtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// refuses notes an error that is missing, wraps another sentinel than wanted, or leaves out a word that the user needs.
func (t *T) refuses(what string, err, want error, words ...string) {
	switch {
	case err == nil:
		t.Errorf("%s: accepted, want %q", what, want)
		return
	case !errors.Is(err, want):
		t.Errorf("%s: have %q, want an error that wraps %q", what, err, want)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: the error does not say %q: %q", what, w, err)
		}
	}
}

// do fits or applies, whichever the method does.
func (t *T) do(ctx context.Context, cfg any, in data.Bundle) error {
	if t.Spec.Learns() {
		_, err := t.Spec.Fit(ctx, cfg, in)
		return err
	}
	v, err := t.Spec.Apply(ctx, cfg, in)
	if err == nil {
		for _, a := range t.unpack("apply", v) { // lazy tensors are computed when read
			if a.err != nil {
				return a.err
			}
		}
	}
	return err
}

// checkWrongWidth: a table of another width, or a tensor of another shape, is refused with both sizes.
func checkWrongWidth(t *T) {
	for _, y := range toys(t.Spec) {
		if t.Spec.Learns() && takesTables(t.Spec) {
			t.checkModelWidth(y)
		}
		t.checkRowCounts(y)
		t.checkTensorShapes(y)
	}
}

// checkModelWidth asks a fitted model about rows that are one column too wide or too narrow.
func (t *T) checkModelWidth(y toy) {
	m := t.mustFit(y.in)
	_, d := y.query.Dims()
	for _, other := range []int{d + 1, d - 1} {
		have, want := fmt.Sprint(other), fmt.Sprint(d)
		query, task := cutTo(y.query, other), cutTo(y.task, other)
		for _, a := range t.ask(m, query) {
			t.refuses(fmt.Sprintf("%s: %s on %d columns, fitted on %d", y.name, a.verb, other, d), a.err, data.ErrShape, have, want)
		}
		if u, ok := m.(method.Updater); ok {
			_, err := u.Update(t.ctx, task)
			t.refuses(fmt.Sprintf("%s: update on %d columns, fitted on %d", y.name, other, d), err, data.ErrShape, have, want)
		}
		if f, ok := m.(method.Forgetter); ok {
			_, err := f.Forget(t.ctx, query)
			t.refuses(fmt.Sprintf("%s: forget on %d columns, fitted on %d", y.name, other, d), err, data.ErrShape, have, want)
		}
	}
}

// cutTo returns the table with d columns, the last one repeated where there are too few.
func cutTo(x *data.Table, d int) *data.Table {
	n, old := x.Dims()
	v := make([]float32, 0, n*d)
	for i := range n {
		for j := range d {
			v = append(v, x.Row(i)[min(j, old-1)])
		}
	}
	return must(must(data.NewTable(n, d, v)).WithLabels(must(x.Labels()), x.Classes()))
}

// checkRowCounts gives inputs that belong together row by row different numbers of rows. An optional table is one of its own.
func (t *T) checkRowCounts(y toy) {
	first := true
	for _, slot := range t.Spec.Inputs {
		x, ok := y.in[slot.Name].(*data.Table)
		if !ok || first || slot.Optional {
			first = first && !ok
			continue
		}
		n, _ := x.Dims()
		in := maps.Clone(y.in)
		in[slot.Name] = x.Slice(0, n-1)
		t.refuses(fmt.Sprintf("%s: input %s has %d rows, the others %d", y.name, slot.Name, n-1, n), t.do(t.ctx, t.Spec.Config(), in), data.ErrShape, fmt.Sprint(n-1), fmt.Sprint(n))
	}
}

// checkTensorShapes spoils the last checkpoint of a list, whose members must be of one architecture.
func (t *T) checkTensorShapes(y toy) {
	const name = "head.weight"
	spoil := func(change func(c *data.Checkpoint)) data.Bundle {
		return eachList(y.in, func(l data.Checkpoints) data.Checkpoints {
			c := cloneCheckpoint(l[len(l)-1])
			change(c)
			return append(slices.Clone(l[:len(l)-1]), c)
		})
	}
	if len(checkpoints(y.in)) < 2 || !slices.ContainsFunc(t.Spec.Inputs, func(s method.Slot) bool { return s.Kind == data.KindCheckpoints }) {
		return
	}
	wrong := spoil(func(c *data.Checkpoint) { c.Tensors[name] = data.CastTensor(data.BF16, make([]float64, 9), 3, 3) })
	t.refuses(y.name+": a tensor of another shape", t.do(t.ctx, t.Spec.Config(), wrong), data.ErrShape, name, "[3 3]", "[2 3]")
	missing := spoil(func(c *data.Checkpoint) { delete(c.Tensors, name) })
	err := t.do(t.ctx, t.Spec.Config(), missing)
	switch {
	case err == nil:
		t.Errorf("%s: a tensor that one checkpoint lacks: accepted", y.name)
	case unlawfulError(err) != "" || !strings.Contains(err.Error(), name):
		t.Errorf("%s: a tensor that one checkpoint lacks: want a sentinel error that names %s, have %q", y.name, name, err)
	}
}

// checkInputs: a missing, foreign or unknown input is refused; an optional one may be left out.
func checkInputs(t *T) {
	y := toys(t.Spec)[0]
	for _, slot := range t.Spec.Inputs {
		in := maps.Clone(y.in)
		in[slot.Name] = data.Numbers{}
		if slot.Kind == data.KindNumbers {
			in[slot.Name] = data.Checkpoints{}
		}
		t.refuses("input "+slot.Name+" of another kind", t.do(t.ctx, t.Spec.Config(), in), method.ErrInput, slot.Name)
		delete(in, slot.Name)
		if !slot.Optional {
			t.refuses("input "+slot.Name+" missing", t.do(t.ctx, t.Spec.Config(), in), method.ErrInput, slot.Name)
			continue
		}
		t.leaveOut(slot.Name, in)
	}
	in := maps.Clone(y.in)
	in["no such input"] = data.Numbers{}
	t.refuses("an input that does not exist", t.do(t.ctx, t.Spec.Config(), in), method.ErrInput, "no such input")
	var err error
	if t.Spec.Learns() {
		_, err = t.Spec.Apply(t.ctx, t.Spec.Config(), y.in)
	} else {
		_, err = t.Spec.Fit(t.ctx, t.Spec.Config(), y.in)
	}
	t.refuses("the verb that it does not have", err, method.ErrInput)
}

// leaveOut runs the method without an optional input, whatever words its knobs have.
func (t *T) leaveOut(name string, in data.Bundle) {
	flags := []map[string]string{{}}
	for _, p := range t.Spec.Params {
		for i, text := range alternatives(t.Spec, p) {
			if i == 0 || p.Enum != nil { // of a number, another one is enough
				flags = append(flags, map[string]string{p.Name: text})
			}
		}
	}
	for _, f := range flags {
		t.try(fmt.Sprintf("without input %s, knobs %v", name, f), func() {
			if err := t.do(t.ctx, must(t.Spec.Configure(f)), in); err != nil {
				if bad := unlawfulError(err); bad != "" {
					t.Errorf("without input %s, knobs %v: %s", name, f, bad)
				}
			}
		})
	}
}

// checkMissingLabels: without labels a method works, or says that it needs them; when the fit did, so may a verb.
func checkMissingLabels(t *T) {
	for _, y := range toys(t.Spec) {
		y.in = eachTable(y.in, unlabelled)
		y.task = unlabelled(y.task)
		for _, a := range t.observe(t.Spec.Config(), y) {
			if a.err != nil && !errors.Is(a.err, data.ErrLabels) {
				t.Errorf("%s: without labels: %s: have %q, want an answer or an error that wraps %q", y.name, a.verb, a.err, data.ErrLabels)
			}
		}
	}
}

// unlabelled is the table without labels.
func unlabelled(x *data.Table) *data.Table {
	n, d := x.Dims()
	u := must(data.NewTable(n, d, x.X()))
	if x.Targets() != nil {
		u = must(u.WithTargets(x.Targets()))
	}
	return u
}

// countdown is a context that is cancelled after it has been asked a number of times.
type countdown struct {
	context.Context
	left atomic.Int64
}

// Err asks.
func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// Done asks too.
func (c *countdown) Done() <-chan struct{} {
	if c.left.Add(-1) >= 0 {
		return nil
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// checkCancel: under a cancelled context nothing is begun, and a cancellation on the way gives no half result.
func checkCancel(t *T) {
	y := toys(t.Spec)[0]
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	type step struct {
		verb string
		run  func(ctx context.Context) ([]answer, error)
	}
	model := func(m method.Model, err error) ([]answer, error) {
		if err != nil {
			return nil, err
		}
		return append([]answer{t.stateOf(m)}, t.ask(m, y.query)...), nil
	}
	var steps []step
	if t.Spec.Learns() {
		steps = append(steps, step{"fit", func(ctx context.Context) ([]answer, error) { return model(t.Spec.Fit(ctx, t.Spec.Config(), y.in)) }})
		m := t.mustFit(y.in)
		if u, ok := m.(method.Updater); ok {
			steps = append(steps, step{"update", func(ctx context.Context) ([]answer, error) { return model(u.Update(ctx, y.task)) }})
		}
		if f, ok := m.(method.Forgetter); ok {
			steps = append(steps, step{"forget", func(ctx context.Context) ([]answer, error) { return model(f.Forget(ctx, part(y))) }})
		}
	} else {
		steps = append(steps, step{"apply", func(ctx context.Context) ([]answer, error) {
			v, err := t.Spec.Apply(ctx, t.Spec.Config(), y.in)
			if err != nil {
				return nil, err
			}
			return t.unpack("apply", v), nil
		}})
	}
	for _, s := range steps {
		if _, err := s.run(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("%s under a cancelled context: have error %v, want %q", s.verb, err, context.Canceled)
			continue
		}
		want, err := s.run(t.ctx)
		if err != nil {
			t.Fatalf("%s: %v", s.verb, err)
		}
		for looks := range int64(6) {
			ctx := &countdown{Context: context.Background()}
			ctx.left.Store(looks)
			have, err := s.run(ctx)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%s, cancelled after %d looks at the context: have %q, want %q", s.verb, looks, err, context.Canceled)
			}
			if d := difference(have, want, 0); err == nil && d != "" {
				t.Errorf("%s, cancelled after %d looks at the context: half a result: %s", s.verb, looks, d)
			}
		}
	}
}
