package net

import (
	"github.com/gimbal-ml/gimbal/internal/num"
)

// softmax normalises rows, as probabilities or as their logarithms.
type softmax struct {
	g        *Graph
	x, y     *Node
	log      bool
	run, der func(lo, hi int)
	dx       []float32
	add      bool
}

// Softmax returns e^x/Σe^x over the last axis.
func (g *Graph) Softmax(x *Node) *Node { return g.softmax("softmax", x, false) }

// LogSoftmax returns log(e^x/Σe^x) over the last axis.
func (g *Graph) LogSoftmax(x *Node) *Node { return g.softmax("log softmax", x, true) }

func (g *Graph) softmax(name string, x *Node, log bool) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) == 0 {
		return g.fail("%s: a tensor of no axes", name)
	}
	k := &softmax{g: g, x: x, y: g.node(x.shape...), log: log}
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: name, in: []*Node{x}, out: k.y, keepOut: true, inPlace: true}, k)
}

// rowsAt is how many rows of a width a kernel is given at a time.
func rowsAt(width int) int { return max(1, stretch/width) }

func (k *softmax) forward() {
	w := k.x.width()
	num.Parallel((k.x.rows()+rowsAt(w)-1)/rowsAt(w), 1, k.run)
}

func (k *softmax) forwardRange(lo, hi int) {
	x, y, w := k.x.root.value, k.y.root.value, k.x.width()
	for block := lo; block < hi; block++ {
		from, to := block*rowsAt(w)*w, min((block+1)*rowsAt(w)*w, len(x))
		if k.log {
			num.LogSoftmaxRows(y[from:to], x[from:to], w)
		} else {
			num.SoftmaxRows(y[from:to], x[from:to], w)
		}
	}
}

func (k *softmax) backward() {
	w := k.x.width()
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel((k.x.rows()+rowsAt(w)-1)/rowsAt(w), 1, k.der)
	}
}

func (k *softmax) backwardRange(lo, hi int) {
	y, dy, w := k.y.root.value, k.y.root.grad, k.x.width()
	s := k.g.scratch.take(rowsAt(w) * w)
	defer k.g.scratch.give(s)
	for block := lo; block < hi; block++ {
		from, to := block*rowsAt(w)*w, min((block+1)*rowsAt(w)*w, len(y))
		p, dst := y[from:to], s.values[:to-from]
		if !k.add && !k.log {
			dst = k.dx[from:to]
		}
		if !k.log {
			num.SoftmaxRowsGradient(dst, p, dy[from:to], w)
		} else {
			num.Exp(dst, p)
			for i := 0; i < len(dst); i += w { // dy − e^y·Σdy
				d := dy[from+i : from+i+w]
				num.Blend(dst[i:i+w], float32(-num.Sum(d)), dst[i:i+w], 1, d)
			}
		}
		switch {
		case k.add:
			num.Add(k.dx[from:to], k.dx[from:to], dst)
		case k.log:
			copy(k.dx[from:to], dst)
		}
	}
}
