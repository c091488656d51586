package net

import "github.com/gimbal-ml/gimbal/internal/num"

// layerNorm takes rows to mean 0 and variance 1. Blocks of rows, cut by shape alone, are what threads take and what
// gradients by gain and shift are first summed over.
type layerNorm struct {
	g                 *Graph
	x, gain, shift, y *Node
	mean, inverse     []float64
	block             int // rows
	run, der          func(lo, hi int)
	part              []float32
	dx                []float32
	add               bool
}

// LayerNorm takes the last axis to mean 0 and variance 1, then times gain plus shift. Source: Ba et al. (2016).
func (g *Graph) LayerNorm(x, gain, shift *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) == 0 || gain.Size() != x.width() || shift.Size() != x.width() {
		return g.fail("layer norm: input %v, gain and shift %s", x.shape, shapes(gain, shift))
	}
	k := &layerNorm{g: g, x: x, gain: gain, shift: shift, y: g.node(x.shape...), block: rowsAt(x.width())}
	k.mean, k.inverse = make([]float64, x.rows()), make([]float64, x.rows())
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: "layer norm", in: []*Node{x, gain, shift}, out: k.y, keepIn: true}, k)
}

func (k *layerNorm) blocks() int { return (k.x.rows() + k.block - 1) / k.block }

func (k *layerNorm) forward() { num.Parallel(k.blocks(), 1, k.run) }

func (k *layerNorm) forwardRange(lo, hi int) {
	x, y, w, rows := k.x.root.value, k.y.root.value, k.x.width(), k.x.rows()
	for b := lo; b < hi; b++ {
		from, to := b*k.block, min((b+1)*k.block, rows)
		num.LayerNormRows(y[from*w:to*w], x[from*w:to*w], k.gain.root.value, k.shift.root.value, k.mean[from:to], k.inverse[from:to], w, normEpsilon)
	}
}

func (k *layerNorm) backward() {
	dgain, addGain := k.gain.gradient()
	dshift, addShift := k.shift.gradient()
	k.dx, k.add = k.x.gradient()
	w, blocks := k.x.width(), k.blocks()
	s := k.g.scratch.take(2 * blocks * w)
	k.part = s.values
	num.Parallel(blocks, 1, k.der)
	if dgain != nil {
		joinParts(dgain, k.part[:blocks*w], blocks, 0, w, addGain)
	}
	if dshift != nil {
		joinParts(dshift, k.part[blocks*w:], blocks, 0, w, addShift)
	}
	k.g.scratch.give(s)
}

func (k *layerNorm) backwardRange(lo, hi int) {
	x, dy, w, rows := k.x.root.value, k.y.root.grad, k.x.width(), k.x.rows()
	half := len(k.part) / 2
	s := k.g.scratch.take(k.block * w)
	defer k.g.scratch.give(s)
	for b := lo; b < hi; b++ {
		from, to := b*k.block, min((b+1)*k.block, rows)
		dx := s.values[:(to-from)*w]
		if k.dx != nil && !k.add {
			dx = k.dx[from*w : to*w]
		}
		dgain, dshift := k.part[b*w:(b+1)*w], k.part[half+b*w:half+(b+1)*w]
		clear(dgain)
		clear(dshift)
		num.LayerNormRowsGradient(dx, dgain, dshift, dy[from*w:to*w], x[from*w:to*w], k.gain.root.value, k.mean[from:to], k.inverse[from:to], w)
		if k.add {
			num.Add(k.dx[from*w:to*w], k.dx[from*w:to*w], dx)
		}
	}
}

// Norm is LayerNorm with parameters name.weight and name.bias of its own.
func (g *Graph) Norm(name string, x *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	return g.LayerNorm(x, g.Param(joinLayer(name, "weight"), Constant(1), x.width()), g.Param(joinLayer(name, "bias"), Constant(0), x.width()))
}
