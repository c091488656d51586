package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "a network that learns each task together with some rows kept of the earlier ones",
	Paper:  "chaudhry2019tiny",
	Exempt: map[string]string{"far-from-zero": "which rows are kept is drawn by a hash of their values, so other values keep others"},
}, Replay.Fit, loadReplay))

// Replay trains a network on the rows of each task and on those of a buffer that earlier tasks left.
//
// It is experience replay with a small memory, Chaudhry et al. (2019), with three ways to choose what is kept. A linear head, or one hidden
// layer with ReLU, trained by Adam in mini-batches over task and buffer together; rows of the buffer are repeated until every class of it
// has as many as the task's largest, so that no class is outnumbered. Prefer the learners on moments where a row may not be kept at all.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far.
// Logits:  N×K outputs; their softmax is Predict.
// Update:  the model trained on the task's rows and the buffer's, from where it stood; new classes get outputs that start at zero.
// Forget:  no: its weights hold traces of every row, also of those that have left the buffer; Joint can, by training again.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: task and buffer make one set of rows instead of half a batch each; a reservoir draws by a hash of the row, so that order changes nothing.
// Source:  chaudhry2019tiny, Algorithm 1; vitter1985random for the reservoir, rebuffi2017icarl for herding.
// Claim:   claims/continual/replay.go.
type Replay struct {
	// Capacity is how many rows are kept, of all tasks together. Twenty a class are usual; what more would bring, a second run with twice as many says.
	Capacity int `default:"50" range:"[1,1e9]"`
	// Strategy chooses them: reservoir keeps every row with the same probability, balanced gives every class as many places, herding fills those with the rows whose mean stays nearest to the class's.
	Strategy string `default:"balanced" enum:"balanced,reservoir,herding"`
	// Hidden is the width of a hidden layer; 0 trains a linear head.
	Hidden int `range:"[0,65536]"`
	// Steps is how many passes over a task's rows and the buffer's are made.
	Steps int `default:"40" range:"[1,1e6]"`
	// Batch is how many rows a step looks at.
	Batch int `default:"32" range:"[1,1e6]"`
	// Rate is that of Adam, in units of the first task's deviations.
	Rate float64 `default:"0.03" range:"(0,1]"`
	// Seed starts the random numbers: of the hidden layer, of the order of rows, and of what is kept.
	Seed uint64
}

func (c Replay) schooling() schooling {
	return schooling{hidden: c.Hidden, epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed}
}

// Fit trains on the first task.
func (c Replay) Fit(ctx context.Context, train *data.Table) (*ReplayModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	start, err := newNetwork("replay", rows, c.schooling())
	if err != nil {
		return nil, err
	}
	empty := &buffer{strategy: c.Strategy, capacity: c.Capacity, seed: c.Seed, rows: &lesson{d: rows.d}}
	return c.learn(ctx, start, empty, rows)
}

func (c Replay) learn(ctx context.Context, from *network, kept *buffer, rows *lesson) (*ReplayModel, error) {
	next := from.clone()
	next.grow(rows.labels)
	if err := next.learn(ctx, rows.and(replayRepeated(kept.rows, rows)), c.schooling()); err != nil {
		return nil, err
	}
	return &ReplayModel{c, next, kept.add(rows)}, nil
}

// replayRepeated repeats the buffer's rows until each class of it has about as many as the task's largest.
func replayRepeated(kept, task *lesson) *lesson {
	largest, have := 0, map[string]int{}
	counts := map[string]int{}
	for _, name := range task.labels {
		counts[name]++
		largest = max(largest, counts[name])
	}
	for _, name := range kept.labels {
		have[name]++
	}
	var rows []int
	for i, name := range kept.labels {
		for range max(largest/have[name], 1) {
			rows = append(rows, i)
		}
	}
	return kept.pick(rows)
}

// ReplayModel is a fitted [Replay].
type ReplayModel struct {
	config Replay
	net    *network
	kept   *buffer
}

// Kept returns how many rows of each class the buffer holds.
func (m *ReplayModel) Kept() map[string]int {
	counts := map[string]int{}
	for _, name := range m.kept.rows.labels {
		counts[name]++
	}
	return counts
}

// Update returns the model trained on the task's rows and the buffer's.
func (m *ReplayModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("replay", task, len(m.net.center)); err != nil {
		return nil, err
	}
	rows, err := newLesson(task)
	if err != nil {
		return nil, err
	}
	next, err := m.config.learn(ctx, m.net, m.kept, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// Predict returns each row's class probabilities, N×K.
func (m *ReplayModel) Predict(in *data.Table) (*data.Table, error) { return m.net.predict(in) }

// Logits returns the outputs for each row, N×K.
func (m *ReplayModel) Logits(in *data.Table) (*data.Table, error) { return m.net.logits(in) }

// State returns the model as tensors: the network and the buffer.
func (m *ReplayModel) State() *data.Checkpoint {
	st := m.net.state()
	m.kept.state(st)
	return st
}

func loadReplay(c Replay, st *data.Checkpoint) (*ReplayModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("replay", st, c.Hidden)
	if err != nil {
		return nil, err
	}
	kept := &buffer{strategy: c.Strategy, capacity: c.Capacity, seed: c.Seed}
	if err := kept.load(st, len(w.center)); err != nil {
		return nil, err
	}
	if err := w.knows(kept.rows.labels); err != nil {
		return nil, err
	}
	return &ReplayModel{c, w, kept}, nil
}
