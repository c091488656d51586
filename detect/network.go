package detect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// Network is the network that features or logits come from, so that its inputs can be moved in the direction in which a
// score falls.
type Network interface {
	// Features returns the layers' features of inputs side by side, N×D, or the logits, N×K.
	Features(inputs *data.Table) (*data.Table, error)
	// Pullback turns a derivative by the features, shaped like them, into the derivative by the inputs, shaped like them.
	Pullback(inputs, gradient *data.Table) (*data.Table, error)
}

// networkRows is how many inputs a network sees at a time.
const networkRows = 64

// chainNetwork is a [Network] read off a checkpoint.
type chainNetwork struct {
	chain   *net.Chain
	tensors []net.Tensor
	first   int // of the layers that are taken
	widths  []int
}

// NewNetwork reads a network of linear layers, or of convolutions (stride 1, then ReLU and 2×2 max-pooling) before linear
// ones, with ReLU between layers, for rows of so many inputs. widths are those of the layers that are taken, consecutive
// ones: the last of them is the network's last hidden layer where widths fit so, and its output where they do not. Of
// images the mean over all places is taken, as in Lee et al. (2018).
// Errors: ErrFormat for a checkpoint that is no such network; ErrShape with all widths where those wanted are not among them.
func NewNetwork(c *data.Checkpoint, inputs int, widths ...int) (Network, error) {
	return newChainNetwork(c, inputs, widths)
}

func newChainNetwork(c *data.Checkpoint, inputs int, widths []int) (*chainNetwork, error) {
	n := &chainNetwork{widths: slices.Clone(widths)}
	r := c.Read()
	for _, name := range c.Names() {
		shape := c.Tensors[name].Shape
		n.tensors = append(n.tensors, net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)})
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	var err error
	if n.chain, err = net.NewChain(n.tensors, inputs); err != nil {
		return nil, fmt.Errorf("%w: the network for rows of %d values: %v", data.ErrFormat, inputs, err)
	}
	all := n.chain.Widths()
	for _, end := range []int{len(all) - 1, len(all)} {
		if n.first = end - len(widths); len(widths) > 0 && n.first >= 0 && slices.Equal(all[n.first:end], widths) {
			return n, nil
		}
	}
	return nil, fmt.Errorf("%w: the network's layers have %s values, none in a row before its output or up to it have %s as the model's do", data.ErrShape, joinInts(all), joinInts(widths))
}

// pass is a network ready to run on a number of rows.
type chainPass struct {
	*net.Program
	inputs, features, by *net.Node
}

// build makes it ready, for gradients or not.
func (n *chainNetwork) build(rows int, gradient bool) (*chainPass, error) {
	g := net.NewGraph(n.chain.Params(0))
	g.Training = false
	p := &chainPass{inputs: g.Variable(rows, n.chain.Inputs())}
	var parts []*net.Node
	for _, layer := range n.chain.Build(g, p.inputs)[n.first : n.first+len(n.widths)] {
		if len(layer.Shape()) == 4 {
			layer = g.GlobalPool(layer)
		}
		parts = append(parts, g.Reshape(layer, rows, -1))
	}
	p.features = g.Concat(1, parts...)
	var err error
	if !gradient {
		p.Program, err = g.Infer(p.features)
		return p, err
	}
	p.by = g.Input(p.features.Shape()...)
	p.Program, err = g.Train(g.Sum(g.Mul(p.features, p.by)))
	return p, err
}

// each runs blocks of rows; copies moves them in and out.
func (n *chainNetwork) each(rows int, gradient bool, copies func(p *chainPass, lo, hi int, run func())) error {
	var p *chainPass
	for lo := 0; lo < rows; lo += networkRows {
		hi := min(lo+networkRows, rows)
		if p == nil || p.inputs.Shape()[0] != hi-lo {
			var err error
			if p, err = n.build(hi-lo, gradient); err != nil {
				return err
			}
		}
		copies(p, lo, hi, func() {
			p.Forward()
			if gradient {
				p.Backward()
			}
		})
	}
	return nil
}

// Features returns what the layers put out, with the rows' labels.
func (n *chainNetwork) Features(in *data.Table) (*data.Table, error) {
	if err := method.Width("network", in, n.chain.Inputs()); err != nil {
		return nil, err
	}
	rows, d := in.Dims()
	w := 0
	for _, width := range n.widths {
		w += width
	}
	x := make([]float32, rows*w)
	err := n.each(rows, false, func(p *chainPass, lo, hi int, run func()) {
		copy(p.inputs.Value(), in.X()[lo*d:hi*d])
		run()
		copy(x[lo*w:hi*w], p.features.Value())
	})
	if err != nil {
		return nil, err
	}
	out, err := data.NewTable(rows, w, x)
	if err != nil {
		return nil, fmt.Errorf("network: features: %w", err)
	}
	if !in.HasLabels() {
		return out, nil
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return out.WithLabels(labels, in.Classes())
}

// Pullback goes back through the layers.
func (n *chainNetwork) Pullback(in, gradient *data.Table) (*data.Table, error) {
	rows, d := in.Dims()
	_, w := gradient.Dims()
	x := make([]float32, rows*d)
	err := n.each(rows, true, func(p *chainPass, lo, hi int, run func()) {
		copy(p.inputs.Value(), in.X()[lo*d:hi*d])
		copy(p.by.Value(), gradient.X()[lo*w:hi*w])
		run()
		copy(x[lo*d:hi*d], p.inputs.Gradient())
	})
	if err != nil {
		return nil, err
	}
	return data.NewTable(rows, d, x)
}

// state adds the network to a model's state.
func (n *chainNetwork) state(st *data.Checkpoint, step float64) {
	part := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, t := range n.tensors {
		part.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	st.Add("network/", part)
	st.Tensors["inputs"] = data.Int64Tensor([]int64{int64(n.chain.Inputs())}, 1)
	st.Tensors["step"] = data.Float64Tensor([]float64{step}, 1)
}

// loadNetwork reads what state wrote; no network when there is none.
func loadNetwork(st *data.Checkpoint, widths []int) (*chainNetwork, float64, error) {
	if _, ok := st.Tensors["inputs"]; !ok {
		return nil, 0, nil
	}
	inputs, _, err := st.Ints("inputs", 1)
	if err != nil {
		return nil, 0, err
	}
	r := st.Read()
	step := r.Floats("step", 1)
	if err := r.Err(); err != nil {
		return nil, 0, err
	}
	if inputs[0] < 1 || inputs[0] > math.MaxInt32 || step[0] < 0 {
		return nil, 0, fmt.Errorf("%w: %d inputs, moved by %g", data.ErrShape, inputs[0], step[0])
	}
	n, err := newChainNetwork(st.Prefix("network/"), int(inputs[0]), widths)
	return n, step[0], err
}

// differentiable is a scorer whose scores' derivatives by its features are known, up to a positive factor for each row.
type differentiable interface {
	method.Scorer
	Gradient(features *data.Table) (*data.Table, error)
}

// perturbed returns the features of inputs whose every value has moved by step in the direction in which the score falls.
func perturbed(name string, m differentiable, network Network, inputs *data.Table, step float64) (*data.Table, error) {
	if !(step >= 0) || math.IsInf(step, 0) {
		return nil, fmt.Errorf("%s: %w: inputs cannot move by steps of %v, want a number ≥ 0", name, method.ErrConfig, step)
	}
	features, err := network.Features(inputs)
	if err != nil || step == 0 {
		return features, err
	}
	gradient, err := m.Gradient(features)
	if err != nil {
		return nil, err
	}
	if gradient, err = network.Pullback(inputs, gradient); err != nil {
		return nil, err
	}
	n, d := inputs.Dims()
	if a, b := gradient.Dims(); a != n || b != d {
		return nil, fmt.Errorf("%s: %w: the network pulls gradients back to %d×%d, its inputs are %d×%d", name, data.ErrShape, a, b, n, d)
	}
	x := slices.Clone(inputs.X())
	for i, g := range gradient.X() {
		switch {
		case g > 0:
			x[i] -= float32(step)
		case g < 0:
			x[i] += float32(step)
		}
	}
	moved, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	return network.Features(moved)
}

// stepGrid are the steps that Lee et al. (2018) try, in standard deviations of the inputs' values.
var stepGrid = []float64{0, 0.0005, 0.001, 0.0014, 0.002, 0.0024, 0.005, 0.01, 0.05, 0.1, 0.2}

// chooseStep returns the step, in the inputs' own unit, at which familiar inputs are told best from others, the least of
// equal ones, and both sides' features at it. score makes scores of features.
func chooseStep(ctx context.Context, name string, m differentiable, network Network, sides [2]*data.Table, score func(sides [2]*data.Table) (familiar, unfamiliar []float64, err error)) (float64, error) {
	unit := spread(sides[0].X())
	best, at := -1.0, 0.0
	for k, share := range stepGrid {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		method.Progress(ctx, k, len(stepGrid))
		step := share * unit
		var moved [2]*data.Table
		for i, side := range sides {
			var err error
			if moved[i], err = perturbed(name, m, network, side, step); err != nil {
				return 0, err
			}
		}
		familiar, unfamiliar, err := score(moved)
		if err != nil {
			return 0, err
		}
		area, err := metric.AUROC(familiar, unfamiliar, metric.Interval{ValueOnly: true})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if area.Value > best {
			best, at = area.Value, step
		}
	}
	method.Progress(ctx, len(stepGrid), len(stepGrid))
	return at, nil
}

// spread is the standard deviation of all values.
func spread(x []float32) float64 {
	mean, squares := 0.0, 0.0
	for i, v := range x {
		gap := float64(v) - mean
		mean += gap / float64(i+1)
		squares += gap * (float64(v) - mean)
	}
	return math.Sqrt(squares / float64(max(len(x), 1)))
}
