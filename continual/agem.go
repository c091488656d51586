package continual

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a network that takes no step against the gradient of rows kept of earlier tasks",
	Paper: "chaudhry2019efficient",
	Exempt: map[string]string{
		"far-from-zero": "which rows are kept is drawn by a hash of their values, so other values keep others",
		"update":        "it asks that kept rows get no worse to first order; small steps add up, and old classes fade",
	},
}, AGEM.Fit, loadAGEM))

// AGEM trains a network on the rows of each task, and bends every gradient that would undo what kept rows of earlier tasks ask for.
//
// It is averaged gradient episodic memory of Chaudhry et al. (2019): beside each batch of the task a batch of the buffer is drawn; where the
// gradients of the two point against each other, the part of the task's along the buffer's is taken out, which is the nearest gradient that lets
// the buffer's loss not rise. Kept rows are never learned from: they only forbid. A linear head, or one hidden layer with ReLU, trained by
// Adam in mini-batches. [Replay], which does learn from them, keeps more at half the cost of a step; prefer this where kept rows must not be fitted.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far.
// Logits:  N×K outputs; their softmax is Predict.
// Update:  the model trained on the task's rows from where it stood, under the buffer's veto; new classes get outputs that start at zero.
// Forget:  no: its weights hold traces of every row, also of those that have left the buffer; Joint can, by training again.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: Adam takes the projected gradient and rescales it weight by weight, so its step may still point a little against the buffer; a reservoir draws by a hash of the row, so that order changes nothing.
// Source:  chaudhry2019efficient, eq. (11) and Algorithm 2; vitter1985random for the reservoir, rebuffi2017icarl for herding; weyssow2023usage for the comparison.
// Claim:   claims/continual/agem.go.
type AGEM struct {
	// Capacity is how many rows are kept, of all tasks together. Twenty a class are usual; what more would bring, a second run with twice as many says.
	Capacity int `default:"50" range:"[1,1e9]"`
	// Strategy chooses them: reservoir keeps every row with the same probability, balanced gives every class as many places, herding fills those with the rows whose mean stays nearest to the class's.
	Strategy string `default:"balanced" enum:"balanced,reservoir,herding"`
	// Hidden is the width of a hidden layer; 0 trains a linear head.
	Hidden int `range:"[0,65536]"`
	// Steps is how many passes over a task's rows are made.
	Steps int `default:"40" range:"[1,1e6]"`
	// Batch is how many rows a step looks at, of the task and, where there are as many, of the buffer.
	Batch int `default:"32" range:"[1,1e6]"`
	// Rate is that of Adam, in units of the first task's deviations.
	Rate float64 `default:"0.03" range:"(0,1]"`
	// Seed starts the random numbers: of the hidden layer, of the order of rows, and of what is kept and looked at.
	Seed uint64
}

func (c AGEM) schooling() schooling {
	return schooling{hidden: c.Hidden, epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed}
}

// Fit trains on the first task, on which nothing is forbidden.
func (c AGEM) Fit(ctx context.Context, train *data.Table) (*AGEMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	start, err := newNetwork("agem", rows, c.schooling())
	if err != nil {
		return nil, err
	}
	empty := &buffer{strategy: c.Strategy, capacity: c.Capacity, seed: c.Seed, rows: &lesson{d: rows.d}}
	return c.learn(ctx, start, empty, rows)
}

func (c AGEM) learn(ctx context.Context, from *network, kept *buffer, rows *lesson) (*AGEMModel, error) {
	next := from.clone()
	next.grow(rows.labels)
	s := c.schooling()
	if len(kept.rows.labels) > 0 {
		s.gradients = newAGEMVeto(next, kept.rows, c).gradients
	}
	if err := next.learn(ctx, rows, s); err != nil {
		return nil, err
	}
	return &AGEMModel{c, next, kept.add(rows)}, nil
}

// agemVeto measures the gradient of kept rows where a training stands.
type agemVeto struct {
	net     *network
	x       []float32 // N×D, kept rows as the network takes them
	classes []int32
	batch   int // of them that are drawn
	seed    uint64

	params *net.Params // those of the training, with gradients of their own
	run    *net.Program
	in     *net.Node
	labels *net.Ints
}

func newAGEMVeto(w *network, kept *lesson, c AGEM) *agemVeto {
	index := map[string]int32{}
	for k, name := range w.classes {
		index[name] = int32(k)
	}
	v := &agemVeto{net: w, x: w.inputs(kept.x), batch: min(c.Batch, len(kept.labels)), seed: part.Mix(c.Seed + 1 + uint64(w.tasks)<<32)}
	for _, name := range kept.labels {
		v.classes = append(v.classes, index[name])
	}
	return v
}

// build makes the program at the first step, when there are parameters.
func (v *agemVeto) build(params *net.Params) error {
	d := len(v.net.center)
	chain, err := net.NewChain(v.net.tensors, d)
	if err != nil {
		return fmt.Errorf("%w: %w", method.ErrState, err)
	}
	v.params = params.Lend()
	g := net.NewGraph(v.params)
	v.in, v.labels = g.Input(v.batch, d), g.Ints(v.batch)
	outs := chain.Build(g, v.in)
	v.run, err = g.Train(g.CrossEntropy(outs[len(outs)-1], v.labels, net.Targets{}))
	return err
}

// gradients measures that of a batch of kept rows, and bends that of the training where they disagree.
func (v *agemVeto) gradients(step int, params *net.Params) error {
	if v.run == nil {
		if err := v.build(params); err != nil {
			return err
		}
	}
	d := len(v.net.center)
	drawn := rand.New(rand.NewPCG(v.seed, uint64(step))).Perm(len(v.classes))[:v.batch]
	for i, row := range drawn {
		copy(v.in.Value()[i*d:(i+1)*d], v.x[row*d:(row+1)*d])
		v.labels.Values[i] = v.classes[row]
	}
	v.run.Forward()
	v.params.ZeroGradients()
	v.run.Backward()
	var own, kept [][]float32
	for _, p := range params.All() {
		own, kept = append(own, p.Gradient()), append(kept, v.params.Get(p.Name).Gradient())
	}
	agemBend(own, kept)
	return nil
}

// agemBend takes out of a gradient what points against another: g − (g·r / r·r)·r where g·r < 0, else g as it is. Eq. (11).
func agemBend(g, r [][]float32) {
	along, length := 0.0, 0.0
	for i := range g {
		along += num.Dot(g[i], r[i])
		length += num.SquaredNorm(r[i])
	}
	if !(along < 0) {
		return
	}
	for i := range g {
		num.AddScaled(g[i], float32(-along/length), r[i])
	}
}

// AGEMModel is a fitted [AGEM].
type AGEMModel struct {
	config AGEM
	net    *network
	kept   *buffer
}

// Update returns the model trained on the task's rows, against no kept row.
func (m *AGEMModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("agem", task, len(m.net.center)); err != nil {
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
func (m *AGEMModel) Predict(in *data.Table) (*data.Table, error) { return m.net.predict(in) }

// Logits returns the outputs for each row, N×K.
func (m *AGEMModel) Logits(in *data.Table) (*data.Table, error) { return m.net.logits(in) }

// State returns the model as tensors: the network and the buffer.
func (m *AGEMModel) State() *data.Checkpoint {
	st := m.net.state()
	m.kept.state(st)
	return st
}

func loadAGEM(c AGEM, st *data.Checkpoint) (*AGEMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("agem", st, c.Hidden)
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
	return &AGEMModel{c, w, kept}, nil
}
