package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

const (
	diffprobeBlocks = 3    // of the network without convolutions
	diffprobeLevels = 1000 // that the schedule is told in
	diffprobeSteps  = 200  // few rows are gone through so often that there are as many steps
)

// build is the denoiser on x [b, D] at levels t [b]: the noise, [b, D], and what comes out of each block, pooled, [b, places, places, channels],
// or [b, Width] without Images.
func (c DiffProbe) build(g *net.Graph, x, t *net.Node) (noise *net.Node, blocks []*net.Node) {
	b, d := x.Shape()[0], x.Shape()[1]
	if !c.Images {
		return g.MLPDenoiserBlocks("denoiser", x, t, c.Width, diffprobeBlocks)
	}
	side := diffprobeSide(d)
	widths := []int{max(4, c.Width/8)}
	for s := side; s%2 == 0 && s > 4 && len(widths) < 3; s /= 2 {
		widths = append(widths, max(8, c.Width/4))
	}
	noise, blocks = g.UNetBlocks("denoiser", g.Reshape(x, b, side, side, 1), t, widths...)
	for i, h := range blocks {
		if g.Err() != nil {
			break
		}
		if kernel := h.Shape()[1] / min(c.Places, h.Shape()[1]); kernel > 1 {
			blocks[i] = g.AvgPool(h, kernel, net.Window{Stride: [2]int{kernel, kernel}})
		}
	}
	return g.Reshape(noise, b, d), blocks
}

// diffprobeMix returns the weights of row and noise at a share of the schedule.
func diffprobeMix(time float64) (row, noise float64) {
	return math.Cos(math.Pi / 2 * time), math.Sin(math.Pi / 2 * time)
}

// train teaches the denoiser which noise was added to standardised rows.
func (m *DiffProbeModel) train(ctx context.Context, rows []float32) error {
	c, d := m.config, len(m.first)
	n := len(rows) / d
	batch := min(networkBatch, max(2, n/networkParts))
	perEpoch := (n + batch - 1) / batch
	source := rand.NewPCG(0, 0)
	r := rand.New(source)
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: max(c.Epochs, (diffprobeSteps+perEpoch-1)/perEpoch), Batch: batch, Seed: c.Seed,
		Optimiser: net.Optimiser{Rule: net.Adam, Rate: c.Rate, ClipNorm: 1}, Schedule: net.Schedule{Cosine: true},
		Progress: func(p net.Progress) bool {
			method.Progress(ctx, p.Epoch, p.Epochs)
			return true
		},
	}, m.params, net.Task{Rows: n, Build: func(g *net.Graph, b int) (*net.Node, func(net.Batch)) {
		x, t, want := g.Input(b, d), g.Input(b), g.Input(b, d)
		guess, _ := c.build(g, x, t)
		return g.MSE(guess, want), func(step net.Batch) {
			for i, row := range step.Rows {
				source.Seed(step.Seed, uint64(row))
				time := r.Float64()
				t.Value()[i] = float32(diffprobeLevels * time)
				own, noise := diffprobeMix(time)
				for j, v := range rows[row*d : (row+1)*d] {
					e := r.NormFloat64()
					want.Value()[i*d+j] = float32(e)
					x.Value()[i*d+j] = float32(own*float64(v) + noise*e)
				}
			}
		}
	}})
	if err != nil {
		return err
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", method.ErrDegenerate, err)
	}
	return nil
}

// features returns every block's activations at a level of noise, N× what the block puts out.
func (m *DiffProbeModel) features(name string, in *data.Table, time float64) (features [][]float32, err error) {
	n, d := in.Dims()
	if d != len(m.first) {
		return nil, fmt.Errorf("%s: %w: table has %d columns, fitted on %d", name, data.ErrShape, d, len(m.first))
	}
	rows := m.rows(in)
	own, noise := diffprobeMix(time)
	var p *net.Program
	var x, t *net.Node
	var blocks []*net.Node
	for lo := 0; lo < n; lo += networkBlock {
		hi := min(lo+networkBlock, n)
		if p == nil || x.Shape()[0] != hi-lo {
			g := net.NewGraph(m.params)
			g.Training = false
			x, t = g.Input(hi-lo, d), g.Input(hi-lo)
			_, blocks = m.config.build(g, x, t)
			if p, err = g.Infer(blocks...); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		for i := range hi - lo {
			t.Value()[i] = float32(diffprobeLevels * time)
			for j, v := range rows[(lo+i)*d : (lo+i+1)*d] {
				x.Value()[i*d+j] = float32(own*float64(v) + noise*float64(m.noise[j]))
			}
		}
		p.Forward()
		if features == nil {
			features = make([][]float32, len(blocks))
		}
		for b, h := range blocks {
			features[b] = append(features[b], h.Value()...)
		}
	}
	return features, nil
}
