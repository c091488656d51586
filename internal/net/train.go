package net

import (
	"context"
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
	loop := Loop{Epochs: t.Epochs, Batch: max(t.Batch, 1), Optimiser: Optimiser{Rule: SGD, Rate: t.Rate, Momentum: t.Momentum, Decay: t.Decay}, Schedule: Schedule{Cosine: t.Cosine}, Seed: t.Seed}
	if t.Adam {
		loop.Optimiser.Rule = Adam
	}
	source := rand.NewPCG(0, 0)
	r := rand.New(source)
	trainer, err := NewTrainer(loop, n.params(), Task{Rows: len(labels), Build: func(g *Graph, rows int) (*Node, func(Batch)) {
		input, classes := g.Input(rows, in), g.Ints(rows)
		loss := g.CrossEntropy(n.build(g, input), classes, Targets{Smoothing: t.Smoothing})
		return loss, func(b Batch) {
			for i, row := range b.Rows {
				to := input.Value()[i*in : i*in+in]
				copy(to, x[row*in:row*in+in])
				classes.Values[i] = int32(labels[row])
				if t.Augment != nil || t.Noise > 0 {
					source.Seed(hash(t.Seed, 3, uint64(b.Epoch), uint64(row)), 0)
					t.disturb(to, r)
				}
			}
		}
	}})
	if err != nil {
		return 0, err
	}
	last, err := trainer.Run(ctx)
	return last.Loss, err
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
