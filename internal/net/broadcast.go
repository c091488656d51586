package net

import (
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// pairing is a map of two values to one, with its gradients. Slices are of equal lengths.
type pairing struct {
	name   string
	f      func(dst, a, b []float32)
	da, db func(dst, a, b, dy []float32) // dst = dy·∂f/∂a, dy·∂f/∂b
	values bool                          // whether da and db read a and b
}

// binary applies a pairing to two tensors, axes of size one repeated as often as the other has it.
type binary struct {
	g        *Graph
	fn       *pairing
	a, b, y  *Node
	axes     []axisPair // outer first
	inner    axisPair
	run, der func(lo, hi int)
	second   bool // der is for b
	to       []float32
	add      bool
}

// axisPair is an axis of the output with the strides of both inputs, zero where the input is repeated.
type axisPair struct{ size, a, b int }

func (g *Graph) binary(fn *pairing, a, b *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	shape, ok := broadcastShape(a.shape, b.shape)
	if !ok {
		return g.fail("%s: shapes %s do not broadcast", fn.name, shapes(a, b))
	}
	y := g.node(shape...)
	k := &binary{g: g, fn: fn, a: a, b: b, y: y}
	k.pair(shape)
	k.run, k.der = k.forwardRange, k.backwardRange
	inPlace := a.root != b.root && slices.Equal(a.shape, shape)
	return g.add(operation{name: fn.name, in: []*Node{a, b}, out: y, keepIn: fn.values, inPlace: inPlace && !fn.values}, k)
}

// broadcastShape joins shapes from the last axis: equal sizes, or one of them 1.
func broadcastShape(a, b []int) ([]int, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	shape := slices.Clone(a)
	for i := range b {
		at := len(a) - len(b) + i
		switch {
		case shape[at] == 1:
			shape[at] = b[i]
		case b[i] != 1 && b[i] != shape[at]:
			return nil, false
		}
	}
	return shape, true
}

// pair works out strides and joins axes that both inputs run through alike.
func (k *binary) pair(shape []int) {
	strideA, strideB := 1, 1
	var axes []axisPair // inner first
	for i := range shape {
		at := len(shape) - 1 - i
		p := axisPair{size: shape[at]}
		if j := len(k.a.shape) - 1 - i; j >= 0 && k.a.shape[j] > 1 {
			p.a, strideA = strideA, strideA*k.a.shape[j]
		}
		if j := len(k.b.shape) - 1 - i; j >= 0 && k.b.shape[j] > 1 {
			p.b, strideB = strideB, strideB*k.b.shape[j]
		}
		if p.size == 1 {
			continue
		}
		if n := len(axes) - 1; n >= 0 && p.a == axes[n].a*axes[n].size && p.b == axes[n].b*axes[n].size && (p.a == 0) == (axes[n].a == 0) && (p.b == 0) == (axes[n].b == 0) {
			axes[n].size *= p.size
			continue
		}
		axes = append(axes, p)
	}
	if len(axes) == 0 {
		axes = []axisPair{{1, 1, 1}}
	}
	k.inner = axes[0]
	k.axes = axes[1:]
	slices.Reverse(k.axes)
}

// offsets returns where a row of the output reads its inputs.
func (k *binary) offsets(row int) (a, b int) {
	for i := len(k.axes) - 1; i >= 0; i-- {
		x := k.axes[i]
		at := row % x.size
		row /= x.size
		a += at * x.a
		b += at * x.b
	}
	return a, b
}

// operand returns n values of an input from row offset and column on, repeated into room where its stride is zero.
func operand(x []float32, offset, at, n, stride int, room []float32) []float32 {
	if stride == 0 {
		fill(room[:n], x[offset])
		return room[:n]
	}
	return x[offset+at : offset+at+n]
}

func (k *binary) forward() { num.Parallel(len(k.y.root.value), elementGrain, k.run) }

// pieces calls f on stretches of lo..hi that lie in one row and are at most stretch long.
func (k *binary) pieces(lo, hi int, f func(lo, hi, offsetA, offsetB, at int)) {
	for lo < hi {
		row, at := lo/k.inner.size, lo%k.inner.size
		to := min(lo+min(k.inner.size-at, stretch), hi)
		a, b := k.offsets(row)
		f(lo, to, a, b, at)
		lo = to
	}
}

func (k *binary) forwardRange(lo, hi int) {
	s := k.g.scratch.take(2 * stretch)
	defer k.g.scratch.give(s)
	a, b, y := k.a.root.value, k.b.root.value, k.y.root.value
	k.pieces(lo, hi, func(lo, hi, oa, ob, at int) {
		k.fn.f(y[lo:hi], operand(a, oa, at, hi-lo, k.inner.a, s.values), operand(b, ob, at, hi-lo, k.inner.b, s.values[stretch:]))
	})
}

func (k *binary) backward() {
	for i, x := range []*Node{k.a, k.b} {
		k.second = i == 1
		if k.to, k.add = x.gradient(); k.to == nil {
			continue
		}
		if len(k.to) == len(k.y.root.grad) {
			num.Parallel(len(k.to), elementGrain, k.der)
			continue
		}
		// Repeated values sum over all their uses, in the order of the output, on one thread.
		if !k.add {
			clear(k.to)
		}
		k.add = true
		k.der(0, len(k.y.root.grad))
	}
}

func (k *binary) backwardRange(lo, hi int) {
	s := k.g.scratch.take(3 * stretch)
	defer k.g.scratch.give(s)
	dy := k.y.root.grad
	der := k.fn.da
	if k.second {
		der = k.fn.db
	}
	k.pieces(lo, hi, func(lo, hi, oa, ob, at int) {
		n := hi - lo
		var a, b []float32
		if k.fn.values {
			a = operand(k.a.root.value, oa, at, n, k.inner.a, s.values)
			b = operand(k.b.root.value, ob, at, n, k.inner.b, s.values[stretch:])
		}
		offset, stride := oa, k.inner.a
		if k.second {
			offset, stride = ob, k.inner.b
		}
		if stride != 0 && !k.add {
			der(k.to[offset+at:offset+at+n], a, b, dy[lo:hi])
			return
		}
		d := s.values[2*stretch:][:n]
		der(d, a, b, dy[lo:hi])
		if stride != 0 {
			addTo(k.to[offset+at:offset+at+n], d)
			return
		}
		k.to[offset] += float32(num.Sum(d))
	})
}

var (
	addPairing = &pairing{
		name: "add",
		f:    num.Add,
		da:   func(dst, _, _, dy []float32) { copy(dst, dy) },
		db:   func(dst, _, _, dy []float32) { copy(dst, dy) },
	}
	subPairing = &pairing{
		name: "subtract",
		f:    func(dst, a, b []float32) { num.Blend(dst, 1, a, -1, b) },
		da:   func(dst, _, _, dy []float32) { copy(dst, dy) },
		db:   func(dst, _, _, dy []float32) { num.Scale(dst, -1, dy) },
	}
	mulPairing = &pairing{
		name: "multiply", values: true,
		f:  num.Multiply,
		da: func(dst, _, b, dy []float32) { num.Multiply(dst, b, dy) },
		db: func(dst, a, _, dy []float32) { num.Multiply(dst, a, dy) },
	}
	divPairing = &pairing{
		name: "divide", values: true,
		f: func(dst, a, b []float32) {
			a, b = a[:len(dst)], b[:len(dst)]
			for i := range dst {
				dst[i] = a[i] / b[i]
			}
		},
		da: func(dst, _, b, dy []float32) {
			for i, v := range dy {
				dst[i] = v / b[i]
			}
		},
		db: func(dst, a, b, dy []float32) {
			for i, v := range dy {
				dst[i] = -v * (a[i] / b[i]) / b[i]
			}
		},
	}
)

// Add returns a + b, broadcast.
func (g *Graph) Add(a, b *Node) *Node { return g.binary(addPairing, a, b) }

// Sub returns a − b, broadcast.
func (g *Graph) Sub(a, b *Node) *Node { return g.binary(subPairing, a, b) }

// Mul returns a·b by elements, broadcast.
func (g *Graph) Mul(a, b *Node) *Node { return g.binary(mulPairing, a, b) }

// Div returns a/b by elements, broadcast.
func (g *Graph) Div(a, b *Node) *Node { return g.binary(divPairing, a, b) }
