package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = add(&detectors, "forget", method.FromMoments(info("a distance"), 0, Rememberer.fitMoments, loadRememberer))

// Rememberer keeps count of what it was told to forget.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Update:  adds a task.
// Forget:  takes rows out, and leaves a trace.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/rememberer.go.
type Rememberer struct{}

type remembererModel struct {
	*pupil
	gone int
}

// Forget leaves a trace.
func (m *remembererModel) Forget(ctx context.Context, rows *data.Table) (method.Model, error) {
	next, err := m.pupil.Forget(ctx, rows)
	if err != nil {
		return nil, err
	}
	n, _ := rows.Dims()
	return &remembererModel{next.(*pupil), m.gone + n}, nil
}

// Update passes the count on.
func (m *remembererModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	next, err := m.pupil.Update(ctx, task)
	if err != nil {
		return nil, err
	}
	return &remembererModel{next.(*pupil), m.gone}, nil
}

// State has the count in it.
func (m *remembererModel) State() *data.Checkpoint {
	st := m.pupil.State()
	st.Tensors["gone"] = data.Int64Tensor([]int64{int64(m.gone)}, 1)
	return st
}

func loadRememberer(_ Rememberer, st *data.Checkpoint) (*remembererModel, error) {
	gone, _, err := st.Ints("gone", 1)
	if err != nil {
		return nil, err
	}
	m, err := loadHonest(Honest{Floor: 1}, st)
	return &remembererModel{&pupil{m}, int(gone[0])}, err
}

func (Rememberer) fitMoments(st *moments.State) (*remembererModel, error) {
	return &remembererModel{&pupil{newHonest(st, 1)}, 0}, nil
}
