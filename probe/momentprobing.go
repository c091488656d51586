package probe

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Refined(method.Learned(method.Info{
	Title: "a head on the mean of a row's tokens and on how their projections vary together",
	Paper: "gao2023tuning",
	Small: map[string]string{"width": "7", "heads": "2"},
}, MomentProbing.Fit, loadMomentProbing), (*MomentProbingModel).Refine))

// MomentProbing classifies rows of many tokens, such as the patches of an image, by their mean and by cross-moments of what several heads see in them.
//
// It is the moment probing of Gao et al. (2023): tokens are projected to Heads groups of Width columns, each normalised token
// by token; neighbouring groups' products, summed over tokens, are Heads − 1 matrices Width×Width, which two convolutions of
// stride 2 shrink; a linear layer on these and one on the mean each give logits, and their mean counts. Where classes differ
// in how features vary together over an image, as textures do, a linear head on the mean sees nothing and this one does.
// O(Epochs·N·(T·D/T·Heads·Width + Heads·T·Width²)) to fit for T tokens. Prefer it over [Logistic] with thousands of labelled
// rows of which all tokens were kept (gimbal encode --pool flat); with one token a row it is a small network on the row. With
// the network that the tokens come from and its inputs it goes on as the paper's MP+ ([MomentProbingModel.Refine]): every
// layer's output is scaled and shifted by what a narrow layer makes of it, and these and the head are trained together.
//
// Fits on: Table N×D with a label for every row, N ≥ 2, a row's tokens one after the other, D divisible by Tokens; classes without rows are left out.
// Predict: N×K class probabilities. The order of a row's tokens does not matter with Pool mean.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns, on another width, and when Tokens does not divide D; ErrDegenerate when all rows are equal, or the loss stops being a finite number.
// Differs: heads are 32 columns wide where the paper's are 128; values are centred by channel and scaled by their mean variance first; AdamW's rate falls along half a cosine, without an average of weights; MP+ goes on from the head on frozen tokens, with up-projections of zero, through networks of convolutions and linear layers alone, whose every layer's output is recalibrated where the paper's is each block's perceptron.
// Source:  gao2023tuning, eq. (5)-(8), and the section on its partially shared module; its code for the normalisation and the module.
// Claim:   claims/probe/momentprobing.go.
type MomentProbing struct {
	// Tokens is how many tokens a row holds, each of D/Tokens columns.
	Tokens int `default:"1" range:"[1,1048576]"`
	// ChannelsFirst says that a row lists each channel's values at all places, as flat image layers do, and not each place's channels.
	ChannelsFirst bool
	// Pool is what stands for the first moment: the mean of all tokens, or the first one, where a network keeps its class token.
	Pool string `default:"mean" enum:"mean,first"`
	// Heads is how many projections there are.
	Heads int `default:"4" range:"[2,64]"`
	// Width is that of a head; the paper's is 128. Its matrices shrink to (Width − 3)/4 on a side.
	Width int `default:"32" range:"[7,1024]" unit:"columns"`
	// Center subtracts each head's mean over a row's tokens, so that products are covariances. The authors' code does not, though it means to.
	Center bool
	// Epochs is how many times the rows are gone through; few rows as often as 500 steps need.
	Epochs int `default:"30" range:"[1,100000]" unit:"passes"`
	// Rate is that of AdamW at the start; the paper's 1e-4 is for a million images.
	Rate float64 `default:"0.01" range:"(0,1]"`
	// Seed moves the first weights and the order of rows.
	Seed uint64
}

// momentprobingDecay is AdamW's weight decay, the paper's.
const momentprobingDecay = 0.05

// momentprobingSmall keeps the length of a matrix from zero.
const momentprobingSmall = 1e-12

// Fit trains both branches.
func (c MomentProbing) Fit(ctx context.Context, train *data.Table) (*MomentProbingModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := c.divides(train); err != nil {
		return nil, err
	}
	_, d := train.Dims()
	recipe := c.recipe()
	recipe.channel = func(j int) int {
		if c.ChannelsFirst {
			return j / c.Tokens
		}
		return j % (d / c.Tokens)
	}
	m, _, err := recipe.fit(ctx, train, c.build)
	if err != nil {
		return nil, err
	}
	return &MomentProbingModel{network: m, config: c}, nil
}

func (c MomentProbing) recipe() networkRecipe {
	return networkRecipe{epochs: c.Epochs, rate: c.Rate, decay: momentprobingDecay, seed: c.Seed}
}

func (c MomentProbing) divides(in *data.Table) error {
	if _, d := in.Dims(); d%c.Tokens != 0 {
		return fmt.Errorf("%w: %d columns are not those of %d tokens; set --tokens to a divisor", data.ErrShape, d, c.Tokens)
	}
	return nil
}

// build is the network, and the second branch's matrices, one after the other, b×(Heads−1)·Width².
func (c MomentProbing) build(g *net.Graph, x *net.Node, k int) (logits, moments *net.Node) {
	b, d := x.Shape()[0], x.Shape()[1]
	if d%c.Tokens != 0 { // of a saved state that was changed: one token more than there are columns fits nothing
		return g.Reshape(x, b, d+1), x
	}
	tokens := g.Reshape(x, b, c.Tokens, d/c.Tokens)
	if c.ChannelsFirst {
		tokens = g.Transpose(g.Reshape(x, b, d/c.Tokens, c.Tokens), 0, 2, 1)
	}
	first := g.Mean(tokens, 1)
	if c.Pool == "first" {
		first = g.Reshape(g.Slice(tokens, 1, 0, 1), b, d/c.Tokens)
	}
	linear := func(name string, x *net.Node) *net.Node {
		w := g.Param(name+".weight", net.LeCunNormal, k, x.Shape()[1])
		return g.Linear(x, w, g.Param(name+".bias", net.Constant(0), k))
	}
	projected := g.Dense("project", tokens, c.Heads*c.Width) // b×T×Heads·Width
	var heads, maps []*net.Node
	for h := range c.Heads {
		part := g.Norm(fmt.Sprintf("norm.%d", h), g.Slice(projected, 2, h*c.Width, (h+1)*c.Width))
		if c.Center {
			part = g.Sub(part, g.MeanKept(part, 1))
		}
		heads = append(heads, part)
	}
	for h := range c.Heads - 1 {
		m := g.Scale(g.MatMul(heads[h], heads[h+1], true, false), 1/float64(c.Tokens), 0) // b×Width×Width
		length := g.Sqrt(g.Scale(g.SumKept(g.Mul(m, m), 1, 2), 1, momentprobingSmall))
		maps = append(maps, g.Reshape(g.Div(m, length), b, c.Width, c.Width, 1))
	}
	all := g.Concat(3, maps...)
	half := net.Window{Stride: [2]int{2, 2}}
	second := g.Conv("shrink.1", g.GELU(g.Conv("shrink.0", all, c.Heads-1, 3, half)), c.Heads-1, 3, half)
	logits = g.Add(linear("first", first), linear("second", g.Reshape(second, b, -1)))
	return g.Scale(logits, 0.5, 0), g.Reshape(all, b, -1)
}

// MomentProbingModel is a fitted [MomentProbing].
type MomentProbingModel struct {
	*network
	config MomentProbing
	below  *momentprobingBelow // where rows are inputs of the network that the tokens come from
}

// Predict returns each row's class probabilities, N×K.
func (m *MomentProbingModel) Predict(in *data.Table) (*data.Table, error) {
	return m.network.predict("momentprobing", in)
}

// Logits returns each row's logits, N×K.
func (m *MomentProbingModel) Logits(in *data.Table) (*data.Table, error) {
	return m.network.logits("momentprobing", in)
}

// State returns the model as tensors.
func (m *MomentProbingModel) State() *data.Checkpoint {
	st := m.network.state()
	if m.below != nil {
		m.below.state(st)
	}
	return st
}

func loadMomentProbing(c MomentProbing, st *data.Checkpoint) (*MomentProbingModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m := &MomentProbingModel{config: c}
	build, err := networkBuild(c.build), error(nil)
	if m.below, err = loadMomentProbingBelow(st); err != nil {
		return nil, err
	}
	if m.below != nil {
		build = m.below.build(c)
	}
	if m.network, err = loadNetwork(st, build); err != nil {
		return nil, err
	}
	return m, nil
}
