package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// softmax normalises rows, as probabilities or as their logarithms.
type softmax struct {
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
	k := &softmax{x: x, y: g.node(x.shape...), log: log}
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: name, in: []*Node{x}, out: k.y, keepOut: true, inPlace: true}, k)
}

func (k *softmax) forward() {
	num.Parallel(k.x.rows(), max(1, elementGrain/4/k.x.width()), k.run)
}

func (k *softmax) forwardRange(lo, hi int) {
	x, y, w := k.x.root.value, k.y.root.value, k.x.width()
	for i := lo; i < hi; i++ {
		in, out := x[i*w:i*w+w], y[i*w:i*w+w]
		if k.log {
			norm := float32(num.LogSumExp(in))
			for j, v := range in {
				out[j] = v - norm
			}
			continue
		}
		softmaxRow(out, in)
	}
}

// softmaxRow writes e^x/Σe^x; dst may be x. Rows of −Inf alone give zeros.
func softmaxRow(dst, x []float32) {
	top := float32(math.Inf(-1))
	for _, v := range x {
		top = max(top, v)
	}
	if math.IsInf(float64(top), -1) {
		clear(dst)
		return
	}
	sum := 0.0
	for i, v := range x {
		e := exp32(v - top)
		dst[i] = e
		sum += float64(e)
	}
	scale := float32(1 / sum)
	for i := range dst {
		dst[i] *= scale
	}
}

func (k *softmax) backward() {
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(k.x.rows(), max(1, elementGrain/4/k.x.width()), k.der)
	}
}

func (k *softmax) backwardRange(lo, hi int) {
	y, dy, w := k.y.root.value, k.y.root.grad, k.x.width()
	for i := lo; i < hi; i++ {
		p, d, to := y[i*w:i*w+w], dy[i*w:i*w+w], k.dx[i*w:i*w+w]
		sum := float32(total(d))
		if !k.log {
			sum = dot(p, d)
		}
		for j, v := range d {
			var s float32
			if k.log {
				s = v - exp32(p[j])*sum
			} else {
				s = p[j] * (v - sum)
			}
			if k.add {
				s += to[j]
			}
			to[j] = s
		}
	}
}
