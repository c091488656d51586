package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// lstmCell is c′ = σ(f)·c + σ(i)·tanh(g), gates side by side: i, f, g, o. Source: Hochreiter and Schmidhuber (1997), with
// the forget gate of Gers et al. (2000).
type lstmCell struct {
	gates, c, y *Node
	run, der    func(lo, hi int)
	dgates, dc  []float32
	add         [2]bool
}

// LSTMCell returns the next cell state from gates [B, 4·H] (input, forget, candidate, output; before their functions) and
// the state c [B, H].
func (g *Graph) LSTMCell(gates, c *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(c.shape) != 2 || gates.Size() != 4*c.Size() || gates.width() != 4*c.width() {
		return g.fail("LSTM cell: gates and state %s", shapes(gates, c))
	}
	k := &lstmCell{gates: gates, c: c, y: g.node(c.shape...)}
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: "LSTM cell", in: []*Node{gates, c}, out: k.y, keepIn: true}, k)
}

func recurrentGrain(width int) int { return max(1, elementGrain/16/width) }

func (k *lstmCell) forward() { num.Parallel(k.c.shape[0], recurrentGrain(k.c.width()), k.run) }

func (k *lstmCell) forwardRange(lo, hi int) {
	h := k.c.width()
	for b := lo; b < hi; b++ {
		gates, c, y := k.gates.root.value[4*b*h:4*(b+1)*h], k.c.root.value[b*h:], k.y.root.value[b*h:]
		for j := range h {
			i, f, g := sigmoid(float64(gates[j])), sigmoid(float64(gates[h+j])), math.Tanh(float64(gates[2*h+j]))
			y[j] = float32(f*float64(c[j]) + i*g)
		}
	}
}

func (k *lstmCell) backward() {
	k.dgates, k.add[0] = k.gates.gradient()
	k.dc, k.add[1] = k.c.gradient()
	num.Parallel(k.c.shape[0], recurrentGrain(k.c.width()), k.der)
}

func (k *lstmCell) backwardRange(lo, hi int) {
	h := k.c.width()
	for b := lo; b < hi; b++ {
		gates, c, dy := k.gates.root.value[4*b*h:4*(b+1)*h], k.c.root.value[b*h:], k.y.root.grad[b*h:]
		for j := range h {
			d := float64(dy[j])
			i, f, g := sigmoid(float64(gates[j])), sigmoid(float64(gates[h+j])), math.Tanh(float64(gates[2*h+j]))
			if k.dgates != nil {
				to := k.dgates[4*b*h : 4*(b+1)*h]
				put(to, j, d*g*i*(1-i), k.add[0])
				put(to, h+j, d*float64(c[j])*f*(1-f), k.add[0])
				put(to, 2*h+j, d*i*(1-g*g), k.add[0])
				put(to, 3*h+j, 0, k.add[0])
			}
			if k.dc != nil {
				put(k.dc[b*h:], j, d*f, k.add[1])
			}
		}
	}
}

func put(to []float32, i int, v float64, add bool) {
	if add {
		to[i] += float32(v)
	} else {
		to[i] = float32(v)
	}
}

// LSTMOutput returns the hidden state σ(o)·tanh(c) of gates as in LSTMCell and the state c that it returned.
func (g *Graph) LSTMOutput(gates, c *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	h := c.width()
	return g.Mul(g.Sigmoid(g.Slice(gates, -1, 3*h, 4*h)), g.Tanh(c))
}

// gruCell is h′ = (1−z)·n + z·h with n = tanh(xₙ + r·hₙ). Source: Cho et al. (2014), the reset after the product.
type gruCell struct {
	x, u, h, y *Node
	run, der   func(lo, hi int)
	d          [3][]float32 // by x, u and h
	add        [3]bool
}

// GRUCell returns the next state from x [B, 3·H], the gates' part of the input, u [B, 3·H], that of the state, each as
// reset, update, candidate, and the state h [B, H].
func (g *Graph) GRUCell(x, u, h *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(h.shape) != 2 || x.Size() != 3*h.Size() || u.Size() != x.Size() || x.width() != 3*h.width() {
		return g.fail("GRU cell: gates and state %s", shapes(x, u, h))
	}
	k := &gruCell{x: x, u: u, h: h, y: g.node(h.shape...)}
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: "GRU cell", in: []*Node{x, u, h}, out: k.y, keepIn: true}, k)
}

func (k *gruCell) forward() { num.Parallel(k.h.shape[0], recurrentGrain(k.h.width()), k.run) }

// gates returns reset, update and candidate.
func (k *gruCell) gates(b, j int) (r, z, n float64) {
	w := k.h.width()
	x, u := k.x.root.value[3*b*w:], k.u.root.value[3*b*w:]
	r, z = sigmoid(float64(x[j])+float64(u[j])), sigmoid(float64(x[w+j])+float64(u[w+j]))
	return r, z, math.Tanh(float64(x[2*w+j]) + r*float64(u[2*w+j]))
}

func (k *gruCell) forwardRange(lo, hi int) {
	w := k.h.width()
	for i := lo * w; i < hi*w; i++ {
		_, z, n := k.gates(i/w, i%w)
		k.y.root.value[i] = float32((1-z)*n + z*float64(k.h.root.value[i]))
	}
}

func (k *gruCell) backward() {
	for i, n := range []*Node{k.x, k.u, k.h} {
		k.d[i], k.add[i] = n.gradient()
	}
	num.Parallel(k.h.shape[0], recurrentGrain(k.h.width()), k.der)
}

func (k *gruCell) backwardRange(lo, hi int) {
	w := k.h.width()
	for i := lo * w; i < hi*w; i++ {
		b, j := i/w, i%w
		r, z, n := k.gates(b, j)
		d, h, un := float64(k.y.root.grad[i]), float64(k.h.root.value[i]), float64(k.u.root.value[3*b*w+2*w+j])
		dn := d * (1 - z) * (1 - n*n)
		dz, dr := d*(h-n)*z*(1-z), dn*un*r*(1-r)
		for side, last := range []float64{dn, dn * r} {
			if k.d[side] == nil {
				continue
			}
			to := k.d[side][3*b*w : 3*(b+1)*w]
			put(to, j, dr, k.add[side])
			put(to, w+j, dz, k.add[side])
			put(to, 2*w+j, last, k.add[side])
		}
		if k.d[2] != nil {
			put(k.d[2], i, d*z, k.add[2])
		}
	}
}
