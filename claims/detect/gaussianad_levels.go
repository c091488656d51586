package detect

import (
	"context"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/metric"
)

// gaussianADWidths are the filters of the small network whose levels are added up.
var gaussianADWidths = []int{8, 16, 32}

// gaussianADLevels measures what adding levels gains, as in the paper's table II: a network of three convolutions, trained
// on nine classes of Fashion-MNIST, watches images of the tenth for small defects. Each level's responses are averaged over
// the image.
func gaussianADLevels(ctx context.Context, env claim.Env, seed uint64, extra map[string]float64) error {
	r := claim.Random(seed, 10)
	order := r.Perm(10)
	all, err := env.Images("fashion_mnist", "train")
	if err != nil {
		return err
	}
	test, err := env.Images("fashion_mnist", "t10k")
	if err != nil {
		return err
	}
	others, err := claim.Sample(all, r, 4000, order[1:]...)
	if err != nil {
		return err
	}
	good, err := claim.Sample(all, r, 1500, order[0])
	if err != nil {
		return err
	}
	if test, err = claim.Sample(test, r, 1000, order[0]); err != nil {
		return err
	}
	network, err := gaussianADNetwork(ctx, others, seed)
	if err != nil {
		return err
	}
	bad, err := gaussianADDefects(test.Slice(500, 1000), r)
	if err != nil {
		return err
	}
	tables := []*data.Table{good, test.Slice(0, 500), bad}
	for i, t := range tables {
		if tables[i], err = network.pooled(t); err != nil {
			return err
		}
	}
	auroc := func(c detect.GaussianAD, from int) (float64, error) {
		var cut []*data.Table
		for _, t := range tables {
			n, d := t.Dims()
			var x []float32
			for i := range n {
				x = append(x, t.Row(i)[from:]...)
			}
			u, err := data.NewTable(n, d-from, x)
			if err != nil {
				return 0, err
			}
			cut = append(cut, u)
		}
		m, err := c.Fit(ctx, cut[0])
		if err != nil {
			return 0, err
		}
		a, err := m.Score(cut[1])
		if err != nil {
			return 0, err
		}
		b, err := m.Score(cut[2])
		if err != nil {
			return 0, err
		}
		e, err := metric.AUROC(a, b)
		return e.Value, err
	}
	for _, arm := range []struct {
		name string
		c    detect.GaussianAD
		from int
	}{
		{"the last of 3 levels of a small network", detect.GaussianAD{}, 8 + 16},
		{"the sum over its 3 levels", detect.GaussianAD{Layers: gaussianADWidths}, 0},
		{"its 3 levels as one", detect.GaussianAD{}, 0},
		{"the sum over its 3 levels, trailing components", detect.GaussianAD{Layers: gaussianADWidths, Components: "trailing", Share: 0.9}, 0},
		{"the sum over its 3 levels, leading components", detect.GaussianAD{Layers: gaussianADWidths, Components: "leading", Share: 0.9}, 0},
	} {
		if extra["AUROC, "+arm.name], err = auroc(arm.c, arm.from); err != nil {
			return err
		}
	}
	return nil
}

// gaussianADChain is the network with its parameters.
type gaussianADChain struct {
	*net.Chain
	params *net.Params
}

func gaussianADNetwork(ctx context.Context, rows *data.Table, seed uint64) (*gaussianADChain, error) {
	labels, err := rows.Labels()
	if err != nil {
		return nil, err
	}
	n, d := rows.Dims()
	params := net.NewParams(seed)
	trainer, err := net.NewTrainer(net.Loop{Epochs: 4, Batch: 64, Seed: seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 2e-3}, Schedule: net.Schedule{Cosine: true}}, params, net.Task{
		Rows: n,
		Build: func(g *net.Graph, batch int) (*net.Node, func(net.Batch)) {
			x, classes := g.Input(batch, 28, 28, 1), g.Ints(batch)
			return g.CrossEntropy(g.ConvNet("net", x, 9, gaussianADWidths...), classes, net.Targets{}), func(b net.Batch) {
				for i, row := range b.Rows {
					copy(x.Value()[i*d:(i+1)*d], rows.Row(row))
					classes.Values[i] = int32(labels[row])
				}
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if _, err := trainer.Run(ctx); err != nil {
		return nil, err
	}
	chain, err := net.NewChain(params.Tensors(), d)
	if err != nil {
		return nil, err
	}
	return &gaussianADChain{chain, chain.Params(0)}, nil
}

// pooled returns the levels' responses, averaged over each image, side by side.
func (c *gaussianADChain) pooled(in *data.Table) (*data.Table, error) {
	const block = 100
	n, d := in.Dims()
	g := net.NewGraph(c.params)
	g.Training = false
	x := g.Input(block, d)
	var levels []*net.Node
	width := 0
	for _, out := range c.Build(g, x)[:len(gaussianADWidths)] {
		levels = append(levels, g.GlobalPool(out))
		width += levels[len(levels)-1].Shape()[1]
	}
	p, err := g.Infer(levels...)
	if err != nil {
		return nil, err
	}
	z := make([]float32, 0, n*width)
	for lo := 0; lo < n; lo += block {
		copy(x.Value(), in.X()[lo*d:min(lo+block, n)*d])
		p.Forward()
		for i := range min(block, n-lo) {
			for _, level := range levels {
				w := level.Shape()[1]
				z = append(z, level.Value()[i*w:(i+1)*w]...)
			}
		}
	}
	return data.NewTable(n, width, z)
}

// gaussianADDefects gives each image a scratch, a blob or a patch of weaker contrast, by turns.
func gaussianADDefects(in *data.Table, r *rand.Rand) (*data.Table, error) {
	n, d := in.Dims()
	x := append([]float32(nil), in.X()...)
	for i := range n {
		image := x[i*d : (i+1)*d]
		top, left := 6+r.IntN(12), 6+r.IntN(12)
		switch i % 3 {
		case 0: // a diagonal scratch of 6 pixels
			for k := range 6 {
				image[(top+k)*28+left+k] = 1
			}
		case 1: // a dark blob of 3×3
			for k := range 9 {
				image[(top+k/3)*28+left+k%3] = 0
			}
		default:
			for k := range 25 {
				at := (top+k/5)*28 + left + k%5
				image[at] = 0.5*image[at] + 0.25
			}
		}
	}
	return data.NewTable(n, d, x)
}
