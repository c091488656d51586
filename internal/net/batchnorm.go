package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// batchMomentum is the weight of a batch in the running statistics.
const batchMomentum = 0.1

// batchNorm takes every channel, the last axis, to mean 0 and variance 1 over the batch.
type batchNorm struct {
	g                    *Graph
	x, gain, shift, y    *Node
	runMean, runVariance *Param
	training             bool
	mean, inverse        []float32
	wide                 [2][]float64
	rows, channels       int
	moments, run, der    func(lo, hi int)
	part                 []float32 // of each block of rows: two sums of each channel
	second               bool      // the pass over x for squares
	backwards            bool
	sumDy, sumAlong      []float32
	dx                   []float32
	add                  bool
}

// BatchNorm takes every channel, the last axis, to mean 0 and variance 1 over all others, then times name.weight plus
// name.bias. In training it uses the batch and moves name.running_mean and name.running_var a tenth of the way towards it;
// outside it uses those. Source: Ioffe and Szegedy (2015).
func (g *Graph) BatchNorm(name string, x *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) < 2 || g.Training && x.rows() < 2 {
		return g.fail("batch norm %s: input %v has no batch", name, x.shape)
	}
	c := x.width()
	k := &batchNorm{g: g, x: x, y: g.node(x.shape...), training: g.Training, rows: x.rows(), channels: c}
	k.gain, k.shift = g.Param(joinLayer(name, "weight"), Constant(1), c), g.Param(joinLayer(name, "bias"), Constant(0), c)
	k.runMean, k.runVariance = g.statistic(joinLayer(name, "running_mean"), 0, c), g.statistic(joinLayer(name, "running_var"), 1, c)
	if g.err != nil {
		return g.fail("")
	}
	k.mean, k.inverse, k.sumDy, k.sumAlong = make([]float32, c), make([]float32, c), make([]float32, c), make([]float32, c)
	k.moments, k.run, k.der = k.momentsRange, k.forwardRange, k.inputRange
	return g.add(operation{name: "batch norm", in: []*Node{x, k.gain, k.shift}, out: k.y, keepIn: true}, k)
}

func (k *batchNorm) blocks() int { return (k.rows + sumRowsBlock - 1) / sumRowsBlock }

func (k *batchNorm) grain() int { return max(1, elementGrain/k.channels) }

// sum runs the pass that momentsRange does over all blocks, and adds the blocks' sums up in order.
func (k *batchNorm) sum(first, second []float64) {
	s := k.g.scratch.take(2 * k.blocks() * k.channels)
	defer k.g.scratch.give(s)
	k.part = s.values
	num.Parallel(k.blocks(), max(1, k.grain()/sumRowsBlock), k.moments)
	clear(first)
	clear(second)
	for b := range k.blocks() {
		for j := range k.channels {
			first[j] += float64(k.part[2*b*k.channels+j])
			second[j] += float64(k.part[(2*b+1)*k.channels+j])
		}
	}
}

func (k *batchNorm) momentsRange(lo, hi int) {
	x, c := k.x.root.value, k.channels
	for b := lo; b < hi; b++ {
		first, second := k.part[2*b*c:(2*b+1)*c], k.part[(2*b+1)*c:(2*b+2)*c]
		clear(first)
		clear(second)
		for r := b * sumRowsBlock; r < min((b+1)*sumRowsBlock, k.rows); r++ {
			in := x[r*c : r*c+c]
			switch {
			case k.backwards:
				d := k.y.root.grad[r*c : r*c+c]
				for j, v := range d {
					first[j] += v
					second[j] += v * (in[j] - k.mean[j]) * k.inverse[j]
				}
			case k.second:
				for j, v := range in {
					second[j] += (v - k.mean[j]) * (v - k.mean[j])
				}
			default:
				addTo(first, in)
			}
		}
	}
}

func (k *batchNorm) forward() {
	if k.training {
		s := k.sums()
		n := float64(k.rows)
		k.backwards, k.second = false, false
		k.sum(s[0], s[1])
		for j, v := range s[0] {
			k.mean[j] = float32(v / n)
		}
		k.second = true
		k.sum(s[0], s[1])
		for j, v := range s[1] {
			k.inverse[j] = float32(1 / math.Sqrt(v/n+normEpsilon))
			mean, variance := &k.runMean.Values[j], &k.runVariance.Values[j]
			*mean += batchMomentum * (k.mean[j] - *mean)
			*variance += batchMomentum * (float32(v/(n-1)) - *variance)
		}
	} else {
		for j := range k.mean {
			k.mean[j] = k.runMean.Values[j]
			k.inverse[j] = float32(1 / math.Sqrt(float64(k.runVariance.Values[j])+normEpsilon))
		}
	}
	num.Parallel(k.rows, k.grain(), k.run)
}

// sums returns room for two sums of each channel.
func (k *batchNorm) sums() [2][]float64 {
	if k.wide[0] == nil {
		k.wide = [2][]float64{make([]float64, k.channels), make([]float64, k.channels)}
	}
	return k.wide
}

func (k *batchNorm) forwardRange(lo, hi int) {
	x, y, gain, shift, c := k.x.root.value, k.y.root.value, k.gain.root.value, k.shift.root.value, k.channels
	for r := lo; r < hi; r++ {
		in, out := x[r*c:r*c+c], y[r*c:r*c+c]
		for j, v := range in {
			out[j] = (v-k.mean[j])*k.inverse[j]*gain[j] + shift[j]
		}
	}
}

func (k *batchNorm) backward() {
	s := k.sums()
	k.backwards = true
	k.sum(s[0], s[1])
	for i, p := range []*Node{k.shift, k.gain} {
		d, add := p.gradient()
		if d == nil {
			continue
		}
		for j, v := range s[i] {
			if add {
				d[j] += float32(v)
			} else {
				d[j] = float32(v)
			}
		}
	}
	for j := range k.sumDy {
		k.sumDy[j], k.sumAlong[j] = 0, 0
		if k.training {
			k.sumDy[j], k.sumAlong[j] = float32(s[0][j]/float64(k.rows)), float32(s[1][j]/float64(k.rows))
		}
	}
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(k.rows, k.grain(), k.der)
	}
}

// inputRange: dx = gain·inverse·(dy − mean(dy) − x̂·mean(dy·x̂)); with running statistics the means are constants' and fall away.
func (k *batchNorm) inputRange(lo, hi int) {
	x, dy, gain, c := k.x.root.value, k.y.root.grad, k.gain.root.value, k.channels
	for r := lo; r < hi; r++ {
		in, d, to := x[r*c:r*c+c], dy[r*c:r*c+c], k.dx[r*c:r*c+c]
		for j, v := range d {
			v = gain[j] * k.inverse[j] * (v - k.sumDy[j] - (in[j]-k.mean[j])*k.inverse[j]*k.sumAlong[j])
			if k.add {
				v += to[j]
			}
			to[j] = v
		}
	}
}
