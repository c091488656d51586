package probe

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

const (
	diffprobeLinear = "linear"
	diffprobeDecay  = 0.01 // AdamW's weight decay of a network that is the head
	diffprobeRows   = 1000 // by which blocks are compared, at most
	diffprobeLooks  = 4    // of the attention head
)

// hasHead says what keeps the features from going to the head that was asked for.
func (c DiffProbe) hasHead() error {
	if !c.Images && (c.Head == "convolutions" || c.Head == "attention") {
		return fmt.Errorf("%w: --head %s looks at the places of images; set --images, or take perceptron", method.ErrConfig, c.Head)
	}
	return nil
}

// WithHead returns a model with another head, one of Head's words, on the same denoiser, block and level; nothing else is
// trained again. The linear head stays what Fit found. train is N×D with a label for every row, of the fitted classes.
// Errors: ErrConfig for another word, or one that wants Images; as Fit.
func (m *DiffProbeModel) WithHead(ctx context.Context, train *data.Table, head string) (*DiffProbeModel, error) {
	next := *m
	next.config.Head, next.upper = head, nil
	if err := method.Ready(&next.config); err != nil {
		return nil, err
	}
	if err := next.config.hasHead(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, _, err := labelled(train); err != nil {
		return nil, err
	}
	sorted := train.Pick(sortedRows(train))
	x, err := m.Features(sorted)
	if err != nil {
		return nil, err
	}
	if x, err = diffprobeTable(x.X(), sorted); err != nil {
		return nil, err
	}
	return next.topped(ctx, x, head)
}

// topped puts a network on the chosen features, unless the head is the linear one.
func (m *DiffProbeModel) topped(ctx context.Context, features *data.Table, head string) (*DiffProbeModel, error) {
	if head == diffprobeLinear {
		return m, nil
	}
	shape, err := m.shape()
	if err != nil {
		return nil, err
	}
	recipe := networkRecipe{epochs: m.config.Epochs, rate: m.config.Rate, decay: diffprobeDecay, seed: m.config.Seed}
	m.upper, _, err = recipe.fit(ctx, features, m.config.topping(shape))
	return m, err
}

// shape is that of a row's chosen features, with a first axis of one.
func (m *DiffProbeModel) shape() ([]int, error) {
	g := net.NewGraph(m.params)
	g.Training = false
	_, blocks := m.config.build(g, g.Input(1, len(m.first)), g.Input(1))
	if err := g.Err(); err != nil {
		return nil, err
	}
	return blocks[m.chosen.Block-1].Shape(), nil
}

// topping is the network that classifies features of a shape.
func (c DiffProbe) topping(shape []int) networkBuild {
	return func(g *net.Graph, x *net.Node, k int) (logits, features *net.Node) {
		b := x.Shape()[0]
		w := max(8, c.Width/8*4)
		switch c.Head {
		case "convolutions":
			h := g.Reshape(x, append([]int{b}, shape[1:]...)...)
			for i := range 2 {
				h = g.GELU(g.Conv(fmt.Sprintf("convolutions.%d", i), h, w, 3, net.Same(3, 1)))
			}
			x = g.Reshape(h, b, -1)
		case "attention":
			places := shape[1] * shape[2]
			h := g.Dense("embed", g.Reshape(x, b, places, -1), w)
			h = g.Add(h, g.Param("places", net.Constant(0), places, w))
			x = g.Reshape(net.Transformer{Layers: 1, Heads: diffprobeLooks, Hidden: 2 * w}.Encoder(g, "attention", h, net.Mask{}), b, -1)
		default:
			x = g.GELU(g.Dense("perceptron", x, c.Width))
		}
		return g.Linear(x, g.Param("head.weight", net.LeCunNormal, k, x.Shape()[1]), g.Param("head.bias", net.Constant(0), k)), x
	}
}

// compare fills in how alike the blocks' features of n rows are.
func (m *DiffProbeModel) compare(features [][]float32, n int) error {
	step := (n + diffprobeRows - 1) / diffprobeRows // rows are sorted: every so many of them
	var some [][]float32
	for _, x := range features {
		d := len(x) / n
		var rows []float32
		for i := 0; i < n; i += step {
			rows = append(rows, x[i*d:(i+1)*d]...)
		}
		some = append(some, rows)
	}
	taken := (n + step - 1) / step
	m.alike = make([]float64, len(some)*len(some))
	for a, x := range some {
		for b, y := range some[:a+1] {
			e, err := metric.LinearCKA(x, len(x)/taken, y, len(y)/taken, metric.Interval{ValueOnly: true})
			if err != nil && !errors.Is(err, metric.ErrRange) { // a block that puts out the same for all rows is like none
				return err
			}
			m.alike[a*len(some)+b], m.alike[b*len(some)+a] = e.Value, e.Value
		}
	}
	return nil
}

// blocks is how many the denoiser has.
func (m *DiffProbeModel) blocks() int { return int(math.Round(math.Sqrt(float64(len(m.alike))))) }

// Similarity returns how alike the activations of two blocks, counted from 1, are at the chosen level of noise: linear CKA
// over the training rows, a thousand of them at most; 0 for one that puts out the same for all rows. Errors: ErrConfig for a block that the network lacks.
func (m *DiffProbeModel) Similarity(first, second int) (float64, error) {
	n := m.blocks()
	if min(first, second) < 1 || max(first, second) > n {
		return 0, fmt.Errorf("diffprobe: %w: blocks %d and %d, the network has %d", method.ErrConfig, first, second, n)
	}
	return m.alike[(first-1)*n+second-1], nil
}
