// Package saboteurs holds methods that are right but for one fault each, and six that are right. They are the test of the
// conformance suite: each must be caught by the one check that is meant for it.
package saboteurs

import (
	"context"
	"embed"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

//go:embed *.go
var source embed.FS

// The families that the saboteurs pretend to belong to.
var (
	detectors   = method.Set{Family: "detect", Source: &source}
	mergers     = method.Set{Family: "weights", Source: &source}
	drifts      = method.Set{Family: "drift", Source: &source}
	calibrators = method.Set{Family: "calibrate", Source: &source}
	auditors    = method.Set{Family: "audit", Source: &source}
)

// Saboteur is a method and the name of the check that must find its fault; "" for the methods that have none.
type Saboteur struct {
	method.Spec
	Caught string
}

var caught = map[string]string{} // by ID

// Methods returns all of them, sorted by family and name.
func Methods() (all []Saboteur) {
	for _, set := range []*method.Set{&detectors, &mergers, &drifts, &calibrators, &auditors} {
		for _, s := range set.All() {
			all = append(all, Saboteur{s, caught[s.ID()]})
		}
	}
	return all
}

// add registers a saboteur and the check that it is for.
func add(set *method.Set, check string, s method.Spec) struct{} {
	set.Add(s)
	caught[set.Family+"/"+s.Name] = check
	return struct{}{}
}

func info(title string) method.Info { return method.Info{Title: title, Paper: "nobody2026"} }

// spoiled is the honest detector but for what spoil makes of the fitted model.
func spoiled[C any, M method.Model](title string, spoil func(c C, m *honestModel) M) method.Spec {
	return method.FromMoments(info(title), 0,
		func(c C, st *moments.State) (m M, err error) {
			if err := method.Ready(&c); err != nil {
				return m, err
			}
			return spoil(c, newHonest(st, 1)), nil
		},
		func(c C, st *data.Checkpoint) (m M, err error) {
			if err := method.Ready(&c); err != nil {
				return m, err
			}
			h, err := loadHonest(Honest{Floor: 1}, st)
			if err != nil {
				return m, err
			}
			return spoil(c, h), nil
		})
}

// extra is the honest detector with a few numbers more in its state, which a spoiled fit learns.
type extra struct {
	*honestModel
	more []float64
}

// State adds the numbers to the honest state.
func (m *extra) State() *data.Checkpoint {
	st := m.honestModel.State()
	st.Tensors["more"] = data.Float64Tensor(m.more, len(m.more))
	return st
}

// Score multiplies the honest score by one plus the first number.
func (m *extra) Score(in *data.Table) ([]float64, error) {
	out, err := m.honestModel.Score(in)
	for i := range out {
		out[i] *= 1 + m.more[0]
	}
	return out, err
}

func loadExtra(st *data.Checkpoint) (*extra, error) {
	r := st.Read()
	m := &extra{more: r.Floats("more", -1)}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(m.more) == 0 {
		return nil, fmt.Errorf("tensor \"more\": %w: no values", data.ErrShape)
	}
	var err error
	m.honestModel, err = loadHonest(Honest{Floor: 1}, st)
	return m, err
}

// learned is the honest detector, with numbers that learn takes from the training table.
func learned[C any](title string, learn func(C, context.Context, *data.Table) ([]float64, error)) method.Spec {
	return method.Learned(info(title),
		func(c C, ctx context.Context, in *data.Table) (*extra, error) {
			more, err := learn(c, ctx, in)
			if err != nil {
				return nil, err
			}
			h, err := Honest{Floor: 1}.fit(context.WithoutCancel(ctx), in)
			return &extra{h, more}, err
		},
		func(_ C, st *data.Checkpoint) (*extra, error) { return loadExtra(st) })
}

// checked looks at the context before it learns.
func checked[C any](learn func(C, context.Context, *data.Table) ([]float64, error)) func(C, context.Context, *data.Table) ([]float64, error) {
	return func(c C, ctx context.Context, in *data.Table) ([]float64, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return learn(c, ctx, in)
	}
}
