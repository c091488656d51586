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
	gradient, steps := make([]float32, n.Size()), optimiser{Train: t}
	p := n.newPass(min(batch, blockRows))
	bx, by := make([]float32, batch*in), make([]int, batch)
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
			for i, row := range part {
				to := bx[i*in : i*in+in]
				copy(to, x[row*in:row*in+in])
				by[i] = labels[row]
				if t.Augment != nil || t.Noise > 0 {
					source.Seed(hash(t.Seed, 3, uint64(epoch), uint64(row)), 0)
					t.disturb(to, r)
				}
			}
			clear(gradient)
			loss := 0.0
			for lo := 0; lo < len(part); lo += blockRows {
				hi := min(lo+blockRows, len(part))
				l, _ := n.block(p, Objective{1, t.Smoothing}, bx[lo*in:hi*in], by[lo:hi], len(part), gradient)
				loss += l
			}
			if math.IsNaN(loss) || math.IsInf(loss, 0) {
				return 0, fmt.Errorf("net: the loss left the finite numbers in epoch %d; lower the learning rate %g", epoch+1, t.Rate)
			}
			mean += loss / float64(perEpoch)
			rate := t.Rate
			if t.Cosine {
				done := float64(epoch*perEpoch+step) / float64(t.Epochs*perEpoch)
				rate *= 0.5 * (1 + math.Cos(math.Pi*done))
			}
			steps.step(n.theta, gradient, rate)
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

// optimiser is a recipe with what it remembers between steps.
type optimiser struct {
	Train
	count         int
	first, second []float32 // momentum, or Adam's mean gradient and mean square
}

func (o *optimiser) step(theta, gradient []float32, rate float64) {
	const (
		keepFirst  = 0.9
		keepSecond = 0.999
		epsilon    = 1e-8
	)
	if o.first == nil {
		o.first, o.second = make([]float32, len(theta)), make([]float32, len(theta))
	}
	o.count++
	keep := 1 - rate*o.Decay
	unbias1, unbias2 := 1-math.Pow(keepFirst, float64(o.count)), 1-math.Pow(keepSecond, float64(o.count))
	for i, g := range gradient {
		g, m, v, w := float64(g), float64(o.first[i]), float64(o.second[i]), float64(theta[i])
		if !o.Adam {
			m = o.Momentum*m + g
			o.first[i] = float32(m)
			theta[i] = float32(keep*w - rate*m)
			continue
		}
		m = keepFirst*m + (1-keepFirst)*g
		v = keepSecond*v + (1-keepSecond)*g*g
		o.first[i], o.second[i] = float32(m), float32(v)
		theta[i] = float32(keep*w - rate*(m/unbias1)/(math.Sqrt(v/unbias2)+epsilon))
	}
}
