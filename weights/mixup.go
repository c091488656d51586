package weights

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a checkpoint tuned on labelled rows, on mixtures of them and softened labels, so that it does not get too sure",
	Paper: "zhang2018mixup",
	Exempt: map[string]string{
		"answers": "where the rows' classes are not the network's outputs, the last layer is another one, of another shape",
	},
}, Mixup.Apply))

// Mixup tunes a network on labelled rows: plainly, or on mixtures of two rows and of their labels, and with softened labels.
//
// A plainly tuned network is more confident than the one that it was tuned from, and dominates their average; one tuned on mixtures or
// soft labels balances it, which is what [BANG] averages. It is for networks that the program trains itself: linear layers, or square
// convolutions (stride 1, then ReLU and 2×2 max-pooling) before linear ones.
//
// Takes:   encoder, a checkpoint of such a network; rows, a labelled table N×D that it reads.
// Apply:   a checkpoint of the same tensors and types. Where the outputs are not the rows' classes, the last layer is drawn anew for them, in the order of their names. Metadata: classes then; mixup.loss, of the last pass, in nats.
// Errors:  ErrFormat for another network; ErrLabels when a row has none; ErrFinite when the loss stops being a number.
// Differs: every row has a partner and a share of its own, drawn by seed, pass and row, so that they do not depend on the batch; the authors draw one share a batch. The descent is by momentum of 0.9 along a cosine.
// Source:  zhang2018mixup, section 2; label smoothing after Szegedy et al. (2016).
// Claim:   none: its claim is that of the averages made of it, weights/bang.
type Mixup struct {
	// Strategy is mixup, or plain, which leaves rows as they are.
	Strategy string `default:"mixup" enum:"mixup,plain"`
	// Mixing is how evenly two rows share a mixture: that of small values is nearly one of them, at 1 all shares are alike; the paper's α.
	Mixing float64 `default:"0.2" range:"(0,1]"`
	// LabelSmoothing is the part of a label's unit mass that is spread over all classes.
	LabelSmoothing float64 `range:"[0,1)"`
	// Steps is how often training goes through the rows.
	Steps int `default:"5" range:"[1,100000]" unit:"passes"`
	// Batch is the rows of one step.
	Batch int `default:"64" range:"[1,65536]"`
	// Rate is the highest one; it falls to zero along half a cosine.
	Rate float64 `default:"0.01" range:"(0,10]"`
	// Seed draws the order of rows, partners and shares, and a new last layer.
	Seed uint64
}

// MixupInput is what is tuned, and on what.
type MixupInput struct {
	// Encoder is the network's tensors.
	Encoder *data.Checkpoint
	// Rows are N×D labelled.
	Rows *data.Table
}

// Apply tunes.
func (c Mixup) Apply(ctx context.Context, in MixupInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := newTuning(in.Encoder, in.Rows, c.Seed)
	if err != nil {
		return nil, err
	}
	_, d := in.Rows.Dims()
	loss := 0.0
	err = t.run(ctx, net.Loop{
		Epochs: c.Steps, Batch: c.Batch, Seed: c.Seed, Optimiser: net.Optimiser{Rule: net.SGD, Rate: c.Rate, Momentum: 0.9}, Schedule: net.Schedule{Cosine: true},
		Progress: func(p net.Progress) bool { loss = p.Loss; return true },
	}, func(g *net.Graph, x, z *net.Node) (*net.Node, func(net.Batch)) {
		target := g.Input(z.Shape()...)
		return g.CrossEntropySoft(z, target, net.Targets{Smoothing: c.LabelSmoothing}), func(b net.Batch) {
			clear(target.Value())
			for i, row := range b.Rows {
				to, goal := x.Value()[i*d:(i+1)*d], target.Value()[i*t.k:(i+1)*t.k]
				partner, share := row, 1.0
				if c.Strategy == "mixup" {
					partner, share = mixupDraw(b.Seed, row, len(t.labels), c.Mixing)
				}
				other := in.Rows.Row(partner)
				for j, v := range in.Rows.Row(row) {
					to[j] = float32(share)*v + float32(1-share)*other[j]
				}
				goal[t.labels[row]] += float32(share)
				goal[t.labels[partner]] += float32(1 - share)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	out := t.checkpoint("mixup.")
	out.Meta["mixup.loss"] = strconv.FormatFloat(loss, 'g', 6, 64)
	return out, nil
}

// mixupDraw returns a row's partner and its own share, of the distribution Beta(α, α), by the rejection of Jöhnk (1964).
func mixupDraw(seed uint64, row, n int, mixing float64) (partner int, share float64) {
	r := rand.New(rand.NewPCG(part.Mix(seed), part.Mix(uint64(row))))
	partner = r.IntN(n)
	for {
		u, v := math.Log(1-r.Float64())/mixing, math.Log(1-r.Float64())/mixing
		most := max(u, v)
		if sum := most + math.Log(math.Exp(u-most)+math.Exp(v-most)); sum <= 0 {
			return partner, math.Exp(u - sum)
		}
	}
}
