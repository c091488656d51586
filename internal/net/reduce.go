package net

import (
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// reduction sums, or takes the largest, over the middle axis of x seen as [outer, length, inner].
type reduction struct {
	x, y                 *Node
	outer, length, inner int
	scale                float32
	largest              *Node // index of the largest; nil: a sum
	run, der             func(lo, hi int)
	dx                   []float32
	add                  bool
}

// reduce reduces axes, which are numbered from 0 or, from the last, from −1; no axes: all of them. Reduced axes are left
// out of the shape, or are of size one if kept.
func (g *Graph) reduce(name string, x *Node, kept, largest bool, axes []int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	gone := make([]bool, len(x.shape))
	for _, a := range axes {
		if a < 0 {
			a += len(x.shape)
		}
		if a < 0 || a >= len(x.shape) || gone[a] {
			return g.fail("%s: axes %v of a tensor of shape %v", name, axes, x.shape)
		}
		gone[a] = true
	}
	if len(axes) == 0 {
		for i := range gone {
			gone[i] = true
		}
	}
	shape, y := slices.Clone(x.shape), x
	for to := len(gone); to > 0; {
		from := to - 1
		if !gone[from] {
			to--
			continue
		}
		for from > 0 && gone[from-1] {
			from--
		}
		k := &reduction{x: y, outer: sizeOf(shape[:from]), length: sizeOf(shape[from:to]), inner: sizeOf(shape[to:]), scale: 1}
		for i := from; i < to; i++ {
			shape[i] = 1
		}
		k.y = g.node(shape...)
		k.run, k.der = k.forwardRange, k.backwardRange
		o := operation{name: name, in: []*Node{y}, out: k.y}
		if largest {
			k.largest = g.node(shape...)
			o.saved = []*Node{k.largest}
		}
		y = g.add(o, k)
		to = from
	}
	if kept {
		return y
	}
	var rest []int
	for i, s := range x.shape {
		if !gone[i] {
			rest = append(rest, s)
		}
	}
	return g.Reshape(y, rest...)
}

// tasks is how the output is cut: by outer index, or by inner one where there is one outer.
func (k *reduction) parallel(f func(lo, hi int)) {
	work := k.length * k.inner
	num.Parallel(k.outer, max(1, elementGrain/work), f)
}

func (k *reduction) forward() { k.parallel(k.run) }

func (k *reduction) forwardRange(lo, hi int) {
	x, y := k.x.root.value, k.y.root.value
	for o := lo; o < hi; o++ {
		in, out := x[o*k.length*k.inner:(o+1)*k.length*k.inner], y[o*k.inner:(o+1)*k.inner]
		switch {
		case k.largest != nil:
			at := k.largest.root.value[o*k.inner : (o+1)*k.inner]
			copy(out, in)
			clear(at)
			for r := 1; r < k.length; r++ {
				for i, v := range in[r*k.inner : (r+1)*k.inner] {
					if v > out[i] {
						out[i], at[i] = v, float32(r)
					}
				}
			}
		case k.inner == 1:
			out[0] = float32(sumOf(in))
		default:
			copy(out, in)
			for r := 1; r < k.length; r++ {
				addTo(out, in[r*k.inner:(r+1)*k.inner])
			}
		}
	}
}

func (k *reduction) backward() {
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		k.parallel(k.der)
	}
}

func (k *reduction) backwardRange(lo, hi int) {
	dy := k.y.root.grad
	for o := lo; o < hi; o++ {
		to, d := k.dx[o*k.length*k.inner:(o+1)*k.length*k.inner], dy[o*k.inner:(o+1)*k.inner]
		if k.largest != nil {
			if !k.add {
				clear(to)
			}
			for i, at := range k.largest.root.value[o*k.inner : (o+1)*k.inner] {
				to[int(at)*k.inner+i] += d[i]
			}
			continue
		}
		switch {
		case k.inner == 1 && !k.add:
			fill(to, d[0])
		case k.inner == 1:
			for i := range to {
				to[i] += d[0]
			}
		default:
			for r := range k.length {
				if row := to[r*k.inner : (r+1)*k.inner]; k.add {
					addTo(row, d)
				} else {
					copy(row, d)
				}
			}
		}
	}
}

// Sum adds up over axes; over all, to a tensor of no axes, when none is named. Axes count from 0, or from −1 for the last.
func (g *Graph) Sum(x *Node, axes ...int) *Node { return g.reduce("sum", x, false, false, axes) }

// SumKept is Sum with reduced axes left in at size one.
func (g *Graph) SumKept(x *Node, axes ...int) *Node { return g.reduce("sum", x, true, false, axes) }

// Mean averages over axes, as Sum adds up.
func (g *Graph) Mean(x *Node, axes ...int) *Node { return g.mean(x, g.Sum(x, axes...)) }

// MeanKept is Mean with reduced axes left in at size one.
func (g *Graph) MeanKept(x *Node, axes ...int) *Node { return g.mean(x, g.SumKept(x, axes...)) }

func (g *Graph) mean(x, sum *Node) *Node {
	return g.Scale(sum, float64(sum.Size())/float64(x.Size()), 0)
}

// Max takes the largest over axes, as Sum adds up; of equal ones the first gets the gradient.
func (g *Graph) Max(x *Node, axes ...int) *Node { return g.reduce("max", x, false, true, axes) }

// sumRowsBlock is how many rows are added up one after the other before their sum joins the others'.
const sumRowsBlock = 256

// columnSums adds up rows, with a fixed order of sums. It is the gradient of whatever is added to every row.
type columnSums struct {
	g          *Graph
	src        []float32
	rows, cols int
	part       []float32
	run        func(lo, hi int)
}

func (g *Graph) columnSums() *columnSums {
	k := &columnSums{g: g}
	k.run = k.blockRange
	return k
}

// sum writes the sums of the columns of a rows×cols matrix to dst, or adds them.
func (k *columnSums) sum(dst, src []float32, rows, cols int, add bool) {
	k.src, k.rows, k.cols = src, rows, cols
	blocks := (rows + sumRowsBlock - 1) / sumRowsBlock
	if !add {
		clear(dst)
	}
	if blocks == 1 {
		for r := range rows {
			addTo(dst, src[r*cols:r*cols+cols])
		}
		return
	}
	s := k.g.scratch.take(blocks * cols)
	k.part = s.values
	num.Parallel(blocks, max(1, elementGrain/(sumRowsBlock*cols)), k.run)
	for b := range blocks {
		addTo(dst, k.part[b*cols:(b+1)*cols])
	}
	k.g.scratch.give(s)
}

func (k *columnSums) blockRange(lo, hi int) {
	for b := lo; b < hi; b++ {
		to := k.part[b*k.cols : (b+1)*k.cols]
		from, end := b*sumRowsBlock, min((b+1)*sumRowsBlock, k.rows)
		copy(to, k.src[from*k.cols:])
		for r := from + 1; r < end; r++ {
			addTo(to, k.src[r*k.cols:(r+1)*k.cols])
		}
	}
}
