package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// arm is one method under comparison.
type arm struct {
	spec  method.Spec
	flags map[string]string // that are not at their defaults
	model method.Model
	head  *head // makes the logits that the method takes; nil for one that takes features
	err   error // why there is no result
	fit   time.Duration
	used  time.Duration // scoring or predicting
}

// headChoice is where logits come from: a method that is fitted on the training rows, or a network's last layer in a file.
type headChoice struct {
	spec  method.Spec
	layer *data.Checkpoint
	path  string
}

// head is a classifier whose logits feed methods that take logits.
type head struct {
	headChoice
	model method.Model
	err   error
	last  *data.Table // the rows of made
	made  *data.Table
}

// logits returns the head's logits of a table; those of the same table are made once.
func (h *head) logits(t *data.Table) (*data.Table, error) {
	if h.err != nil {
		return nil, fmt.Errorf("takes logits, and %w", h.err)
	}
	if h.last == t {
		return h.made, nil
	}
	out, err := h.compute(t)
	if err != nil {
		return nil, fmt.Errorf("head %s: %w", cmp.Or(h.path, h.spec.ID()), err)
	}
	h.last, h.made = t, out
	return out, nil
}

// compute asks for the head's own logits, or takes the logarithms of its probabilities, which are logits up to a constant a row.
func (h *head) compute(t *data.Table) (*data.Table, error) {
	if h.layer != nil {
		return detect.HeadInput{Train: t, Head: h.layer}.Logits()
	}
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

// linear is what a head must be to be read as a network's last layer: logits = (x − center)·weights + intercept, with D, D×K
// and K values.
type linear interface {
	Linear() (center, weights, intercept []float64)
}

// lastLayer returns the head as one: weight, K×D, and bias, K values, with the classes' names.
func (h *head) lastLayer(t *data.Table) (*data.Checkpoint, error) {
	if h.layer != nil {
		return h.layer, nil
	}
	if h.err != nil {
		return nil, fmt.Errorf("takes a last layer, and %w", h.err)
	}
	m, ok := h.model.(linear)
	if !ok {
		return nil, fmt.Errorf("takes a last layer, and head %s is not linear in the features", h.spec.ID())
	}
	logits, err := h.logits(t)
	if err != nil {
		return nil, err
	}
	center, weights, intercept := m.Linear()
	d, k := len(center), len(intercept)
	weight, bias := make([]float64, k*d), slices.Clone(intercept)
	for c := range k {
		for j := range d {
			weight[c*d+j] = weights[j*k+c]
			bias[c] -= center[j] * weights[j*k+c]
		}
	}
	layer := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(weight, k, d),
		"bias":   data.Float64Tensor(bias, k),
	}}
	layer.SetStrings("classes", logits.Columns())
	return layer, nil
}

// contest is all arms fitted on the same rows.
type contest struct {
	arms []*arm
	head *head
	rows int
	pass time.Duration // over the rows, shared by all methods that fit from moments
}

// errNoClasses is why nothing can feed a method that takes logits or a last layer.
var errNoClasses = errors.New("a head needs at least 2 labelled classes")

// The names of the inputs that a head can fill, and of the features that go into it.
const (
	logitSlot   = "logits"
	headSlot    = "head"
	featureSlot = "train"
)

// learners makes an arm of every method that learns, with its defaults.
func learners(list []method.Spec) (arms []*arm) {
	for _, s := range list {
		if s.Learns() {
			arms = append(arms, &arm{spec: s})
		}
	}
	return arms
}

// newContest fits every arm. One that fails keeps its reason; only what stops all of them is an error.
// steps, where given, shows a method's own progress.
func newContest(ctx context.Context, steps func(context.Context, string) context.Context, arms []*arm, choice headChoice, train data.Source) (*contest, error) {
	c := &contest{arms: arms}
	var needs moments.Needs
	needRows := false
	for _, a := range arms {
		needs |= a.spec.Needs
		needRows = needRows || !a.spec.FitsMoments()
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
	st, err := moments.FromSource(ctx, train, moments.Options{PerClass: (needs | choice.spec.Needs).Options().PerClass})
	if err != nil {
		return nil, err
	}
	c.pass, c.rows = time.Since(start), st.Rows()
	c.head = fitHead(choice, st)
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

func fitHead(choice headChoice, st *moments.State) *head {
	h, s := &head{headChoice: choice}, choice.spec
	switch {
	case h.layer != nil:
	case len(st.Classes()) < 2:
		h.err = errNoClasses
	case s.Name == "":
		h.err = errors.New("no method here predicts classes from moments")
	default:
		var cfg any
		if cfg, h.err = s.Configure(nil); h.err == nil {
			h.model, h.err = s.FitMoments(cfg, st)
		}
	}
	return h
}

func (c *contest) fitArm(ctx context.Context, a *arm, st *moments.State, t *data.Table) (method.Model, error) {
	cfg, err := a.spec.Configure(a.flags)
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
		case slot.Kind == data.KindTable && (slot.Name == "in" || slot.Name == featureSlot):
			in[slot.Name] = t
		case slot.Kind == data.KindCheckpoint && slot.Name == headSlot:
			layer, err := c.head.lastLayer(t)
			if err != nil {
				return nil, err
			}
			in[slot.Name] = layer
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

// pickHead finds what feeds methods that take logits or a last layer: the method or the file named; else, in a family of
// heads, its default or the first that fits from moments.
func (e *env) pickHead(cmd *cobra.Command, id string) (headChoice, error) {
	if id != "" {
		s, ok := e.spec(id)
		if _, err := os.Stat(id); !ok && err == nil {
			layer, err := e.readCheckpoint(id)
			return headChoice{layer: layer, path: id}, err
		}
		if !ok || !s.Can("predict") || !s.FitsMoments() {
			return headChoice{}, usage(cmd, "--head %s: neither a file nor a method that predicts classes and fits from moments, have %s", id,
				joined(e.ids(func(s method.Spec) bool { return s.Can("predict") && s.FitsMoments() })))
		}
		return headChoice{spec: s}, nil
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
	return headChoice{spec: best}, nil
}
