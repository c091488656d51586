package net

import "slices"

// gather reads rows of a tensor by number, or adds rows to those of another.
type gather struct {
	x, y    *Node
	index   *Ints
	width   int
	scatter bool
}

// Embedding returns rows of table [V, D] by number: the shape of index followed by D. Numbers outside the table give zeros.
func (g *Graph) Embedding(table *Node, index *Ints, shape ...int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(shape) == 0 {
		shape = []int{len(index.Values)}
	}
	if len(table.shape) < 2 || sizeOf(shape) != len(index.Values) {
		return g.fail("embedding: %d indices as %v of a table of shape %v", len(index.Values), shape, table.shape)
	}
	y := g.node(append(slices.Clone(shape), table.shape[1:]...)...)
	k := &gather{x: table, y: y, index: index, width: sizeOf(table.shape[1:])}
	return g.add(operation{name: "embedding", in: []*Node{table}, out: y}, k)
}

// Gather returns entries of x along its first axis by number, as Embedding.
func (g *Graph) Gather(x *Node, index *Ints) *Node { return g.Embedding(x, index) }

// Scatter adds the i-th entry of x along its first axis to entry index[i] of a tensor of n entries that begins as zeros.
func (g *Graph) Scatter(x *Node, index *Ints, n int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) == 0 || x.shape[0] != len(index.Values) || n < 1 {
		return g.fail("scatter: %d indices for shape %v to %d entries", len(index.Values), x.shape, n)
	}
	shape := slices.Clone(x.shape)
	shape[0] = n
	y := g.node(shape...)
	k := &gather{x: x, y: y, index: index, width: sizeOf(shape[1:]), scatter: true}
	return g.add(operation{name: "scatter", in: []*Node{x}, out: y}, k)
}

// pairs calls f with matching rows of the picked tensor and of the one that is indexed.
func (k *gather) pairs(picked, indexed []float32, f func(picked, indexed []float32)) {
	w := k.width
	for i, at := range k.index.Values {
		if at < 0 || int(at) >= len(indexed)/w {
			f(picked[i*w:i*w+w], nil)
			continue
		}
		f(picked[i*w:i*w+w], indexed[int(at)*w:(int(at)+1)*w])
	}
}

func copyOrClear(to, from []float32) {
	if from == nil {
		clear(to)
		return
	}
	copy(to, from)
}

func addIfAny(from, to []float32) {
	if to != nil {
		addTo(to, from)
	}
}

func (k *gather) forward() {
	if k.scatter {
		clear(k.y.root.value)
		k.pairs(k.x.root.value, k.y.root.value, addIfAny)
		return
	}
	k.pairs(k.y.root.value, k.x.root.value, copyOrClear)
}

func (k *gather) backward() {
	dx, add := k.x.gradient()
	switch {
	case dx == nil:
	case k.scatter && add:
		k.pairs(dx, k.y.root.grad, func(to, from []float32) {
			if from != nil {
				addTo(to, from)
			}
		})
	case k.scatter:
		k.pairs(dx, k.y.root.grad, copyOrClear)
	default:
		if !add {
			clear(dx)
		}
		k.pairs(k.y.root.grad, dx, addIfAny)
	}
}

// pick takes one value of each row.
type pick struct {
	x, y  *Node
	index *Ints
}

// Pick returns x[i, index[i]] of every row of x [N, K]. Numbers outside the row give zero.
func (g *Graph) Pick(x *Node, index *Ints) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) != 2 || x.shape[0] != len(index.Values) {
		return g.fail("pick: %d indices for shape %v", len(index.Values), x.shape)
	}
	k := &pick{x: x, y: g.node(x.shape[0]), index: index}
	return g.add(operation{name: "pick", in: []*Node{x}, out: k.y}, k)
}

func (k *pick) forward() {
	x, y, w := k.x.root.value, k.y.root.value, k.x.width()
	for i, at := range k.index.Values {
		y[i] = 0
		if at >= 0 && int(at) < w {
			y[i] = x[i*w+int(at)]
		}
	}
}

func (k *pick) backward() {
	dx, add := k.x.gradient()
	if dx == nil {
		return
	}
	if !add {
		clear(dx)
	}
	d, w := k.y.root.grad, k.x.width()
	for i, at := range k.index.Values {
		if at >= 0 && int(at) < w {
			dx[i*w+int(at)] += d[i]
		}
	}
}
