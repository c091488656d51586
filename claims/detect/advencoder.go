package detect

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/net"
)

func advEncoder() claim.Claim {
	return claim.Claim{
		ID:    "detect/advencoder",
		Paper: "zhou2023downstream, tables 1 and 2, figures 6 and 7",
		Statement: "One perturbation of all images, too small to see and learned without knowing what an encoder was trained on or will be used for, makes classifiers on its features fail far more often than random noise of the same size does. " +
			"The reward for changing high frequencies and the generator help it; training on perturbed images helps against it.",
		ScaleDown: "a perceptron 784-256-64 trained for 10 epochs by SimCLR (shifts, brightness, contrast) on 4,000 images of Fashion-MNIST, instead of 14 ResNets on CIFAR-10 and ImageNet. The perturbation is learned on digits of MNIST; classifiers are taught on 1,000 test images of Fashion-MNIST and asked about 1,000 others, 5 nearest neighbours and a linear head. " +
			"The radius is a tenth of the pixels' range; the paper's 10/255 stands beside it. The margin of three times random noise is ours. A first run, 2 seeds, had an encoder of two convolutions whose views also had pixel noise: neither radius moved its features further than random noise did. Encoder and deciding radius were changed after it.",
		Arms: []string{"perturbation", "random noise, three times its loss", "without the reward for high frequencies", "without the generator",
			"after input corruption", "after weight pruning", "after adversarial training", "after fine-tuning"},
		Data:    "Fashion-MNIST (encoder, classifiers) and MNIST (perturbation), pixels changed by at most a tenth of their range",
		Metric:  "accuracy that classifiers lose by the perturbation, mean over the two",
		Percent: true,
		Seeds:   5,
		Needs:   []string{"fashion_mnist", "mnist"},
		Run:     advEncoderRun,
		Facts:   claim.Means,
	}
}

const advEncoderRadius = 0.1

func advEncoderRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	r := claim.Random(seed, 8)
	tables := map[string]*data.Table{}
	for _, want := range []struct {
		name, set, part string
		rows            int
	}{{"pretrain", "fashion_mnist", "train", 4000}, {"images", "fashion_mnist", "t10k", 2000}, {"surrogate", "mnist", "t10k", 2000}} {
		t, err := env.Images(want.set, want.part)
		if err != nil {
			return o, err
		}
		if tables[want.name], err = claim.Sample(t, r, want.rows); err != nil {
			return o, err
		}
	}
	encoder, err := advEncoderPretrain(ctx, tables["pretrain"], seed)
	if err != nil {
		return o, err
	}
	in := detect.AdvEncoderInput{Encoder: encoder, Images: tables["images"], Surrogate: tables["surrogate"]}
	full, err := detect.AdvEncoder{Seed: seed, Radius: advEncoderRadius}.Audit(ctx, in)
	if err != nil {
		return o, err
	}
	lost := func(r *detect.AdvEncoderReport, row int) float64 {
		h := r.Rows[row].Heads
		return (h[0].Before - h[0].After + h[1].Before - h[1].After) / 2
	}
	o.Arms = []float64{lost(full, detect.AdvEncoderPlain), 3 * lost(full, detect.AdvEncoderNoise)}
	for _, c := range []detect.AdvEncoder{{Seed: seed, Radius: advEncoderRadius, NoHighPass: true}, {Seed: seed, Radius: advEncoderRadius, Strategy: "direct"}} {
		r, err := c.Audit(ctx, in)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, lost(r, detect.AdvEncoderPlain))
	}
	for row := detect.AdvEncoderCorruption; row <= detect.AdvEncoderFineTuning; row++ {
		o.Arms = append(o.Arms, lost(full, row))
	}
	for _, row := range full.Rows {
		o.Extra[fmt.Sprintf("%s: features move by", row.Defence)] = row.Shift
		for h, name := range []string{"nearest neighbours", "linear head"} {
			o.Extra[fmt.Sprintf("%s: fooled, %s", row.Defence, name)] = row.Heads[h].Fooled
			o.Extra[fmt.Sprintf("%s: right before, %s", row.Defence, name)] = row.Heads[h].Before
		}
	}
	small, err := detect.AdvEncoder{Seed: seed}.Audit(ctx, in)
	if err != nil {
		return o, err
	}
	o.Extra["radius 10/255: accuracy lost"], o.Extra["radius 10/255: accuracy lost, random noise"] = lost(small, detect.AdvEncoderPlain), lost(small, detect.AdvEncoderNoise)
	return o, nil
}

// advEncoderView draws one of the two views of an image: shifted by up to 3 pixels, of another brightness and contrast.
func advEncoderView(dst, image []float32, r *rand.Rand) {
	dy, dx := r.IntN(7)-3, r.IntN(7)-3
	gain, offset := 0.6+0.8*r.Float64(), 0.3*r.Float64()-0.15
	for y := range 28 {
		for x := range 28 {
			v := 0.0
			if a, b := y+dy, x+dx; a >= 0 && a < 28 && b >= 0 && b < 28 {
				v = float64(image[a*28+b])
			}
			dst[y*28+x] = float32(math.Min(math.Max(gain*v+offset, 0), 1))
		}
	}
}

// advEncoderPretrain trains an encoder by SimCLR: two views of an image are to have more similar features than views of
// others. Source: Chen et al. (2020); its projection is one layer on the features here.
func advEncoderPretrain(ctx context.Context, images *data.Table, seed uint64) (*data.Checkpoint, error) {
	const batch, features, temperature = 64, 64, 0.2
	n, d := images.Dims()
	params := net.NewParams(seed)
	random := claim.Random(seed, 9)
	trainer, err := net.NewTrainer(net.Loop{Epochs: 10, Batch: batch, Seed: seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 1e-3}, Schedule: net.Schedule{Cosine: true}}, params, net.Task{
		Rows: n,
		Build: func(g *net.Graph, rows int) (*net.Node, func(net.Batch)) {
			x := g.Input(2*rows, d)
			z := g.Dense("projection", g.ReLU(g.MLP("encoder", x, (*net.Graph).ReLU, 256, features)), 32)
			z = g.Div(z, g.Sqrt(g.Scale(g.SumKept(g.Mul(z, z), 1), 1, 1e-12)))
			mask, other := make([]float32, 4*rows*rows), g.Ints(2*rows)
			for i := range 2 * rows {
				mask[i*2*rows+i] = -1e4 // not its own neighbour
				other.Values[i] = int32((i + rows) % (2 * rows))
			}
			cosines := g.Add(g.Scale(g.MatMul(z, z, false, true), 1/temperature, 0), g.Constant(mask, 2*rows, 2*rows))
			return g.CrossEntropy(cosines, other, net.Targets{}), func(b net.Batch) {
				for i, row := range b.Rows {
					for view := range 2 {
						at := i + view*rows
						advEncoderView(x.Value()[at*d:(at+1)*d], images.Row(row), random)
					}
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
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, t := range params.Tensors() {
		if len(t.Name) > 8 && t.Name[:8] == "encoder." {
			c.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
		}
	}
	return c, nil
}
