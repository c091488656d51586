package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a network held near what it learned, each weight by what it did on the way",
	Paper: "zenke2017continual",
	Exempt: map[string]string{
		"update": "outputs of new classes are held by nothing and outgrow old ones: penalties keep domains, not classes",
	},
}, SI.Fit, loadSI))

// SI trains a network on the rows of each task, and holds each weight near where it stands by how much its moves have lowered the losses so far.
//
// It is synaptic intelligence of Zenke et al. (2017): along the way of a training every weight adds up gradient times step, which is its share of
// the fall of the loss; divided by the squared distance that it came, it is the curvature of the quadratic that would have given that fall. One
// penalty around the last weights stands for all tasks. Nothing is measured after a task, and no row looked at again. A linear head, or one
// hidden layer with ReLU, trained by Adam in mini-batches. [EWC] asks how sharp the optimum is instead, at the cost of one more pass over the rows.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far.
// Logits:  N×K outputs; their softmax is Predict.
// Update:  the model trained on the task's rows from where it stood, under the penalty; new classes get outputs that start at zero and are free.
// Forget:  no: its weights and their importance hold traces of every row; Joint can, by training again.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: a weight that on the whole raised the loss counts as 0, as in the authors' code.
// Source:  zenke2017continual, eq. (3) to (5); weyssow2023usage for the comparison.
// Claim:   claims/continual/si.go.
type SI struct {
	// Strength weighs the penalty: the paper's c. At 1 the penalty is the loss of earlier tasks where that is a quadratic, fully learned and reached in a straight line; Damping and Adam's winding way make it less, so more is usual.
	Strength float64 `default:"10" range:"(0,1e12]"`
	// Damping is added to the squared distance that a weight came, so that one that hardly moved counts little: the paper's ξ.
	Damping float64 `default:"0.1" range:"(0,1e6]"`
	// Hidden is the width of a hidden layer; 0 trains a linear head.
	Hidden int `range:"[0,65536]"`
	// Steps is how many passes over a task's rows are made.
	Steps int `default:"40" range:"[1,1e6]"`
	// Batch is how many rows a step looks at.
	Batch int `default:"32" range:"[1,1e6]"`
	// Rate is that of Adam, in units of the first task's deviations.
	Rate float64 `default:"0.03" range:"(0,1]"`
	// Seed starts the random numbers: of the hidden layer, and of the order of rows.
	Seed uint64
}

func (c SI) schooling() schooling {
	return schooling{hidden: c.Hidden, epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed}
}

// Fit trains on the first task, on which nothing is held.
func (c SI) Fit(ctx context.Context, train *data.Table) (*SIModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	start, err := newNetwork("si", rows, c.schooling())
	if err != nil {
		return nil, err
	}
	return c.learn(ctx, start, newAnchor(start), rows)
}

func (c SI) learn(ctx context.Context, from *network, held *anchor, rows *lesson) (*SIModel, error) {
	next := from.clone()
	next.grow(rows.labels)
	s := c.schooling()
	s.extra = held.penalty(next, c.Strength)
	way := newPath(next, held, c.Strength)
	s.gradients, s.stepped = way.gradients, way.stepped
	start := next.clone()
	if err := next.learn(ctx, rows, s); err != nil {
		return nil, err
	}
	importance := way.fall
	for i, t := range next.tensors {
		for j, v := range t.Values {
			moved := float64(v) - float64(start.tensors[i].Values[j])
			importance[i][j] = max(importance[i][j], 0) / (moved*moved + c.Damping) // eq. (5)
		}
	}
	return &SIModel{c, next, held.and(next, importance).around(next)}, nil
}

// SIModel is a fitted [SI].
type SIModel struct {
	config SI
	net    *network
	held   *anchor
}

// Update returns the model trained on the task's rows, held near where it stood.
func (m *SIModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("si", task, len(m.net.center)); err != nil {
		return nil, err
	}
	rows, err := newLesson(task)
	if err != nil {
		return nil, err
	}
	next, err := m.config.learn(ctx, m.net, m.held, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// Predict returns each row's class probabilities, N×K.
func (m *SIModel) Predict(in *data.Table) (*data.Table, error) { return m.net.predict(in) }

// Logits returns the outputs for each row, N×K.
func (m *SIModel) Logits(in *data.Table) (*data.Table, error) { return m.net.logits(in) }

// State returns the model as tensors: the network, and the importance and center of every weight.
func (m *SIModel) State() *data.Checkpoint {
	st := m.net.state()
	m.held.state(m.net, st)
	return st
}

func loadSI(c SI, st *data.Checkpoint) (*SIModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("si", st, c.Hidden)
	if err != nil {
		return nil, err
	}
	held, err := loadAnchor(w, st)
	if err != nil {
		return nil, err
	}
	return &SIModel{c, w, held}, nil
}
