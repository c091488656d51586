package net

import (
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// transpose reorders axes.
type transpose struct {
	x, y     *Node
	size     []int // of the output's axes
	stride   []int // in x, by the output's axes
	run, der func(lo, hi int)
	dx       []float32
	add      bool
}

// Transpose reorders axes: axis i of the result is axis order[i] of x.
func (g *Graph) Transpose(x *Node, order ...int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	sorted := slices.Sorted(slices.Values(order))
	for i, a := range sorted {
		if a != i || len(sorted) != len(x.shape) {
			return g.fail("transpose: order %v for shape %v", order, x.shape)
		}
	}
	if len(sorted) != len(x.shape) {
		return g.fail("transpose: order %v for shape %v", order, x.shape)
	}
	strides := make([]int, len(order))
	for i, s := len(order)-1, 1; i >= 0; i-- {
		strides[i], s = s, s*x.shape[i]
	}
	k := &transpose{x: x}
	for _, a := range order {
		k.size, k.stride = append(k.size, x.shape[a]), append(k.stride, strides[a])
	}
	k.y = g.node(k.size...)
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: "transpose", in: []*Node{x}, out: k.y}, k)
}

func (k *transpose) width() int {
	if len(k.size) == 0 {
		return 1
	}
	return k.size[len(k.size)-1]
}

// at returns where in x the output's row begins.
func (k *transpose) at(row int) int {
	from := 0
	for i := len(k.size) - 2; i >= 0; i-- {
		from += row % k.size[i] * k.stride[i]
		row /= k.size[i]
	}
	return from
}

func (k *transpose) forward() {
	w := k.width()
	num.Parallel(k.y.Size()/w, max(1, elementGrain/w), k.run)
}

func (k *transpose) step() int {
	if len(k.stride) == 0 {
		return 1
	}
	return k.stride[len(k.stride)-1]
}

func (k *transpose) forwardRange(lo, hi int) {
	x, y, w, step := k.x.root.value, k.y.root.value, k.width(), k.step()
	for row := lo; row < hi; row++ {
		to, from := y[row*w:row*w+w], k.at(row)
		if step == 1 {
			copy(to, x[from:])
			continue
		}
		for j := range to {
			to[j] = x[from+j*step]
		}
	}
}

func (k *transpose) backward() {
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		w := k.width()
		num.Parallel(k.y.Size()/w, max(1, elementGrain/w), k.der)
	}
}

func (k *transpose) backwardRange(lo, hi int) {
	dy, w, step := k.y.root.grad, k.width(), k.step()
	for row := lo; row < hi; row++ {
		d, to := dy[row*w:row*w+w], k.at(row)
		switch {
		case step == 1 && !k.add:
			copy(k.dx[to:], d)
		case step == 1:
			addTo(k.dx[to:to+w], d)
		case !k.add:
			for j, v := range d {
				k.dx[to+j*step] = v
			}
		default:
			for j, v := range d {
				k.dx[to+j*step] += v
			}
		}
	}
}

// pieces joins tensors along an axis, or cuts one out of a tensor: rows of the longer tensor hold those of the shorter ones.
type pieces struct {
	parts []*Node
	whole *Node
	join  bool  // parts make whole; else whole is the input
	at    []int // of each part in a row of whole
	width []int // of each part
	row   int   // width of whole
	rows  int
}

// axisOf resolves an axis counted from 0 or from −1.
func axisOf(axis int, shape []int) (int, bool) {
	if axis < 0 {
		axis += len(shape)
	}
	return axis, axis >= 0 && axis < len(shape)
}

// Concat joins tensors along an axis; other axes are alike.
func (g *Graph) Concat(axis int, parts ...*Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(parts) == 0 {
		return g.fail("concat: nothing to join")
	}
	a, ok := axisOf(axis, parts[0].shape)
	if !ok {
		return g.fail("concat: axis %d of shape %v", axis, parts[0].shape)
	}
	shape := slices.Clone(parts[0].shape)
	k := &pieces{parts: parts, join: true, rows: sizeOf(shape[:a])}
	shape[a] = 0
	for _, p := range parts {
		same := len(p.shape) == len(shape)
		for i := range shape {
			same = same && (i == a || p.shape[i] == shape[i])
		}
		if !same {
			return g.fail("concat along axis %d: shapes %s", axis, shapes(parts...))
		}
		shape[a] += p.shape[a]
		k.at, k.width = append(k.at, k.row), append(k.width, sizeOf(p.shape[a:]))
		k.row += sizeOf(p.shape[a:])
	}
	k.whole = g.node(shape...)
	return g.add(operation{name: "concat", in: parts, out: k.whole}, k)
}

// Slice takes from ≤ i < to of an axis.
func (g *Graph) Slice(x *Node, axis, from, to int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	a, ok := axisOf(axis, x.shape)
	if !ok || from < 0 || to > x.shape[a] || from >= to {
		return g.fail("slice: %d to %d of axis %d of shape %v", from, to, axis, x.shape)
	}
	shape := slices.Clone(x.shape)
	shape[a] = to - from
	y, inner := g.node(shape...), sizeOf(x.shape[a+1:])
	k := &pieces{parts: []*Node{y}, whole: x, rows: sizeOf(shape[:a]), at: []int{from * inner}, width: []int{(to - from) * inner}, row: x.shape[a] * inner}
	return g.add(operation{name: "slice", in: []*Node{x}, out: y}, k)
}

// Pad adds zeros before and after along an axis.
func (g *Graph) Pad(x *Node, axis, before, after int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	a, ok := axisOf(axis, x.shape)
	if !ok || before < 0 || after < 0 {
		return g.fail("pad: %d and %d on axis %d of shape %v", before, after, axis, x.shape)
	}
	shape := slices.Clone(x.shape)
	shape[a] += before + after
	y, inner := g.node(shape...), sizeOf(x.shape[a+1:])
	k := &pieces{parts: []*Node{x}, whole: y, join: true, rows: sizeOf(shape[:a]), at: []int{before * inner}, width: []int{x.shape[a] * inner}, row: shape[a] * inner}
	return g.add(operation{name: "pad", in: []*Node{x}, out: y}, k)
}

func (k *pieces) forward() {
	w := k.whole.root.value
	if k.join && len(k.parts) == 1 {
		clear(w)
	}
	for i, p := range k.parts {
		v, n := p.root.value, k.width[i]
		for r := range k.rows {
			in, out := v[r*n:r*n+n], w[r*k.row+k.at[i]:][:n]
			if k.join {
				copy(out, in)
			} else {
				copy(in, out)
			}
		}
	}
}

func (k *pieces) backward() {
	if !k.join {
		dx, add := k.whole.gradient()
		if dx == nil {
			return
		}
		if !add {
			clear(dx)
		}
		d, n := k.parts[0].root.grad, k.width[0]
		for r := range k.rows {
			addTo(dx[r*k.row+k.at[0]:][:n], d[r*n:r*n+n])
		}
		return
	}
	d := k.whole.root.grad
	for i, p := range k.parts {
		dx, add := p.gradient()
		if dx == nil {
			continue
		}
		n := k.width[i]
		for r := range k.rows {
			if from := d[r*k.row+k.at[i]:][:n]; add {
				addTo(dx[r*n:r*n+n], from)
			} else {
				copy(dx[r*n:], from)
			}
		}
	}
}
