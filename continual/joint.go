package continual

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a network trained again on all rows of all tasks, whenever there are more",
	Paper: "ven2019three",
}, Joint.Fit, loadJoint))

// Joint keeps every row and trains a network on all of them, from the start, after every task.
//
// It is the upper reference of comparisons of continual learners, as in van de Ven and Tolias (2019): what could be known if nothing had to be
// given away. A linear head, or one hidden layer with ReLU, trained by Adam in mini-batches. It costs all rows in memory and a whole
// training for each task; it is also the one network that forgets exactly, by training on what is left.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far.
// Logits:  N×K outputs; their softmax is Predict.
// Update:  the model trained on all rows so far and the task's: equal, to the byte, to a fit on all of them.
// Forget:  the model trained on the rows that are left, to the byte.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns, on another width, and for rows that were never learned; ErrDegenerate when training diverges.
// Differs: rows come in an order of their own, drawn by Seed, so that tasks and their order are nothing.
// Source:  ven2019three, section 4.
// Claim:   none: it is the upper reference that the others are compared with.
type Joint struct {
	// Hidden is the width of a hidden layer; 0 trains a linear head.
	Hidden int `range:"[0,65536]"`
	// Steps is how many passes over the rows are made.
	Steps int `default:"40" range:"[1,1e6]"`
	// Batch is how many rows a step looks at.
	Batch int `default:"32" range:"[1,1e6]"`
	// Rate is that of Adam, in units of the rows' deviations.
	Rate float64 `default:"0.03" range:"(0,1]"`
	// Seed starts the random numbers: of the hidden layer, and of the order of rows.
	Seed uint64
}

// Fit trains on the first task.
func (c Joint) Fit(ctx context.Context, train *data.Table) (*JointModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	return c.learn(ctx, rows)
}

func (c Joint) learn(ctx context.Context, rows *lesson) (*JointModel, error) {
	s := schooling{hidden: c.Hidden, epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed}
	w, err := newNetwork("joint", rows, s)
	if err != nil {
		return nil, err
	}
	w.grow(rows.labels)
	if err := w.learn(ctx, rows, s); err != nil {
		return nil, err
	}
	return &JointModel{c, w, rows}, nil
}

// JointModel is a fitted [Joint].
type JointModel struct {
	config Joint
	net    *network
	rows   *lesson
}

// Update returns the model trained on all rows so far and the task's.
func (m *JointModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	return m.changed(ctx, task, func(more *lesson) (*lesson, error) { return m.rows.and(more), nil })
}

// Forget returns the model trained on the rows that are left.
func (m *JointModel) Forget(ctx context.Context, rows *data.Table) (method.Model, error) {
	return m.changed(ctx, rows, m.without)
}

func (m *JointModel) changed(ctx context.Context, in *data.Table, change func(*lesson) (*lesson, error)) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("joint", in, m.rows.d); err != nil {
		return nil, err
	}
	rows, err := newLesson(in)
	if err != nil {
		return nil, err
	}
	if rows, err = change(rows); err != nil {
		return nil, err
	}
	next, err := m.config.learn(ctx, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// without takes rows out. Both lists are in one order, so each is gone through once.
func (m *JointModel) without(gone *lesson) (*lesson, error) {
	left := &lesson{d: m.rows.d}
	at := 0
	for i, name := range m.rows.labels {
		if at < len(gone.labels) && name == gone.labels[at] && slices.Equal(m.rows.row(i), gone.row(at)) {
			at++
			continue
		}
		left.x, left.labels = append(left.x, m.rows.row(i)...), append(left.labels, name)
	}
	if at < len(gone.labels) {
		return nil, fmt.Errorf("joint: %w: a row of class %q to forget was never learned, or not as often", data.ErrShape, gone.labels[at])
	}
	return left, nil
}

// Predict returns each row's class probabilities, N×K.
func (m *JointModel) Predict(in *data.Table) (*data.Table, error) { return m.net.predict(in) }

// Logits returns the outputs for each row, N×K.
func (m *JointModel) Logits(in *data.Table) (*data.Table, error) { return m.net.logits(in) }

// State returns the model as tensors: the network and all rows.
func (m *JointModel) State() *data.Checkpoint {
	st := m.net.state()
	st.Tensors["rows.x"] = data.Float32Tensor(m.rows.x, len(m.rows.labels), m.rows.d)
	st.SetStrings("rows.labels", m.rows.labels)
	return st
}

func loadJoint(c Joint, st *data.Checkpoint) (*JointModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("joint", st, c.Hidden)
	if err != nil {
		return nil, err
	}
	r := st.Read()
	labels := r.Strings("rows.labels")
	rows := &lesson{r.Float32s("rows.x", len(labels), len(w.center)), labels, len(w.center)}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if err := w.knows(labels); err != nil {
		return nil, err
	}
	return &JointModel{c, w, rows}, nil
}
