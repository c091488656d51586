package net

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
)

// Train is a recipe for mini-batch gradient descent on the softmax cross-entropy.
type Train struct {
	Epochs    int     // passes over the rows
	Batch     int     // rows a step
	Rate      float64 // learning rate
	Cosine    bool    // the rate falls to zero along half a cosine
	Momentum  float64 // [0, 1), heavy ball; of plain gradient descent only
	Adam      bool    // Adam with decay 0.9 and 0.999 and ε 1e-8 instead
	Decay     float64 // weight decay: each step also takes rate·Decay of every parameter, apart from the gradient
	Smoothing float64 // label smoothing, [0, 1)
	Noise     float64 // standard deviation of Gaussian noise added to inputs
	Seed      uint64  // of the order of rows, of noise and of Augment
	// Augment changes a copy of an input row in place, before noise. Its randomness must come from r alone: what is drawn
	// depends on seed, epoch and row, never on batch or thread.
	Augment func(x []float32, r *rand.Rand)
}

// Run trains n in place on rows x with labels and returns the mean loss over the last epoch's steps. The same recipe on
// the same network and rows gives the same bits on any number of threads. Errors: the context's; a loss that is no longer finite.
func (t Train) Run(ctx context.Context, n *Net, x []float32, labels []int) (float64, error) {
	in, _ := n.Dims()
	rows, batch := len(labels), min(max(t.Batch, 1), len(labels))
	if rows == 0 {
		return 0, fmt.Errorf("net: no rows to train on")
	}
	o := &Optimiser{Rule: SGD, Rate: t.Rate, Momentum: t.Momentum, Decay: t.Decay}
	if t.Adam {
		o.Rule = Adam
	}
	ps, schedule := n.params(), Schedule{Cosine: t.Cosine}
	steps := map[int]*classifier{} // by rows: the last step of an epoch may have fewer
	source := rand.NewPCG(0, 0)
	r := rand.New(source)
	perEpoch := (rows + batch - 1) / batch
	mean := 0.0
	for epoch := range t.Epochs {
		source.Seed(hash(t.Seed, 2, uint64(epoch)), 0)
		order := r.Perm(rows)
		mean = 0
		for step := range perEpoch {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			part := order[step*batch : min((step+1)*batch, rows)]
			s := steps[len(part)]
			if s == nil {
				s = n.classifier(ps, len(part), Targets{Smoothing: t.Smoothing}, false)
				steps[len(part)] = s
			}
			for i, row := range part {
				to := s.x.Value()[i*in : i*in+in]
				copy(to, x[row*in:row*in+in])
				s.labels.Values[i] = int32(labels[row])
				if t.Augment != nil || t.Noise > 0 {
					source.Seed(hash(t.Seed, 3, uint64(epoch), uint64(row)), 0)
					t.disturb(to, r)
				}
			}
			s.Forward()
			loss := s.Loss()
			if math.IsNaN(loss) || math.IsInf(loss, 0) {
				return 0, fmt.Errorf("net: the loss left the finite numbers in epoch %d; lower the learning rate %g", epoch+1, t.Rate)
			}
			ps.ZeroGradients()
			s.Backward()
			mean += loss / float64(perEpoch)
			o.Step(ps, schedule.At(epoch*perEpoch+step, t.Epochs*perEpoch))
		}
	}
	return mean, nil
}

func (t Train) disturb(x []float32, r *rand.Rand) {
	if t.Augment != nil {
		t.Augment(x, r)
	}
	if t.Noise > 0 {
		for j := range x {
			x[j] += float32(t.Noise * r.NormFloat64())
		}
	}
}
