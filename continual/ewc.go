package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a network held near what it learned, each weight by its Fisher information",
	Paper: "kirkpatrick2017overcoming",
	Exempt: map[string]string{
		"update":             "outputs of new classes are held by nothing and outgrow old ones: penalties keep domains, not classes",
		"every-knob-matters": "where penalties stand, Strategy, shows from the third task on; the check makes two",
	},
}, EWC.Fit, loadEWC))

// EWC trains a network on the rows of each task, and holds each weight near where earlier tasks left it, by its Fisher information there.
//
// It is elastic weight consolidation of Kirkpatrick et al. (2017): the loss of what was learned, around where it was left, is to second order
// a quadratic in every weight. After each task one quadratic joins those before it; as quadratics add into one exactly, the model stays at
// two numbers a weight, however many there were. The Fisher information is that of the network's own probabilities, in closed form: no class is
// drawn and no label looked at. A linear head, or one hidden layer with ReLU, trained by Adam in mini-batches. Prefer it to [FineTune] where
// tasks share their classes and no row may be kept; where every task brings new classes, [SLCA] and the learners on moments forget less.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far.
// Logits:  N×K outputs; their softmax is Predict.
// Update:  the model trained on the task's rows from where it stood, under the penalty; new classes get outputs that start at zero and are free.
// Forget:  no: its weights and their importance hold traces of every row; Joint can, by training again.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: penalties are joined into one, which changes nothing; the Fisher information is exact for a task's rows instead of drawn; Strategy offers a correction.
// Source:  kirkpatrick2017overcoming, eq. (3); huszar2018note for latest; weyssow2023usage for the comparison.
// Claim:   claims/continual/ewc.go.
type EWC struct {
	// Strength weighs the penalty; 1 counts each earlier task as much as this one. The diagonal leaves out how weights act together, so more is usual: the paper's λ.
	Strength float64 `default:"30" range:"(0,1e12]"`
	// Strategy says where the penalties stand: separate has each around the weights that its own task left, as in the paper; latest moves all to those of the last task, which earlier penalties have shaped already, and on quadratic losses gives what all tasks at once would.
	Strategy string `default:"separate" enum:"separate,latest"`
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

func (c EWC) schooling() schooling {
	return schooling{hidden: c.Hidden, epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed}
}

// Fit trains on the first task, on which nothing is held.
func (c EWC) Fit(ctx context.Context, train *data.Table) (*EWCModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	start, err := newNetwork("ewc", rows, c.schooling())
	if err != nil {
		return nil, err
	}
	return c.learn(ctx, start, newAnchor(start), rows)
}

func (c EWC) learn(ctx context.Context, from *network, held *anchor, rows *lesson) (*EWCModel, error) {
	next := from.clone()
	next.grow(rows.labels)
	s := c.schooling()
	s.extra = held.penalty(next, c.Strength/2)
	if err := next.learn(ctx, rows, s); err != nil {
		return nil, err
	}
	importance, err := ewcFisher(next, rows)
	if err != nil {
		return nil, err
	}
	held = held.and(next, importance)
	if c.Strategy == ewcLatest {
		held = held.around(next)
	}
	return &EWCModel{c, next, held}, nil
}

const ewcLatest = "latest"

// ewcFisher is the diagonal of the Fisher information of what the network says of rows, their mean: the squared derivative of a class's
// log-probability by each weight, expected over the classes that the network itself gives the row.
func ewcFisher(w *network, rows *lesson) ([][]float64, error) {
	const block = 512
	n, d := len(rows.labels), rows.d
	weight, bias := w.head()
	k, h := weight.Shape[0], weight.Shape[1]
	fisher := make([][]float64, len(w.tensors))
	for i, t := range w.tensors {
		fisher[i] = make([]float64, len(t.Values))
	}
	last := len(w.tensors) - 2
	out, outSquared := make([]float64, k*h), make([]float64, k*h) // K×H
	for i, v := range weight.Values {
		out[i], outSquared[i] = float64(v), float64(v)*float64(v)
	}
	share := 1 / float64(n)
	for lo := 0; lo < n; lo += block {
		m := min(block, n-lo)
		x := rows.x[lo*d : (lo+m)*d]
		features, err := w.features(x) // M×H
		if err != nil {
			return nil, err
		}
		f, squared := make([]float64, m*h), make([]float64, m*h)
		for i, v := range features {
			f[i], squared[i] = float64(v), float64(v)*float64(v)
		}
		p := make([]float64, m*k)
		for i := range p {
			p[i] = float64(bias.Values[i%k])
		}
		num.Gemm(false, true, m, k, h, 1, f, h, out, h, 1, p, k)
		variance := make([]float64, m*k) // of whether a row is of a class: the expected squared derivative by its logit
		for i := range m {
			num.Softmax(p[i*k:(i+1)*k], p[i*k:(i+1)*k], 1)
		}
		for i, v := range p {
			variance[i] = v * (1 - v)
			fisher[last+1][i%k] += share * variance[i]
		}
		num.Gemm(true, false, k, h, m, share, variance, k, squared, h, 1, fisher[last], h)
		if last == 0 {
			continue
		}
		// By a hidden unit's input: the variance, over classes, of the weight by which the class reads the unit.
		mean, spread := make([]float64, m*h), make([]float64, m*h)
		num.Gemm(false, false, m, h, k, 1, p, k, out, h, 0, mean, h)
		num.Gemm(false, false, m, h, k, 1, p, k, outSquared, h, 0, spread, h)
		for i, v := range mean {
			if spread[i] = max(spread[i]-v*v, 0); f[i] <= 0 {
				spread[i] = 0
			}
			fisher[1][i%h] += share * spread[i]
		}
		inputs := make([]float64, m*d)
		for i, v := range w.inputs(x) {
			inputs[i] = float64(v) * float64(v)
		}
		num.Gemm(true, false, h, d, m, share, spread, h, inputs, d, 1, fisher[0], d)
	}
	return fisher, nil
}

// EWCModel is a fitted [EWC].
type EWCModel struct {
	config EWC
	net    *network
	held   *anchor
}

// Update returns the model trained on the task's rows, held near where it stood.
func (m *EWCModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("ewc", task, len(m.net.center)); err != nil {
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
func (m *EWCModel) Predict(in *data.Table) (*data.Table, error) { return m.net.predict(in) }

// Logits returns the outputs for each row, N×K.
func (m *EWCModel) Logits(in *data.Table) (*data.Table, error) { return m.net.logits(in) }

// State returns the model as tensors: the network, and the importance and center of every weight.
func (m *EWCModel) State() *data.Checkpoint {
	st := m.net.state()
	m.held.state(m.net, st)
	return st
}

func loadEWC(c EWC, st *data.Checkpoint) (*EWCModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("ewc", st, c.Hidden)
	if err != nil {
		return nil, err
	}
	held, err := loadAnchor(w, st)
	if err != nil {
		return nil, err
	}
	return &EWCModel{c, w, held}, nil
}
