package continual

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "maps over image and name embeddings that each task changes by no more directions than it needs",
	Paper: "lu2024adaptive",
	Small: map[string]string{"steps": "40"},
	Exempt: map[string]string{
		"far-from-zero": "rows are compared with names by their direction from zero, as the model that gave the embeddings does",
	},
}, CoDyRA.Fit, loadCoDyRA))

// CoDyRA tunes a model of images and names on task after task by changes of low rank, whose rank each task chooses.
//
// It is the dynamic rank-selective low-rank adaptation of Lu et al. (2024) for whoever has embeddings of images and of class names in one
// space, as CLIP gives them: a linear map over each, which starts as the identity, so that the untuned model is the zero-shot head. A task
// changes each map by Rank directions, each with an importance. In the second part of the task's steps all importances are drawn towards
// zero, those that reach it drop out, and what is left is added to the map: no row is kept, and later rows cost nothing more.
// O(Steps·(Batch·D² + Rank·D²)) a task, O(D² + K·D) a row to predict. Prefer it over [ZSCL] where there are no other images to hold on
// to; [CoDyRAModel.Ranks] says how much each task changed. In its claim here it beats the rank that it starts from, but a small fixed rank does as well.
//
// Fits on: Train N×D with a label for every row, none of length zero; Names, optional, embeddings of class names in the same space, labelled, one or more a class, of classes to come and of none as well. Without Names, and for a class that has none, the mean direction of its first rows is its name.
// Predict: N×K probabilities of all classes that have names, taught or not. A row of length zero has cosine 0 with everything.
// Logits:  N×K, cosine/Temperature; their softmax is Predict.
// Update:  the model tuned on the task's rows; names that were not there at the start come with [CoDyRAModel.WithNames].
// Forget:  no: its weights hold traces of every row, and no record of which.
// Errors:  ErrLabels when a row or a name has no label; ErrShape without rows or columns and on another width; ErrDegenerate for a row of length zero, for a class whose rows cancel, and when training diverges.
// Differs: one map over each frozen encoder instead of all linear layers inside them; the cross-entropy over names alone, without the code's second one over rows; Adam without decay; the pull grows evenly with every step instead of by stairs; Rate is for maps this small, the code's 5e-4 for CLIP.
// Source:  lu2024adaptive; how directions and importances begin, the rank, and the pull over the second half of the steps are those of the authors' code.
// Claim:   claims/continual/codyra.go.
type CoDyRA struct {
	// Rank is the most directions in which a task may change each map.
	Rank int `default:"16" range:"[1,65536]"`
	// Sparsity is the most that a step draws each importance towards zero; importances begin about 1.
	Sparsity float64 `default:"0.005" range:"(0,1e6]"`
	// Start is the share of the steps after which importances are drawn, at first by nothing.
	Start float64 `default:"0.5" range:"(0,1)"`
	// Steps is how many batches of a task are looked at.
	Steps int `default:"500" range:"[1,1e6]"`
	// Batch is how many rows a step looks at.
	Batch int `default:"32" range:"[1,1e6]"`
	// Rate is that of Adam at first; it falls to zero along half a cosine.
	Rate float64 `default:"3e-3" range:"(0,1]"`
	// Temperature divides cosines before the softmax; CLIP ends at 0.01.
	Temperature float64 `default:"0.01" range:"(0,1e6]" unit:"cosine"`
	// Seed starts the random numbers: of the directions, of importances, and of the order of rows.
	Seed uint64
}

// CoDyRAInput is what is learned from.
type CoDyRAInput struct {
	// Train are the first task's rows, N×D.
	Train *data.Table
	// Names are embeddings of class names, labelled, D columns.
	Names *data.Table `optional:"true"`
}

// Fit tunes the zero-shot model on the first task.
func (c CoDyRA) Fit(ctx context.Context, in CoDyRAInput) (*CoDyRAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if in.Train == nil {
		return nil, fmt.Errorf("%w: no rows", method.ErrInput)
	}
	rows, err := newLesson(in.Train)
	if err != nil {
		return nil, err
	}
	t := newTowers("codyra", rows.d)
	if in.Names != nil {
		if err := t.callBy(in.Names); err != nil {
			return nil, err
		}
	}
	return c.learn(ctx, &CoDyRAModel{config: c, pointing: pointing{t, c.Temperature}}, rows)
}

func (c CoDyRA) learn(ctx context.Context, from *CoDyRAModel, rows *lesson) (*CoDyRAModel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(rows.labels) == 0 {
		return nil, fmt.Errorf("%w: no rows to learn from", data.ErrShape)
	}
	t := from.towers.clone()
	if err := t.call(rows); err != nil {
		return nil, err
	}
	params := net.NewParams(part.Mix(c.Seed + uint64(t.tasks)<<32))
	rank := min(c.Rank, t.d)
	err := t.learn(ctx, params, rows, tuition{
		steps: c.Steps, batch: c.Batch, rate: c.Rate, temperature: c.Temperature, seed: c.Seed,
		image:   func(g *net.Graph) *net.Node { return codyraChanged(g, "image", from.towers.image, t.d, rank) },
		text:    func(g *net.Graph) *net.Node { return codyraChanged(g, "text", from.towers.text, t.d, rank) },
		stepped: func(step int, p *net.Params) error { c.draw(step, p); return nil },
	})
	if err != nil {
		return nil, err
	}
	m := &CoDyRAModel{config: c, pointing: pointing{t, c.Temperature}, ranks: slices.Clone(from.ranks)}
	m.ranks = append(m.ranks, [2]int{codyraMerge(t.image, params, "image", t.d, rank), codyraMerge(t.text, params, "text", t.d, rank)})
	return m, nil
}

// codyraChanged is a map with what a task adds to it: up·diag(gate)·down. It starts as the map, since up starts at zero.
func codyraChanged(g *net.Graph, name string, weight []float32, d, rank int) *net.Node {
	up := g.Param(name+".up", net.Constant(0), d, rank)
	gate := g.Param(name+".gate", net.Normal(1), 1, rank)
	down := g.Param(name+".down", net.Normal(1/math.Sqrt(3*float64(d))), rank, d) // the variance of the code's uniform ones
	return g.Add(g.Constant(slices.Clone(weight), d, d), g.MatMul(g.Mul(up, gate), down, false, false))
}

// draw brings all importances nearer to zero, after a share of the steps.
func (c CoDyRA) draw(step int, params *net.Params) {
	first := c.Start * float64(c.Steps)
	if float64(step) <= first {
		return
	}
	by := float32(c.Sparsity * (float64(step) - first) / (float64(c.Steps) - first))
	for _, name := range []string{"image.gate", "text.gate"} {
		codyraShrink(params.Get(name).Values, by)
	}
}

// codyraShrink is the proximal map of by·|w|₁: the w that makes ½(w−x)² + by·|w| least.
func codyraShrink(x []float32, by float32) {
	for i, v := range x {
		switch {
		case v > by:
			x[i] = v - by
		case v < -by:
			x[i] = v + by
		default:
			x[i] = 0
		}
	}
}

// codyraMerge adds to a map what a task learned and returns in how many directions.
func codyraMerge(weight []float32, params *net.Params, name string, d, rank int) (directions int) {
	up, gate := slices.Clone(params.Get(name+".up").Values), params.Get(name+".gate").Values
	for k, v := range gate {
		if v != 0 {
			directions++
		}
		for i := range d {
			up[i*rank+k] *= v
		}
	}
	if directions > 0 {
		num.Gemm(false, false, d, d, rank, 1, up, rank, params.Get(name+".down").Values, d, 1, weight, d)
	}
	return directions
}

// CoDyRAModel is a fitted [CoDyRA].
type CoDyRAModel struct {
	pointing
	config CoDyRA
	ranks  [][2]int
}

// Ranks returns for each task in how many directions it changed the maps over images and over names.
func (m *CoDyRAModel) Ranks() [][2]int { return slices.Clone(m.ranks) }

// Report says in how many directions the last task changed the maps.
func (m *CoDyRAModel) Report() data.Numbers {
	last := m.ranks[len(m.ranks)-1]
	return data.Numbers{"image_rank": float64(last[0]), "text_rank": float64(last[1])}
}

// WithNames returns the model with names of more classes: embeddings as in [CoDyRAInput]. Classes that have a name keep it.
func (m *CoDyRAModel) WithNames(names *data.Table) (*CoDyRAModel, error) {
	p, err := m.named(names)
	if err != nil {
		return nil, err
	}
	return &CoDyRAModel{p, m.config, m.ranks}, nil
}

// Update returns the model tuned on the task's rows.
func (m *CoDyRAModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	rows, err := m.lesson(task)
	if err != nil {
		return nil, err
	}
	next, err := m.config.learn(ctx, m, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// State returns the model as tensors.
func (m *CoDyRAModel) State() *data.Checkpoint {
	st := m.towers.state()
	flat := make([]int64, 0, 2*len(m.ranks))
	for _, r := range m.ranks {
		flat = append(flat, int64(r[0]), int64(r[1]))
	}
	st.Tensors["ranks"] = data.Int64Tensor(flat, len(m.ranks), 2)
	return st
}

func loadCoDyRA(c CoDyRA, st *data.Checkpoint) (*CoDyRAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	t, err := loadTowers("codyra", st)
	if err != nil {
		return nil, err
	}
	flat, _, err := st.Ints("ranks", t.tasks, 2)
	if err != nil {
		return nil, err
	}
	m := &CoDyRAModel{config: c, pointing: pointing{t, c.Temperature}}
	for i := 0; i < len(flat); i += 2 {
		if min(flat[i], flat[i+1]) < 0 || max(flat[i], flat[i+1]) > int64(t.d) {
			return nil, fmt.Errorf("%w: task %d changed maps of %d columns in %d and %d directions", data.ErrFormat, i/2+1, t.d, flat[i], flat[i+1])
		}
		m.ranks = append(m.ranks, [2]int{int(flat[i]), int(flat[i+1])})
	}
	return m, nil
}
