package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// arm is one method under comparison.
type arm struct {
	spec  method.Spec
	model method.Model
	head  *head // makes the logits that the method takes; nil for one that takes features
	err   error // why there is no result
	fit   time.Duration
	used  time.Duration // scoring or predicting
}

// head is a classifier whose logits feed methods that take logits.
type head struct {
	spec  method.Spec
	model method.Model
	err   error
	last  *data.Table // the rows of made
	made  *data.Table
}

// logits returns the head's logits of a table; those of the same table are made once.
func (h *head) logits(t *data.Table) (*data.Table, error) {
	if h.err != nil {
		return nil, h.err
	}
	if h.last == t {
		return h.made, nil
	}
	out, err := h.compute(t)
	if err != nil {
		return nil, fmt.Errorf("head %s: %w", h.spec.ID(), err)
	}
	h.last, h.made = t, out
	return out, nil
}

// compute asks for the head's own logits, or takes the logarithms of its probabilities, which are logits up to a constant a row.
func (h *head) compute(t *data.Table) (*data.Table, error) {
	if l, ok := h.model.(method.Logiter); ok {
		return l.Logits(t)
	}
	p, err := h.model.(method.Predictor).Predict(t)
	if err != nil {
		return nil, err
	}
	n, _ := p.Dims()
	x := make([]float32, len(p.X()))
	for i, v := range p.X() {
		x[i] = float32(math.Log(max(float64(v), math.SmallestNonzeroFloat32)))
	}
	return data.NewNamed(n, p.Columns(), x)
}

// contest is all arms fitted on the same rows.
type contest struct {
	arms []*arm
	head *head
	rows int
	pass time.Duration // over the rows, shared by all methods that fit from moments
}

// errNoClasses is why nothing can feed a method that takes logits.
var errNoClasses = errors.New("takes logits, and a head needs at least 2 labelled classes to make them")

// logitSlot is the name of the input that a head can fill.
const logitSlot = "logits"

// newContest fits every method with its defaults. A method that fails keeps its reason; only what stops all of them is an error.
// steps, where given, shows a method's own progress.
func newContest(ctx context.Context, steps func(context.Context, string) context.Context, list []method.Spec, headSpec method.Spec, train data.Source) (*contest, error) {
	c := &contest{}
	var needs moments.Needs
	needRows := false
	for _, s := range list {
		if s.Learns() {
			c.arms = append(c.arms, &arm{spec: s})
			needs |= s.Needs
			needRows = needRows || !s.FitsMoments()
		}
	}
	var t *data.Table
	if needRows {
		var err error
		if t, err = data.Collect(ctx, train); err != nil {
			return nil, err
		}
		train = t
	}
	start := time.Now()
	st, err := moments.FromSource(ctx, train, moments.Options{PerClass: (needs | headSpec.Needs).Options().PerClass})
	if err != nil {
		return nil, err
	}
	c.pass, c.rows = time.Since(start), st.Rows()
	c.head = fitHead(headSpec, st)
	for _, a := range c.arms {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		own := ctx
		if steps != nil {
			own = steps(ctx, a.spec.ID())
		}
		start := time.Now()
		a.model, a.err = c.fitArm(own, a, st, t)
		a.fit = time.Since(start)
	}
	return c, ctx.Err()
}

func fitHead(s method.Spec, st *moments.State) *head {
	h := &head{spec: s}
	switch {
	case len(st.Classes()) < 2:
		h.err = errNoClasses
	case s.Name == "":
		h.err = errors.New("takes logits, and no method here predicts classes from moments to make them")
	default:
		var cfg any
		if cfg, h.err = s.Configure(nil); h.err == nil {
			h.model, h.err = s.FitMoments(cfg, st)
		}
	}
	return h
}

func (c *contest) fitArm(ctx context.Context, a *arm, st *moments.State, t *data.Table) (method.Model, error) {
	cfg, err := a.spec.Configure(nil)
	if err != nil {
		return nil, err
	}
	if a.spec.FitsMoments() {
		return a.spec.FitMoments(cfg, st)
	}
	in := data.Bundle{}
	for _, slot := range a.spec.Inputs {
		switch {
		case slot.Kind == data.KindTable && slot.Name == logitSlot:
			a.head = c.head
			logits, err := c.head.logits(t)
			if err != nil {
				return nil, err
			}
			if labels, err := t.Labels(); err == nil {
				if logits, err = logits.WithLabels(labels, t.Classes()); err != nil {
					return nil, err
				}
			}
			in[slot.Name] = logits
		case slot.Kind == data.KindTable && slot.Name == "in":
			in[slot.Name] = t
		case !slot.Optional:
			return nil, fmt.Errorf("takes %s:%s, which compare does not have", slot.Name, slot.Kind)
		}
	}
	return a.spec.Fit(ctx, cfg, in)
}

// ask calls f with what the arm's model takes, timed; an error ends the arm.
func (a *arm) ask(t *data.Table, f func(*data.Table) error) {
	if a.err != nil {
		return
	}
	if a.head != nil { // shared by all that take logits, and no part of the method's own time
		if t, a.err = a.head.logits(t); a.err != nil {
			return
		}
	}
	start := time.Now()
	a.err = f(t)
	a.used += time.Since(start)
}

// reason is why an arm has no result, nil when it has.
func (a *arm) reason() any {
	if a.err == nil {
		return nil
	}
	return oneLine(a.err)
}

// pickHead finds the method whose logits feed others: the one named; else, in a family of heads, its default or the first
// that fits from moments.
func (e *env) pickHead(cmd *cobra.Command, id string) (method.Spec, error) {
	if id != "" {
		s, ok := e.spec(id)
		if !ok || !s.Can("predict") || !s.FitsMoments() {
			return s, usage(cmd, "--head %s: not a method that predicts classes and fits from moments, have %s", id,
				joined(e.ids(func(s method.Spec) bool { return s.Can("predict") && s.FitsMoments() })))
		}
		return s, nil
	}
	var best method.Spec
	for _, f := range e.families() {
		if list := e.family(f); slices.Contains(common(list), "predict") && !slices.Contains(common(list), "score") {
			for _, s := range list {
				fits := s.Can("predict") && s.FitsMoments() && s.Needs&moments.Targets == 0
				if fits && (best.Name == "" || s.Default) {
					best = s
				}
			}
		}
		if best.Name != "" {
			break
		}
	}
	return best, nil
}
