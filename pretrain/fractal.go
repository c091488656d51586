package pretrain

import (
	"context"
	"fmt"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/world"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a small image encoder trained on fractals that it draws itself",
	Paper: "anderson2022improving",
	Small: map[string]string{"steps": "1", "batch": "2", "systems": "2"},
}, Fractal.Apply))

// Fractal trains an encoder of gray images to say which iterated function systems are drawn in an image. No real image is seen.
//
// Every image is drawn once, when it is needed, and never stored. The network has three convolutions of stride 2 (16, 32 and 64
// channels, batch norm) and a linear layer to 64 features; what tells the systems apart on top of them is dropped. The defaults
// take about half a minute of processor time.
//
// Takes:   nothing.
// Apply:   a checkpoint of 89,488 float32 values, for gray images of 28×28 pixels in [0, 1]: encoder.0 to encoder.2 (convolutions [out, height, width, in] and norms) and encoder.features [64, 4·4·64]. Metadata: fractal.steps, fractal.systems, fractal.strategy, fractal.seed, and fractal.loss, the mean of the last tenth of the steps. Equal settings give equal bytes on any number of threads, on all amd64 machines with AVX2; other machines round otherwise in training, though the images are the same.
// Errors:  ErrFinite when the loss stops being a finite number, with the step.
// Differs: gray images of 28×28 with 1,200 points instead of coloured ones of 224×224 with 100,000; pixels are not stamped; white noise over half of the images instead of clouds behind all; 1 to 3 systems in an image, of half to all of its side; Adam.
// Source:  anderson2022improving, on sampling systems by their singular values and on multi-instance prediction.
// Claim:   claims/pretrain/fractal.go.
type Fractal struct {
	// Steps is how many batches are drawn and learned from; the rate falls to zero along half a cosine over them.
	Steps int `default:"3000" range:"[1,1e6]"`
	// Batch is how many images a step sees.
	Batch int `default:"64" range:"[2,65536]"`
	// Systems is how many iterated function systems there are to be told apart, the paper's 1,000.
	Systems int `default:"30" range:"[2,1e5]"`
	// Strategy says what an image holds: multiple draws one to three systems in it, all to be named; single draws one over the whole image.
	Strategy string `default:"multiple" enum:"multiple,single"`
	// Unconstrained draws systems without the sum of singular values that makes them fill their image: the baseline of the paper.
	Unconstrained bool
	// Rate is that of Adam after the first tenth of the steps, at most 100, over which it rises.
	Rate float64 `default:"0.002" range:"(0,1]"`
	// Seed moves the systems, the images and the first weights.
	Seed uint64
}

// fractalFeatures is the width of what the encoder puts out.
const fractalFeatures = 64

// Apply draws and trains.
func (c Fractal) Apply(ctx context.Context, _ struct{}) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	const side = 28
	draw := world.Fractals{Seed: c.Seed, Size: side, Unconstrained: c.Unconstrained, Single: c.Strategy == "single"}
	ps := net.NewParams(c.Seed)
	tail, counted := 0.0, 0
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: c.Steps, Batch: c.Batch, Seed: c.Seed,
		Optimiser: net.Optimiser{Rule: net.Adam, Rate: c.Rate}, Schedule: net.Schedule{Cosine: true, Warmup: min(100, c.Steps/10)},
		Progress: func(p net.Progress) bool {
			method.Progress(ctx, p.Steps, c.Steps)
			if p.Steps > c.Steps-max(c.Steps/10, 1) {
				tail += p.Loss
				counted++
			}
			return true
		},
	}, ps, net.Task{Rows: c.Batch, Build: func(g *net.Graph, rows int) (*net.Node, func(net.Batch)) {
		x, present := g.Input(rows, side, side, 1), g.Input(rows, c.Systems)
		h := g.StridedConvNet("encoder", x, fractalFeatures, 16, 32, 64)
		logits := g.Dense("head", g.ReLU(h), c.Systems)
		loss := g.BinaryCrossEntropy(logits, present)
		if draw.Single {
			loss = g.CrossEntropySoft(logits, present, net.Targets{})
		}
		numbers := make([]int, rows)
		return loss, func(b net.Batch) {
			for i, row := range b.Rows { // an epoch is a step: no image comes twice
				numbers[i] = b.Epoch*c.Batch + row
			}
			draw.Batch(x.Value(), present.Value(), c.Systems, numbers, c.Seed)
		}
	}})
	if err != nil {
		return nil, err
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", data.ErrFinite, err)
	}
	out := &data.Checkpoint{Tensors: map[string]data.Tensor{}, Meta: map[string]string{
		"fractal.steps": strconv.Itoa(c.Steps), "fractal.systems": strconv.Itoa(c.Systems), "fractal.strategy": c.Strategy,
		"fractal.seed": strconv.FormatUint(c.Seed, 10), "fractal.loss": strconv.FormatFloat(tail/float64(counted), 'g', 6, 64),
	}}
	for _, t := range ps.Tensors() {
		if t.Name != "head.weight" && t.Name != "head.bias" {
			out.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
		}
	}
	return out, nil
}
