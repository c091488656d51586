package weights

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

// tuning is a network about to be trained on labelled rows: linear layers, or 3×3 or other odd square convolutions before them.
type tuning struct {
	chain  *net.Chain
	params *net.Params
	rows   *data.Table
	labels []int // of each row, the output that stands for its class
	k      int   // outputs
	meta   map[string]string
	types  map[string]data.DType
	fresh  bool // the last layer was drawn anew
}

// newTuning reads a checkpoint as a network for labelled rows. Where its outputs are not the rows' classes, the last layer is drawn
// anew by seed. Errors: ErrInput for what is missing, ErrLabels for a row without a label, ErrFormat for another network.
func newTuning(c *data.Checkpoint, rows *data.Table, seed uint64) (*tuning, error) {
	if c == nil || rows == nil {
		return nil, fmt.Errorf("%w: want a network and rows to tune it on", method.ErrInput)
	}
	n, d := rows.Dims()
	if n == 0 || d == 0 {
		return nil, fmt.Errorf("%w: rows are %d×%d, want some", data.ErrShape, n, d)
	}
	labels, err := rows.Labels()
	if err != nil {
		return nil, err
	}
	if i := slices.Index(labels, data.Unknown); i >= 0 {
		return nil, fmt.Errorf("%w: row %d has none", data.ErrLabels, i+1)
	}
	t := &tuning{rows: rows, meta: map[string]string{}, types: map[string]data.DType{}}
	for key, text := range c.Meta {
		if key != "sha256" {
			t.meta[key] = text
		}
	}
	var tensors []net.Tensor
	r := c.Read()
	for _, name := range c.Names() {
		shape := c.Tensors[name].Shape
		if t.types[name] = c.Tensors[name].DType; !t.types[name].Float() {
			return nil, fmt.Errorf("%w: tensor %q is %s: the network has other parts than layers", data.ErrFormat, name, t.types[name])
		}
		tensors = append(tensors, net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)})
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if t.chain, err = net.NewChain(tensors, d); err != nil {
		return nil, fmt.Errorf("%w: the network for rows of %d values: %v", data.ErrFormat, d, err)
	}
	last := len(t.chain.Weights()) - 1
	weight, bias := t.chain.Weights()[last], t.chain.Biases()[last]
	t.k = c.Tensors[weight].Shape[0]
	outputs, err := (&Holdout{rows}).outputs(c, t.k)
	if t.fresh = err != nil || slices.Contains(outputs, -1) || len(outputs) < t.k && c.Meta["classes"] == ""; t.fresh {
		names := slices.SortedFunc(slices.Values(rows.Classes()), data.CompareClasses)
		outputs = make([]int, len(names))
		for i, name := range rows.Classes() {
			outputs[i] = slices.Index(names, name)
		}
		t.k = len(names)
		seeded := net.NewParams(seed)
		net.NewGraph(seeded).Param(weight, net.LeCunNormal, t.k, c.Tensors[weight].Shape[1])
		for i, old := range tensors {
			switch old.Name {
			case weight:
				tensors[i] = seeded.Tensors()[0]
			case bias:
				tensors[i] = net.Tensor{Name: bias, Shape: []int{t.k}, Values: make([]float32, t.k)}
			}
		}
		if t.chain, err = net.NewChain(tensors, d); err != nil {
			return nil, fmt.Errorf("%w: the network with a last layer for %d classes: %v", data.ErrFormat, t.k, err)
		}
		listed := data.Checkpoint{Meta: t.meta}
		listed.SetStrings("classes", names)
	}
	t.params = t.chain.Params(seed)
	for _, label := range labels {
		t.labels = append(t.labels, outputs[label])
	}
	return t, nil
}

// run trains by a loop on a loss over a batch, to which the graph's inputs and outputs are given.
func (t *tuning) run(ctx context.Context, loop net.Loop, loss func(g *net.Graph, x, z *net.Node) (*net.Node, func(net.Batch))) error {
	n, d := t.rows.Dims()
	done := loop.Progress
	loop.Progress = func(p net.Progress) bool {
		method.Progress(ctx, p.Epoch, p.Epochs)
		return done == nil || done(p)
	}
	trainer, err := net.NewTrainer(loop, t.params, net.Task{Rows: n, Build: func(g *net.Graph, rows int) (*net.Node, func(net.Batch)) {
		x := g.Input(rows, d)
		outs := t.chain.Build(g, x)
		return loss(g, x, outs[len(outs)-1])
	}})
	if err != nil {
		return err
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", data.ErrFinite, err)
	}
	return nil
}

// checkpoint returns the network as it stands, in its own element types; metadata that begins with prefix is left out.
func (t *tuning) checkpoint(prefix string) *data.Checkpoint {
	out := copied(&data.Checkpoint{Meta: t.meta}, prefix)
	for _, p := range t.params.Tensors() {
		wide := make([]float64, len(p.Values))
		for i, v := range p.Values {
			wide[i] = float64(v)
		}
		out.Tensors[p.Name] = data.CastTensor(t.types[p.Name], wide, p.Shape...)
	}
	return out
}
