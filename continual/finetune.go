package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a network trained on one task after the other, with nothing against forgetting",
	Paper: "mccloskey1989catastrophic",
	Exempt: map[string]string{
		"update": "it forgets old classes when it learns new ones: that is what it is there to show",
	},
}, FineTune.Fit, loadFineTune))

// FineTune trains a network on the rows of each task alone, as if the others had never been.
//
// It is the sequential learner on which McCloskey and Cohen (1989) found catastrophic interference, and the lower reference of every
// comparison since: its loss counts all classes so far, of which a task shows only its own. A linear head, or one hidden layer with ReLU,
// trained by Adam in mini-batches. What is worth its place must beat it, and [Joint] is where it could be.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far.
// Logits:  N×K outputs; their softmax is Predict.
// Update:  the model trained on the task's rows from where it stood; new classes get outputs that start at zero.
// Forget:  no: its weights hold traces of every row, and no record of which; Joint can, by training again.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: a softmax instead of squared errors on distributed outputs; rows of a task come in an order of their own, drawn by Seed.
// Source:  mccloskey1989catastrophic.
// Claim:   none: it is the lower reference that the others are compared with.
type FineTune struct {
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

func (c FineTune) schooling() schooling {
	return schooling{hidden: c.Hidden, epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed}
}

// Fit trains on the first task.
func (c FineTune) Fit(ctx context.Context, train *data.Table) (*FineTuneModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	start, err := newNetwork("finetune", rows, c.schooling())
	if err != nil {
		return nil, err
	}
	return c.learn(ctx, start, rows)
}

func (c FineTune) learn(ctx context.Context, from *network, rows *lesson) (*FineTuneModel, error) {
	next := from.clone()
	next.grow(rows.labels)
	if err := next.learn(ctx, rows, c.schooling()); err != nil {
		return nil, err
	}
	return &FineTuneModel{c, next}, nil
}

// FineTuneModel is a fitted [FineTune].
type FineTuneModel struct {
	config FineTune
	net    *network
}

// Update returns the model trained on the task's rows.
func (m *FineTuneModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("finetune", task, len(m.net.center)); err != nil {
		return nil, err
	}
	rows, err := newLesson(task)
	if err != nil {
		return nil, err
	}
	next, err := m.config.learn(ctx, m.net, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// Predict returns each row's class probabilities, N×K.
func (m *FineTuneModel) Predict(in *data.Table) (*data.Table, error) { return m.net.predict(in) }

// Logits returns the outputs for each row, N×K.
func (m *FineTuneModel) Logits(in *data.Table) (*data.Table, error) { return m.net.logits(in) }

// State returns the model as tensors.
func (m *FineTuneModel) State() *data.Checkpoint { return m.net.state() }

func loadFineTune(c FineTune, st *data.Checkpoint) (*FineTuneModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("finetune", st, c.Hidden)
	if err != nil {
		return nil, err
	}
	return &FineTuneModel{c, w}, nil
}
