package continual

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "mean features by cosine, with features adapted on the first task beside the frozen ones",
	Paper: "zhou2023revisiting",
	Exempt: map[string]string{
		"far-from-zero": "features are compared by their direction from zero, as in the paper",
	},
}, APER.Fit, loadAPER))

// APER classifies by the angle to class means, in features of a frozen encoder joined with those of a copy that the first task adapted.
//
// It is ADAM of Zhou et al. (2023), later named APER, on a table of frozen features: an adapter, a narrow layer whose output is added to
// the features, is trained with a linear head on the first task and then frozen; every task, the first as well, is learned as class
// means of both sets of features side by side. With an adapter that learned nothing it is [Prototypes]. O(N·D·Rank) a pass to adapt, then as that.
// Prefer it where the first task is large and like those to come.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row: the first task, which the adapter learns.
// Predict: N×K probabilities, softmax(cosine/Temperature); the most probable class is the one of largest cosine.
// Score:   N values in [0, 2], 1 − largest cosine, higher = less like any class learned so far.
// Update:  the model that has also seen the task's rows; the adapter stays what the first task made it.
// Forget:  no: the adapter holds traces of the first task's rows; Prototypes, which has none, can.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: one adapter on a table's features instead of one in every block of a ViT, so it cannot look deeper than they do.
// Source:  zhou2023revisiting, section 4.2 and Algorithm 1; hyper-parameters of the authors' code.
// Claim:   claims/continual/aper.go.
type APER struct {
	// Rank is the width of the adapter (the paper's 64).
	Rank int `default:"16" range:"[1,65536]"`
	// Steps is how many passes over the first task's rows are made.
	Steps int `default:"20" range:"[1,1e6]"`
	// Batch is how many rows a step looks at.
	Batch int `default:"48" range:"[1,1e6]"`
	// Rate is that of gradient descent with momentum; it falls to zero over the first task.
	Rate float64 `default:"0.01" range:"(0,1]"`
	// Temperature divides cosines before the softmax: lower is more confident, the chosen class stays the same.
	Temperature float64 `default:"0.03" range:"(0,1e6]" unit:"cosine"`
	// Seed starts the random numbers: of the adapter and of the order of rows.
	Seed uint64
}

// aperAdapter is x ↦ x + Up·ReLU(Down·x) on features divided by scale.
type aperAdapter struct {
	d, r                int
	scale               float64
	down, bias, up, out []float32 // R×D, R, D×R, D
}

// Fit adapts on the first task and learns its class means.
func (c APER) Fit(ctx context.Context, train *data.Table) (*APERModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	if len(rows.labels) == 0 {
		return nil, fmt.Errorf("%w: no rows to learn from", data.ErrShape)
	}
	a, err := c.adapt(ctx, rows)
	if err != nil {
		return nil, err
	}
	joined, err := a.lift(train)
	if err != nil {
		return nil, err
	}
	s, err := moments.FromSource(ctx, joined, moments.Options{})
	if err != nil {
		return nil, err
	}
	return c.recalled(s, a)
}

// adapt trains the adapter with a linear head on the first task.
func (c APER) adapt(ctx context.Context, rows *lesson) (*aperAdapter, error) {
	n, d := len(rows.labels), rows.d
	a := &aperAdapter{d: d, r: c.Rank, scale: 1}
	square := 0.0
	for _, v := range rows.x {
		square += float64(v) * float64(v) / float64(n*d)
	}
	if root := math.Sqrt(square); root > 0 && !math.IsInf(1/root, 0) && !math.IsInf(root, 0) {
		a.scale = root
	}
	x := a.scaled(rows.x)
	var classes []string
	labels := make([]int32, n)
	for i, name := range rows.labels { // sorted by class
		if i == 0 || name != rows.labels[i-1] {
			classes = append(classes, name)
		}
		labels[i] = int32(len(classes) - 1)
	}
	params := net.NewParams(c.Seed)
	loop := net.Loop{Epochs: c.Steps, Batch: c.Batch, Seed: part.Mix(c.Seed), Schedule: net.Schedule{Cosine: true},
		Optimiser: net.Optimiser{Rule: net.SGD, Rate: c.Rate, Momentum: 0.9, Decay: 5e-4}}
	loop.Progress = func(p net.Progress) bool { method.Progress(ctx, p.Epoch, p.Epochs); return true }
	trainer, err := net.NewTrainer(loop, params, net.Task{Rows: n, Build: func(g *net.Graph, m int) (*net.Node, func(net.Batch)) {
		in, index := g.Input(m, d), g.Ints(m)
		narrow := g.ReLU(g.Linear(in, g.Param("down", net.HeNormal, c.Rank, d), g.Param("bias", net.Constant(0), c.Rank)))
		adapted := g.Add(in, g.Linear(narrow, g.Param("up", net.Constant(0), d, c.Rank), g.Param("out", net.Constant(0), d)))
		return g.CrossEntropy(g.Dense("head", adapted, len(classes)), index, net.Targets{}), func(b net.Batch) {
			for i, row := range b.Rows {
				copy(in.Value()[i*d:(i+1)*d], x[row*d:(row+1)*d])
				index.Values[i] = labels[row]
			}
		}
	}})
	if err != nil {
		return nil, fmt.Errorf("aper: %w: %w", method.ErrConfig, err)
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("aper: %w: %w", method.ErrDegenerate, err)
	}
	a.down, a.bias, a.up, a.out = params.Get("down").Values, params.Get("bias").Values, params.Get("up").Values, params.Get("out").Values
	return a, nil
}

// aperFarthest is how large a scaled feature may get before it is cut: sums over it stay finite.
const aperFarthest = 1e15

func (a *aperAdapter) scaled(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(min(max(float64(v)/a.scale, -aperFarthest), aperFarthest))
	}
	return out
}

// lift puts the adapted features beside the frozen ones, N×2D.
func (a *aperAdapter) lift(in *data.Table) (*data.Table, error) {
	if err := method.Width("aper", in, a.d); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	x := a.scaled(in.X())
	wide := func(v []float32) []float64 {
		w := make([]float64, len(v))
		for i, f := range v {
			w[i] = float64(f)
		}
		return w
	}
	rows, down, up := wide(x), wide(a.down), wide(a.up)
	narrow, added := make([]float64, n*a.r), make([]float64, n*a.d)
	num.Gemm(false, true, n, a.r, a.d, 1, rows, a.d, down, a.d, 0, narrow, a.r)
	for i, v := range narrow {
		narrow[i] = max(v+float64(a.bias[i%a.r]), 0)
	}
	num.Gemm(false, true, n, a.d, a.r, 1, narrow, a.r, up, a.r, 0, added, a.d)
	out := make([]float32, 2*n*a.d)
	for i := range n {
		row := out[2*i*a.d : 2*(i+1)*a.d]
		copy(row, x[i*a.d:(i+1)*a.d])
		for j := range a.d {
			v := rows[i*a.d+j] + added[i*a.d+j] + float64(a.out[j])
			row[a.d+j] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
		}
	}
	t, err := data.NewTable(n, 2*a.d, out)
	if err != nil {
		return nil, err
	}
	return withLabelsOf(t, in)
}

func (c APER) recalled(s *moments.State, a *aperAdapter) (*APERModel, error) {
	if err := moments.Classes.Check(s); err != nil {
		return nil, err
	}
	kept := remember("aper", s, a.lift, func(s *moments.State) (*APERModel, error) { return c.recalled(s, a) })
	return &APERModel{c, a, kept, newDirections("aper", s)}, nil
}

// APERModel is a fitted [APER].
type APERModel struct {
	config  APER
	adapter *aperAdapter
	kept    memory // of rows as the adapter shows them; not embedded, for it could forget and the adapter cannot
	mean    *directions
}

// Update returns the model that has also seen the task's rows.
func (m *APERModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	return m.kept.Update(ctx, task)
}

// Predict returns each row's class probabilities, N×K.
func (m *APERModel) Predict(in *data.Table) (*data.Table, error) {
	joined, err := m.adapter.lift(in)
	if err != nil {
		return nil, err
	}
	return m.mean.predict(joined, m.config.Temperature)
}

// Score returns how unlike every class each row is.
func (m *APERModel) Score(in *data.Table) ([]float64, error) {
	joined, err := m.adapter.lift(in)
	if err != nil {
		return nil, err
	}
	return m.mean.score(joined)
}

// State returns the model as tensors: the adapter and the sums.
func (m *APERModel) State() *data.Checkpoint {
	st, a := m.kept.State(), m.adapter
	st.Tensors["adapter.scale"] = data.Float64Tensor([]float64{a.scale}, 1)
	st.Tensors["adapter.down"] = data.Float32Tensor(a.down, a.r, a.d)
	st.Tensors["adapter.bias"] = data.Float32Tensor(a.bias, a.r)
	st.Tensors["adapter.up"] = data.Float32Tensor(a.up, a.d, a.r)
	st.Tensors["adapter.out"] = data.Float32Tensor(a.out, a.d)
	return st
}

func loadAPER(c APER, st *data.Checkpoint) (*APERModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	a := &aperAdapter{r: c.Rank, out: r.Float32s("adapter.out", -1)}
	a.d = len(a.out)
	a.scale = 1
	a.down, a.bias, a.up = r.Float32s("adapter.down", a.r, a.d), r.Float32s("adapter.bias", a.r), r.Float32s("adapter.up", a.d, a.r)
	scale := r.Floats("adapter.scale", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	s, err := recall(st)
	if err != nil {
		return nil, err
	}
	if a.scale = scale[0]; !(a.scale > 0) {
		return nil, fmt.Errorf("%w: features are divided by %g", data.ErrFormat, a.scale)
	}
	if d, _ := s.Dims(); d != 2*a.d || a.d == 0 {
		return nil, fmt.Errorf("%w: sums of %d columns for an adapter of %d", data.ErrShape, d, a.d)
	}
	return c.recalled(s, a)
}
