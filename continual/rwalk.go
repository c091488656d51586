package continual

import (
	"context"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a network held near what it learned, by Fisher information and by what each weight did for how much it changed",
	Paper: "chaudhry2018riemannian",
	Exempt: map[string]string{
		"update": "outputs of new classes are held by nothing and outgrow old ones: penalties keep domains, not classes",
	},
}, RWalk.Fit, loadRWalk))

// RWalk trains a network on the rows of each task, and holds each weight near where it stands by its Fisher information and by its score on the way.
//
// It is Riemannian walk of Chaudhry et al. (2018). The Fisher information is a running mean of squared gradients, taken along with the
// training. The score of a weight adds up, stretch by stretch, what it took off the loss, divided by how far it moved the network's outputs: half the
// Fisher information times the squared step, a Kullback–Leibler divergence in nats. Both are brought to a largest value of one and added. A
// linear head, or one hidden layer with ReLU, trained by Adam in mini-batches. It asks what [EWC] and [SI] ask, both at once, and looks at no row again.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far.
// Logits:  N×K outputs; their softmax is Predict.
// Update:  the model trained on the task's rows from where it stood, under the penalty; new classes get outputs that start at zero and are free.
// Forget:  no: its weights and their importance hold traces of every row; Joint can, by training again.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: gradients are those of mini-batches, as in the authors' code; the paper keeps a few rows besides, which is Replay's part.
// Source:  chaudhry2018riemannian, section 4; weyssow2023usage for the comparison.
// Claim:   claims/continual/rwalk.go.
type RWalk struct {
	// Strength weighs the penalty, whose largest importance is two: the paper's λ.
	Strength float64 `default:"1" range:"(0,1e12]"`
	// Period is how many steps make a stretch: the paper's Δt.
	Period int `default:"10" range:"[1,1e6]"`
	// Damping is added to the divergence, in nats, so that a weight that hardly mattered counts little: the paper's ε, 1e-3 in its code too.
	Damping float64 `default:"1e-3" range:"[1e-30,1]"`
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

func (c RWalk) schooling() schooling {
	return schooling{hidden: c.Hidden, epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed}
}

// Fit trains on the first task, on which nothing is held.
func (c RWalk) Fit(ctx context.Context, train *data.Table) (*RWalkModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	start, err := newNetwork("rwalk", rows, c.schooling())
	if err != nil {
		return nil, err
	}
	return c.learn(ctx, start, newAnchor(start), make([][]float64, len(start.tensors)), rows)
}

func (c RWalk) learn(ctx context.Context, from *network, held *anchor, score [][]float64, rows *lesson) (*RWalkModel, error) {
	next := from.clone()
	next.grow(rows.labels)
	s := c.schooling()
	s.extra = held.penalty(next, c.Strength)
	walk := newRWalkWay(next, newPath(next, held, c.Strength), c)
	s.gradients, s.stepped = walk.gradients, walk.stepped
	if err := next.learn(ctx, rows, s); err != nil {
		return nil, err
	}
	if next.tasks == from.tasks {
		return &RWalkModel{c, next, held, score}, nil
	}
	walk.stretch(next.tensors)
	if from.tasks > 0 { // the mean with the score so far, so that many tasks do not pile up
		for i, v := range walk.score {
			for j := range v {
				v[j] /= 2
			}
			for j, old := range score[i] {
				v[j] += old / 2
			}
		}
	}
	importance := rwalkUnit(walk.fisher)
	for i, v := range rwalkUnit(walk.score) {
		for j, more := range v {
			importance[i][j] += more
		}
	}
	return &RWalkModel{c, next, newAnchor(next).and(next, importance), walk.score}, nil
}

// rwalkRecent is the weight of the newest stretch in the running Fisher information: the paper's α.
const rwalkRecent = 0.9

// rwalkWay measures a training, stretch by stretch.
type rwalkWay struct {
	*path
	period        int
	damping       float64
	steps, passed int         // of the stretch; stretches so far
	squares       [][]float64 // of the stretch's gradients, added up
	begin         [][]float32 // the weights when it began
	fisher, score [][]float64
}

func newRWalkWay(w *network, p *path, c RWalk) *rwalkWay {
	walk := &rwalkWay{path: p, period: c.Period, damping: c.Damping}
	for _, t := range w.tensors {
		n := len(t.Values)
		walk.squares, walk.fisher, walk.score = append(walk.squares, make([]float64, n)), append(walk.fisher, make([]float64, n)), append(walk.score, make([]float64, n))
		walk.begin = append(walk.begin, slices.Clone(t.Values))
	}
	return walk
}

func (k *rwalkWay) gradients(step int, params *net.Params) error {
	if err := k.path.gradients(step, params); err != nil {
		return err
	}
	for i, slope := range k.slope {
		for j, g := range slope {
			k.squares[i][j] += g * g
		}
	}
	return nil
}

func (k *rwalkWay) stepped(step int, params *net.Params) error {
	if err := k.path.stepped(step, params); err != nil {
		return err
	}
	if k.steps++; k.steps == k.period {
		k.stretch(params.Tensors())
	}
	return nil
}

// stretch ends one, at these weights.
func (k *rwalkWay) stretch(tensors []net.Tensor) {
	if k.steps == 0 {
		return
	}
	recent := rwalkRecent
	if k.passed == 0 {
		recent = 1
	}
	for i, t := range tensors {
		for j, v := range t.Values {
			f := recent*k.squares[i][j]/float64(k.steps) + (1-recent)*k.fisher[i][j]
			moved := float64(v) - float64(k.begin[i][j])
			k.score[i][j] += max(k.fall[i][j], 0) / (f*moved*moved/2 + k.damping)
			k.fisher[i][j], k.squares[i][j], k.fall[i][j], k.begin[i][j] = f, 0, 0, v
		}
	}
	k.steps, k.passed = 0, k.passed+1
}

// rwalkUnit brings the largest of all values to one.
func rwalkUnit(all [][]float64) [][]float64 {
	most := 0.0
	for _, v := range all {
		most = max(most, slices.Max(v))
	}
	unit := make([][]float64, len(all))
	for i, v := range all {
		unit[i] = make([]float64, len(v))
		for j := range v {
			if most > 0 {
				unit[i][j] = v[j] / most
			}
		}
	}
	return unit
}

// RWalkModel is a fitted [SI].
type RWalkModel struct {
	config RWalk
	net    *network
	held   *anchor
	score  [][]float64 // of every weight, tasks averaged
}

// Update returns the model trained on the task's rows, held near where it stood.
func (m *RWalkModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("rwalk", task, len(m.net.center)); err != nil {
		return nil, err
	}
	rows, err := newLesson(task)
	if err != nil {
		return nil, err
	}
	next, err := m.config.learn(ctx, m.net, m.held, m.score, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// Predict returns each row's class probabilities, N×K.
func (m *RWalkModel) Predict(in *data.Table) (*data.Table, error) { return m.net.predict(in) }

// Logits returns the outputs for each row, N×K.
func (m *RWalkModel) Logits(in *data.Table) (*data.Table, error) { return m.net.logits(in) }

// State returns the model as tensors: the network, and the importance, center and score of every weight.
func (m *RWalkModel) State() *data.Checkpoint {
	st := m.net.state()
	m.held.state(m.net, st)
	for i, t := range m.net.tensors {
		st.Tensors["score."+t.Name] = data.Float64Tensor(m.score[i], t.Shape...)
	}
	return st
}

func loadRWalk(c RWalk, st *data.Checkpoint) (*RWalkModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("rwalk", st, c.Hidden)
	if err != nil {
		return nil, err
	}
	held, err := loadAnchor(w, st)
	if err != nil {
		return nil, err
	}
	score, err := loadImportance(w, st, "score.")
	if err != nil {
		return nil, err
	}
	return &RWalkModel{c, w, held, score}, nil
}
