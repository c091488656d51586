package probe

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/probe"
)

const (
	momentprobingDigits = 5000 // that the network below is pre-trained on
	momentprobingRows   = 1000 // to learn from
	momentprobingPlaces = 9    // of its second layer on images of 14×14
)

// The names of what is measured of MP+.
const (
	momentprobingFrozen       = "half-size images, network pre-trained on digits: accuracy, MomentProbing, 64 passes"
	momentprobingRecalibrated = "half-size images, network pre-trained on digits: accuracy, MP+, 32 passes frozen and 32 recalibrating"
)

// momentProbingPlus measures heads on the tokens of two convolutions, pre-trained on digits, and heads that recalibrate them, in
// as many passes.
func momentProbingPlus(ctx context.Context, env claim.Env, seed uint64, parts []*data.Table) (map[string]float64, error) {
	digits, err := env.Images("mnist", "train")
	if err != nil {
		return nil, err
	}
	if digits, err = claim.Sample(digits, claim.Random(seed, 8), momentprobingDigits); err != nil {
		return nil, err
	}
	if digits, err = halved(digits); err != nil {
		return nil, err
	}
	params, err := momentProbingPretrained(ctx, digits, seed)
	if err != nil {
		return nil, err
	}
	below := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, t := range params.Tensors() {
		below.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	rows := make([]int, momentprobingRows)
	for i := range rows {
		rows[i] = i
	}
	var images, tokens []*data.Table
	for _, part := range []*data.Table{parts[0].Pick(rows), parts[1]} {
		small, err := halved(part)
		if err != nil {
			return nil, err
		}
		t, err := momentProbingTokens(params, small)
		if err != nil {
			return nil, err
		}
		images, tokens = append(images, small), append(tokens, t)
	}
	head := probe.MomentProbing{Tokens: momentprobingPlaces, Width: 16, Epochs: 64, Seed: seed}
	frozen, err := head.Fit(ctx, tokens[0])
	if err != nil {
		return nil, err
	}
	head.Epochs = 32
	first, err := head.Fit(ctx, tokens[0])
	if err != nil {
		return nil, err
	}
	recalibrated, err := first.Refine(ctx, probe.MomentProbingInput{Inputs: images[0], Network: below})
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, arm := range []struct {
		name  string
		model *probe.MomentProbingModel
		rows  *data.Table
	}{{momentprobingFrozen, frozen, tokens[1]}, {momentprobingRecalibrated, recalibrated, images[1]}} {
		p, err := arm.model.Predict(arm.rows)
		if err != nil {
			return nil, err
		}
		if out[arm.name], err = claim.Accuracy(p, arm.rows); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// momentProbingNetwork is two convolutions and a linear layer.
func momentProbingNetwork(g *net.Graph, x *net.Node) *net.Node {
	return g.ConvNet("net", g.Reshape(x, -1, 14, 14, 1), 10, 8, 16)
}

// momentProbingPretrained trains the network to tell digits apart.
func momentProbingPretrained(ctx context.Context, digits *data.Table, seed uint64) (*net.Params, error) {
	n, d := digits.Dims()
	labels, err := digits.Labels()
	if err != nil {
		return nil, err
	}
	params := net.NewParams(seed)
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: 3, Batch: 64, Seed: seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 0.003}, Schedule: net.Schedule{Cosine: true},
	}, params, net.Task{Rows: n, Build: func(g *net.Graph, b int) (*net.Node, func(net.Batch)) {
		x, own := g.Input(b, d), g.Ints(b)
		return g.CrossEntropy(momentProbingNetwork(g, x), own, net.Targets{}), func(step net.Batch) {
			for i, row := range step.Rows {
				copy(x.Value()[i*d:(i+1)*d], digits.Row(row))
				own.Values[i] = int32(labels[row])
			}
		}
	}})
	if err != nil {
		return nil, err
	}
	_, err = trainer.Run(ctx)
	return params, err
}

// momentProbingTokens returns what the second convolution puts out, place by place.
func momentProbingTokens(params *net.Params, in *data.Table) (*data.Table, error) {
	n, d := in.Dims()
	chain, err := net.NewChain(params.Tensors(), d)
	if err != nil {
		return nil, err
	}
	g := net.NewGraph(chain.Params(0))
	g.Training = false
	x := g.Input(n, d)
	out := chain.Build(g, x)[1]
	p, err := g.Infer(out)
	if err != nil {
		return nil, err
	}
	copy(x.Value(), in.X())
	p.Forward()
	t, err := data.NewTable(n, out.Size()/n, append([]float32(nil), out.Value()...))
	if err != nil {
		return nil, err
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, in.Classes())
}

// momentProbingFacts are the means, and the paired difference that MP+ makes.
func momentProbingFacts(outcomes []claim.Outcome) []claim.Fact {
	const name = "half-size images, network pre-trained on digits: MP+ less MomentProbing, points"
	return append(claim.Means(outcomes), claim.Paired(outcomes, name, momentprobingRecalibrated, momentprobingFrozen, 100)...)
}
