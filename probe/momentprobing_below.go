package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

// MomentProbingInput is what the layers below the tokens are recalibrated by.
type MomentProbingInput struct {
	// Inputs are N×D inputs of the network with a label for every row, best those whose tokens the head was fitted on.
	Inputs *data.Table
	// Network is the network that the tokens come from.
	Network *data.Checkpoint
}

const (
	momentprobingEncoder    = "encoder." // before the names of the network's layers
	momentprobingBottleneck = 16         // the width that scale and shift of a layer share, the paper's
)

// momentprobingBelow is the network up to the layer whose places are the tokens. Each layer's output h becomes
// (1 + U·ReLU(V·h))·h + W·ReLU(V·h), place by place: scale and shift have the narrow V in common.
type momentprobingBelow struct {
	chain  *net.Chain
	layers int      // the last of them puts out the tokens
	tokens standard // of them, in the order in which a row lists them
}

// Refine returns a model of the inputs of the network that the tokens come from: it goes on training the head, together with
// scales and shifts of the outputs of all layers below it; the network's own weights stay. It begins as the fitted model on the
// network's tokens and takes Epochs passes, at Rate; in the claim's run, through two small convolutions, it could not be told from as
// many passes over frozen tokens. The network is read as detectors do: linear layers, or 3×3 or other
// odd square convolutions (stride 1, then ReLU and 2×2 max-pooling) on images that list each place's channels, before linear
// ones, ReLU between them. Its last layer of Tokens places and D/Tokens channels, after ReLU and pooling, gives the tokens.
// Errors: ErrInput when something is missing, or the model is refined already; ErrFormat for a checkpoint that is no such network; ErrShape
// where none of its layers has so many places and channels; ErrLabels for rows without a label, or of a class that the model has not seen; ErrDegenerate as Fit.
func (m *MomentProbingModel) Refine(ctx context.Context, in MomentProbingInput) (*MomentProbingModel, error) {
	if in.Inputs == nil || in.Network == nil {
		return nil, fmt.Errorf("momentprobing: %w: want labelled inputs and their network to recalibrate it by", method.ErrInput)
	}
	if m.below != nil {
		return nil, fmt.Errorf("momentprobing: %w: the model is refined already; fit one on tokens", method.ErrInput)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names, labels, err := labelled(in.Inputs)
	if err != nil {
		return nil, err
	}
	n, d := in.Inputs.Dims()
	order := sortedRows(in.Inputs)
	sorted, place := in.Inputs.Pick(order), make([]int32, n)
	for i, at := range order {
		c := slices.Index(m.classes, names[labels[at]])
		if c < 0 {
			return nil, fmt.Errorf("%w: row %d is of class %q, which the model does not know", data.ErrLabels, at+1, names[labels[at]])
		}
		place[i] = int32(c)
	}
	next, err := m.through(in.Network, d)
	if err != nil {
		return nil, err
	}
	if err := m.config.recipe().train(ctx, next.network, sorted, place); err != nil {
		return nil, err
	}
	return next, nil
}

// through is the fitted model as one of the network's inputs, before anything is recalibrated.
func (m *MomentProbingModel) through(c *data.Checkpoint, inputs int) (*MomentProbingModel, error) {
	r := c.Read()
	var tensors []net.Tensor
	for _, name := range c.Names() {
		shape := c.Tensors[name].Shape
		tensors = append(tensors, net.Tensor{Name: momentprobingEncoder + name, Shape: shape, Values: r.Float32s(name, shape...)})
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	below := &momentprobingBelow{tokens: m.standard}
	var err error
	if below.chain, err = net.NewChain(tensors, inputs); err != nil {
		return nil, fmt.Errorf("%w: the network for rows of %d values: %v", data.ErrFormat, inputs, err)
	}
	g := net.NewGraph(below.chain.Params(0))
	g.Training = false
	d := len(m.first)
	var have []string
	for l, out := range below.chain.Build(g, g.Input(1, inputs)) {
		channels := out.Shape()[len(out.Shape())-1]
		if have = append(have, fmt.Sprintf("%d×%d", out.Size()/channels, channels)); out.Size() == d && channels == d/m.config.Tokens {
			below.layers = l + 1
		}
	}
	if below.layers == 0 {
		return nil, fmt.Errorf("%w: the network's layers put out %s places and channels, the model's rows are %d tokens of %d", data.ErrShape, strings.Join(have, ", "), m.config.Tokens, d/m.config.Tokens)
	}
	params := below.chain.Params(m.config.Seed)
	for _, p := range params.All() {
		p.Frozen = true
	}
	for _, t := range m.params.Tensors() {
		if err := params.Put(t); err != nil {
			return nil, fmt.Errorf("%w: %w", data.ErrFormat, err)
		}
	}
	plain := standard{first: make([]float64, inputs), shift: make([]float64, inputs), scale: 1}
	return &MomentProbingModel{network: &network{standard: plain, classes: m.classes, params: params, build: below.build(m.config)}, config: m.config, below: below}, nil
}

// build is the network on inputs x [b, D], recalibrated, and the head on its tokens.
func (b *momentprobingBelow) build(c MomentProbing) networkBuild {
	return func(g *net.Graph, x *net.Node, k int) (logits, moments *net.Node) {
		rows := x.Shape()[0]
		outs := b.chain.BuildThrough(g, x, b.layers, func(layer int, h *net.Node) *net.Node {
			if g.Err() != nil {
				return h
			}
			w := h.Shape()[len(h.Shape())-1]
			name := fmt.Sprintf("recalibrate.%d.", layer)
			narrow := g.ReLU(g.Linear(h, g.Param(name+"down", net.LeCunNormal, momentprobingBottleneck, w), nil))
			scale := g.Linear(narrow, g.Param(name+"scale", net.Constant(0), w, momentprobingBottleneck), nil)
			shift := g.Linear(narrow, g.Param(name+"shift", net.Constant(0), w, momentprobingBottleneck), nil)
			return g.Add(g.Mul(g.Scale(scale, 1, 1), h), shift)
		})
		if g.Err() != nil {
			return x, x
		}
		tokens := g.Reshape(outs[b.layers-1], rows, c.Tokens, -1) // rows×T×C
		if c.ChannelsFirst {
			tokens = g.Transpose(tokens, 0, 2, 1)
		}
		d := len(b.tokens.first)
		mean := make([]float32, d)
		for j := range mean {
			mean[j] = float32(b.tokens.first[j] + b.tokens.shift[j])
		}
		flat := g.Sub(g.Reshape(tokens, rows, d), g.Constant(mean, d))
		return c.build(g, g.Clamp(g.Scale(flat, b.tokens.scale, 0), -networkFar, networkFar), k)
	}
}

// state adds what the head's own state lacks.
func (b *momentprobingBelow) state(st *data.Checkpoint) {
	part := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	b.tokens.save(part)
	st.Add("tokens/", part)
	st.Tensors["layers"] = data.Int64Tensor([]int64{int64(b.layers)}, 1)
}

// loadMomentProbingBelow reads what state wrote; nil when there is nothing.
func loadMomentProbingBelow(st *data.Checkpoint) (*momentprobingBelow, error) {
	if _, ok := st.Tensors["layers"]; !ok {
		return nil, nil
	}
	layers, _, err := st.Ints("layers", 1)
	if err != nil {
		return nil, err
	}
	b := &momentprobingBelow{}
	if b.tokens, err = loadStandard(st.Prefix("tokens/").Read()); err != nil {
		return nil, err
	}
	r := st.Read()
	inputs := len(r.Floats("first", -1))
	var tensors []net.Tensor
	for _, name := range st.Names() {
		if own, ok := strings.CutPrefix(name, networkPrefix); ok && strings.HasPrefix(own, momentprobingEncoder) {
			shape := st.Tensors[name].Shape
			tensors = append(tensors, net.Tensor{Name: own, Shape: shape, Values: r.Float32s(name, shape...)})
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if b.chain, err = net.NewChain(tensors, inputs); err != nil {
		return nil, fmt.Errorf("%w: the network for rows of %d values: %v", data.ErrFormat, inputs, err)
	}
	if layers[0] < 1 || layers[0] > math.MaxInt32 || int(layers[0]) > len(b.chain.Widths()) {
		return nil, fmt.Errorf("%w: tokens of layer %d of %d", data.ErrShape, layers[0], len(b.chain.Widths()))
	}
	b.layers = int(layers[0])
	return b, nil
}
