package continual

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// memory is all that a learner on moments keeps: the exact sums over its rows, as a map that never changes shows them. What it
// answers with is made of them alone, so a model that forgot rows is, to the byte, the one that never saw them.
type memory struct {
	name  string
	guard *sync.Mutex // states bring themselves into form when they are read
	sums  *moments.State
	lift  func(*data.Table) (*data.Table, error) // nil for rows as they are
	fit   func(*moments.State) (method.Model, error)
}

// remember keeps a copy of the sums; fit makes the model of others.
func remember[M method.Model](name string, sums *moments.State, lift func(*data.Table) (*data.Table, error), fit func(*moments.State) (M, error)) memory {
	return memory{name, &sync.Mutex{}, sums.Clone(), lift, func(s *moments.State) (method.Model, error) {
		m, err := fit(s)
		if err != nil {
			return nil, err
		}
		return m, nil
	}}
}

// Memory returns a copy of the sums, from which [memory.Recall] makes the model again.
func (m *memory) Memory() *moments.State {
	m.guard.Lock()
	defer m.guard.Unlock()
	return m.sums.Clone()
}

// Lift returns rows as the sums see them.
func (m *memory) Lift(in *data.Table) (*data.Table, error) {
	if m.lift == nil {
		return in, nil
	}
	return m.lift(in)
}

// Recall makes the model whose memory is the given sums.
func (m *memory) Recall(sums *moments.State) (method.Model, error) {
	next, err := m.fit(sums)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	return next, nil
}

// Update returns the model that has also seen the task's rows.
func (m *memory) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	return m.changed(ctx, task, (*moments.State).Observe)
}

// Forget returns the model that never saw the given labelled rows.
func (m *memory) Forget(ctx context.Context, rows *data.Table) (method.Model, error) {
	return m.changed(ctx, rows, (*moments.State).Forget)
}

func (m *memory) changed(ctx context.Context, rows *data.Table, change func(*moments.State, *data.Table) error) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	lifted, err := m.Lift(rows)
	if err != nil {
		return nil, err
	}
	sums := m.Memory()
	if err := change(sums, lifted); err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	return m.Recall(sums)
}

// State returns the model as tensors: the sums, from which all else follows.
func (m *memory) State() *data.Checkpoint {
	m.guard.Lock()
	defer m.guard.Unlock()
	st := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	st.Add("moments/", m.sums.Checkpoint())
	return st
}

// recall reads the sums that [memory.State] wrote.
func recall(st *data.Checkpoint) (*moments.State, error) {
	return moments.FromCheckpoint(st.Prefix("moments/"))
}

// lifted is a source whose rows have gone through a map.
type lifted struct {
	data.Source
	lift func(*data.Table) (*data.Table, error)
}

// Blocks hands out the mapped rows.
func (l lifted) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		for b, err := range l.Source.Blocks(ctx) {
			if err == nil {
				b, err = l.lift(b)
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}
