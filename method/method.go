// Package method says what a method is: a configuration that learns from nouns or maps them, the verbs of what it learned,
// and how both are saved. Names, flags, JSON, help and inputs are all read off the types; nothing is declared twice.
package method

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/moments"
)

// What can be wrong with a method's use, beside the errors of package data.
var (
	ErrConfig     = errors.New("bad configuration")
	ErrInput      = errors.New("wrong kind of input")
	ErrState      = errors.New("not this method's saved state")
	ErrDegenerate = errors.New("degenerate data")
	// ErrRefused says that a method which tests its data before it answers does not answer, and why: it did its work.
	ErrRefused = errors.New("refused")
)

// Model is what fitting returns: immutable, safe for concurrent use. Its state is a checkpoint, so all methods share one file format.
type Model interface{ State() *data.Checkpoint }

// The verbs; a model may have several.
type (
	// Scorer gives each row a number, higher = more of what the family is about. N values, never NaN.
	Scorer interface {
		Score(in *data.Table) ([]float64, error)
	}
	// Predictor gives each row a probability for each class: an N×K table whose column names are the classes.
	Predictor interface {
		Predict(in *data.Table) (*data.Table, error)
	}
	// Logiter gives each row its natural logits: an N×K table whose softmax are the probabilities of Predict.
	Logiter interface {
		Predictor
		Logits(in *data.Table) (*data.Table, error)
	}
	// Updater learns a task on top and returns a new model; the old one stays valid.
	Updater interface {
		Update(ctx context.Context, task *data.Table) (Model, error)
	}
	// Forgetter returns the model that never saw the given labelled rows; the old one stays valid.
	Forgetter interface {
		Forget(ctx context.Context, rows *data.Table) (Model, error)
	}
)

// Reporter is a model that has something to say of its own fit, such as bounds that it kept; names in lower case, words joined by _.
type Reporter interface{ Report() data.Numbers }

var verbs = []struct {
	name string
	t    reflect.Type
}{
	{"score", reflect.TypeFor[Scorer]()},
	{"predict", reflect.TypeFor[Predictor]()},
	{"logits", reflect.TypeFor[Logiter]()},
	{"sets", reflect.TypeFor[SetPredictor]()},
	{"audit", reflect.TypeFor[Auditor]()},
	{"update", reflect.TypeFor[Updater]()},
	{"forget", reflect.TypeFor[Forgetter]()},
	{"test", reflect.TypeFor[Tester]()},
	{"watch", reflect.TypeFor[Watcher]()},
}

// Info is what a person must say of a method; the rest is derived.
type Info struct {
	// Title says in one line what comes out.
	Title string
	// Paper is the key of the source in the catalog.
	Paper string
	// Default marks the family's choice for a user who names none; at most one a family.
	Default bool
	// Labels marks the head that the family compares with when the question is how many labels there are: "few" models the
	// classes, "many" the border between them; at most one each a family.
	Labels string
	// TwoClasses says that the method learns to part exactly two classes by a plane.
	TwoClasses bool
	// Small are flags under which a run is short, for a method that trains a network: under them the laws of methodtest are
	// checked.
	Small map[string]string
	// Exempt names conformance checks that cannot hold here, each with its reason. An exempt check that passes is a failure.
	Exempt map[string]string
}

// Slot is one input of a method.
type Slot struct {
	Name     string
	Kind     data.Kind
	Optional bool
}

// Spec is one registered method, built by [FromMoments], [FromSource], [Learned] or [Map].
type Spec struct {
	Info
	Name, Family string
	Inputs       []Slot
	Verbs        []string  // of the fitted model; empty for a map
	Output       data.Kind // of a map; empty for a learner
	Params       []Param
	Needs        moments.Needs // of a method that is fitted from moments
	Refines      []Slot        // further inputs that make a better model of a fitted one, see [Refined]

	set        *Set
	newConfig  func() any
	ready      func(cfg any) error
	fit        func(ctx context.Context, cfg any, in data.Bundle) (Model, error)
	fitMoments func(cfg any, s *moments.State) (Model, error)
	refine     func(ctx context.Context, m Model, in data.Bundle) (Model, error)
	fitSource  func(ctx context.Context, cfg any, src data.Source) (Model, error)
	load       func(cfg any, st *data.Checkpoint) (Model, error)
	apply      func(ctx context.Context, cfg any, in data.Bundle) (data.Value, error)
}

// ID is family/name: the method's address everywhere.
func (s Spec) ID() string { return s.Family + "/" + s.Name }

// Learns reports whether the method is fitted; otherwise it is a map.
func (s Spec) Learns() bool { return s.load != nil }

// FitsMoments reports whether one pass over the data, shared with other methods, is all that fitting needs.
func (s Spec) FitsMoments() bool { return s.fitMoments != nil }

// Can reports whether the fitted model has the verb.
func (s Spec) Can(verb string) bool {
	for _, v := range s.Verbs {
		if v == verb {
			return true
		}
	}
	return false
}

// ScoreName is what the scores of the method's models are called where they stand beside other columns. Detectors' users expect the
// direction in the name.
func (s Spec) ScoreName() string {
	if s.Family == "detect" {
		return "ood_score"
	}
	return "score"
}

// Config returns a new zero configuration, a pointer to the method's struct.
func (s Spec) Config() any { return s.newConfig() }

// Scaled returns the method with the flags of Info.Small in place of its defaults.
func (s Spec) Scaled() Spec {
	if len(s.Small) == 0 {
		return s
	}
	full := s
	s.Params = slices.Clone(s.Params)
	for i, p := range s.Params {
		if text, ok := s.Small[p.Name]; ok {
			s.Params[i].Default = text
		}
	}
	s.newConfig = func() any {
		cfg, err := full.Configure(s.Small)
		if err != nil {
			panic("method: " + s.ID() + ": Info.Small: " + err.Error()) // at the first test of the method
		}
		return cfg
	}
	return s
}

// Wrap names the method in an error, once: models name themselves in most of theirs.
func (s Spec) Wrap(err error) error {
	if err == nil || strings.HasPrefix(err.Error(), s.Name+": ") {
		return err
	}
	return fmt.Errorf("%s: %w", s.Name, err)
}

// Fit learns from a bundle of nouns; cfg is a pointer to the method's configuration.
func (s Spec) Fit(ctx context.Context, cfg any, in data.Bundle) (Model, error) {
	if s.fit == nil {
		return nil, fmt.Errorf("%s: %w: it does not learn; apply it", s.ID(), ErrInput)
	}
	m, err := s.fit(ctx, cfg, in)
	return m, s.Wrap(err)
}

// FitMoments learns from a moments state.
func (s Spec) FitMoments(cfg any, st *moments.State) (Model, error) {
	if s.fitMoments == nil {
		return nil, fmt.Errorf("%s: %w: it keeps more of the data than moments", s.ID(), ErrInput)
	}
	if err := s.Needs.Check(st); err != nil {
		return nil, s.Wrap(err)
	}
	m, err := s.fitMoments(cfg, st)
	return m, s.Wrap(err)
}

// FitSource learns from a stream: through moments where they suffice, by reading it several times where the method can, else by
// collecting it.
func (s Spec) FitSource(ctx context.Context, cfg any, src data.Source) (Model, error) {
	if s.FitsMoments() {
		if err := s.ready(cfg); err != nil {
			return nil, s.Wrap(err)
		}
		st, err := moments.FromSource(ctx, src, s.Needs.Options())
		if err != nil {
			return nil, s.Wrap(err)
		}
		return s.FitMoments(cfg, st)
	}
	if s.fitSource != nil && src.Replayable() {
		m, err := s.fitSource(ctx, cfg, src)
		return m, s.Wrap(err)
	}
	t, err := data.Collect(ctx, src)
	if err != nil {
		return nil, s.Wrap(err)
	}
	if len(s.Inputs) == 0 || s.Inputs[0].Kind != data.KindTable {
		return nil, fmt.Errorf("%s: %w: it does not take a table", s.ID(), ErrInput)
	}
	return s.Fit(ctx, cfg, data.Bundle{s.Inputs[0].Name: t})
}

// Refine makes a better model of one that this method fitted, from the nouns of Refines.
func (s Spec) Refine(ctx context.Context, m Model, in data.Bundle) (Model, error) {
	if s.refine == nil {
		return nil, fmt.Errorf("%s: %w: nothing refines its models", s.ID(), ErrInput)
	}
	next, err := s.refine(ctx, m, in)
	return next, s.Wrap(err)
}

// Apply maps nouns to a noun.
func (s Spec) Apply(ctx context.Context, cfg any, in data.Bundle) (data.Value, error) {
	if s.apply == nil {
		return nil, fmt.Errorf("%s: %w: it learns; fit it", s.ID(), ErrInput)
	}
	v, err := s.apply(ctx, cfg, in)
	return v, s.Wrap(err)
}

func base[C, D any](info Info) Spec {
	t := reflect.TypeFor[C]()
	return Spec{
		Info: info, Name: strings.ToLower(t.Name()), Params: params(t), Inputs: slots(reflect.TypeFor[D]()),
		newConfig: func() any { return new(C) },
		ready: func(cfg any) error {
			c, err := configOf[C](cfg)
			if err != nil {
				return err
			}
			return Ready(&c)
		},
	}
}

// configOf takes a configuration as the value it is, or as the pointer that Spec.Config returns.
func configOf[C any](cfg any) (c C, err error) {
	switch cfg := cfg.(type) {
	case C:
		return cfg, nil
	case *C:
		if cfg != nil {
			return *cfg, nil
		}
	}
	return c, fmt.Errorf("%w: have a configuration of type %T, want %T", ErrConfig, cfg, c)
}

// with calls f with a configuration of the method's own type.
func with[C, O any](cfg any, f func(C) (O, error)) (o O, err error) {
	c, err := configOf[C](cfg)
	if err != nil {
		return o, err
	}
	return f(c)
}

func (s *Spec) learns(model reflect.Type) {
	for _, v := range verbs {
		if model.Implements(v.t) {
			s.Verbs = append(s.Verbs, v.name)
		}
	}
}

// Learned registers a method that learns from D: a noun, or a struct of nouns.
func Learned[C, D any, M Model](info Info, fit func(C, context.Context, D) (M, error), load func(C, *data.Checkpoint) (M, error)) Spec {
	s := base[C, D](info)
	s.learns(reflect.TypeFor[M]())
	s.fit = func(ctx context.Context, cfg any, in data.Bundle) (Model, error) {
		d, err := bind[D](in)
		if err != nil {
			return nil, err
		}
		return with(cfg, func(c C) (Model, error) { return erase(fit(c, ctx, d)) })
	}
	s.load = func(cfg any, st *data.Checkpoint) (Model, error) {
		return with(cfg, func(c C) (Model, error) { return erase(load(c, st)) })
	}
	return s
}

// FromMoments registers a method that learns from a moments state alone: one pass over the data serves all such methods.
func FromMoments[C any, M Model](info Info, needs moments.Needs, fit func(C, *moments.State) (M, error), load func(C, *data.Checkpoint) (M, error)) Spec {
	s := base[C, *data.Table](info)
	s.learns(reflect.TypeFor[M]())
	s.Needs = needs
	s.fitMoments = func(cfg any, st *moments.State) (Model, error) {
		return with(cfg, func(c C) (Model, error) { return erase(fit(c, st)) })
	}
	s.fit = func(ctx context.Context, cfg any, in data.Bundle) (Model, error) {
		t, err := bind[*data.Table](in)
		if err != nil {
			return nil, err
		}
		return s.FitSource(ctx, cfg, t)
	}
	s.load = func(cfg any, st *data.Checkpoint) (Model, error) {
		return with(cfg, func(c C) (Model, error) { return erase(load(c, st)) })
	}
	return s
}

// Refined adds to a learner what makes a better model of a fitted one, when there are further nouns for it, such as rows to
// choose weights on. The model may come from rows or from moments.
func Refined[D any, M Model](s Spec, refine func(M, context.Context, D) (M, error)) Spec {
	s.Refines = slots(reflect.TypeFor[D]())
	s.refine = func(ctx context.Context, m Model, in data.Bundle) (Model, error) {
		d, err := bind[D](in)
		if err != nil {
			return nil, err
		}
		own, ok := m.(M)
		if !ok {
			return nil, fmt.Errorf("%w: a %T is not this method's model", ErrInput, m)
		}
		return erase(refine(own, ctx, d))
	}
	return s
}

// FromSource registers a method that reads its one table several times, block by block, so that it may be larger than memory. D is
// the table, or a struct with it alone, whose field names the input.
func FromSource[C, D any, M Model](info Info, fit func(C, context.Context, data.Source) (M, error), load func(C, *data.Checkpoint) (M, error)) Spec {
	s := base[C, D](info)
	if len(s.Inputs) != 1 || s.Inputs[0].Kind != data.KindTable {
		panic("method: " + s.Name + " does not learn from one table")
	}
	s.learns(reflect.TypeFor[M]())
	s.fitSource = func(ctx context.Context, cfg any, src data.Source) (Model, error) {
		return erase(fit(*cfg.(*C), ctx, src))
	}
	s.fit = func(ctx context.Context, cfg any, in data.Bundle) (Model, error) {
		if _, err := bind[D](in); err != nil {
			return nil, err
		}
		return s.fitSource(ctx, cfg, in[s.Inputs[0].Name].(*data.Table))
	}
	s.load = func(cfg any, st *data.Checkpoint) (Model, error) { return erase(load(*cfg.(*C), st)) }
	return s
}

// Map registers a method that learns nothing: nouns in, a noun out.
func Map[C, D any, O data.Value](info Info, apply func(C, context.Context, D) (O, error)) Spec {
	s := base[C, D](info)
	out, ok := data.KindOf(reflect.TypeFor[O]())
	if !ok {
		panic("method: " + s.Name + " returns no noun")
	}
	s.Output = out
	s.apply = func(ctx context.Context, cfg any, in data.Bundle) (data.Value, error) {
		d, err := bind[D](in)
		if err != nil {
			return nil, err
		}
		o, err := with(cfg, func(c C) (O, error) { return apply(c, ctx, d) })
		if err != nil {
			return nil, err
		}
		return o, nil
	}
	return s
}

// erase forgets the model's type and keeps a nil model from hiding in a non-nil interface.
func erase[M Model](m M, err error) (Model, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

// FitMoments fits a configuration's moments form from a source: what the Fit of such a method consists of.
func FitMoments[M Model](ctx context.Context, needs moments.Needs, src data.Source, fit func(*moments.State) (M, error)) (m M, err error) {
	st, err := moments.FromSource(ctx, src, needs.Options())
	if err != nil {
		return m, err
	}
	if err := needs.Check(st); err != nil {
		return m, err
	}
	return fit(st)
}

// slots reads a method's inputs off their type: a noun, or a struct of nouns, some marked `optional:"true"`.
func slots(t reflect.Type) []Slot {
	if k, ok := data.KindOf(t); ok {
		return []Slot{{Name: "in", Kind: k}}
	}
	if t.Kind() != reflect.Struct {
		panic("method: " + t.String() + " is neither a noun nor a struct of nouns")
	}
	var ss []Slot
	for f := range fields(t) {
		k, ok := data.KindOf(f.Type)
		if !ok {
			panic("method: " + t.String() + "." + f.Name + " is not a noun")
		}
		ss = append(ss, Slot{kebab(f.Name), k, f.Tag.Get("optional") == "true"})
	}
	return ss
}

// bind puts a bundle's nouns into a typed input.
func bind[D any](in data.Bundle) (d D, err error) {
	v := reflect.ValueOf(&d).Elem()
	ss := slots(v.Type())
	_, single := data.KindOf(v.Type())
	known := map[string]bool{}
	for i, s := range ss {
		known[s.Name] = true
		to := v
		if !single {
			to = v.Field(i)
		}
		x, ok := in[s.Name]
		if v := reflect.ValueOf(x); ok && (!v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()) {
			return d, fmt.Errorf("%w: input %q is nil", ErrInput, s.Name)
		}
		switch {
		case !ok && s.Optional:
		case !ok:
			return d, fmt.Errorf("%w: input %q (a %s) is missing", ErrInput, s.Name, s.Kind)
		case !reflect.TypeOf(x).AssignableTo(to.Type()):
			return d, fmt.Errorf("%w: input %q must be a %s, have a %s", ErrInput, s.Name, s.Kind, x.Kind())
		default:
			to.Set(reflect.ValueOf(x))
		}
	}
	for name := range in {
		if !known[name] {
			return d, fmt.Errorf("%w: no input is called %q", ErrInput, name)
		}
	}
	return d, nil
}

type progressKey struct{}

// WithProgress returns a context under which [Progress] calls report.
func WithProgress(ctx context.Context, report func(done, total int)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

// Progress says that done of total steps of long work are over. Nobody listening costs nothing.
func Progress(ctx context.Context, done, total int) {
	if report, ok := ctx.Value(progressKey{}).(func(done, total int)); ok {
		report(done, total)
	}
}

// Width refuses a table that has other columns than the model of the named method was fitted on.
func Width(name string, in *data.Table, fitted int) error {
	if _, d := in.Dims(); d != fitted {
		return fmt.Errorf("%s: %w: table has %d columns, fitted on %d", name, data.ErrShape, d, fitted)
	}
	return nil
}
