package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// folded returns the operations of passes without gradient: a normalisation by running statistics that alone reads a
// convolution goes into its weights, and a ReLU that alone reads either into its store. Depthwise convolutions stay as they are.
func (g *Graph) folded(outputs []*Node) []*operation {
	readers := map[*Node][]int{} // of each root
	for i, o := range g.ops {
		for _, x := range o.in {
			readers[x.root] = append(readers[x.root], i)
		}
	}
	for _, o := range outputs {
		readers[o.root] = append(readers[o.root], -1)
	}
	// only returns the operation that alone reads the whole tensor.
	only := func(n *Node) (int, kernel) {
		if r := readers[n.root]; len(r) == 1 && r[0] >= 0 {
			return r[0], g.ops[r[0]].kernel
		}
		return -1, nil
	}
	gone := make([]bool, len(g.ops))
	var ops []*operation
	for i, o := range g.ops {
		if gone[i] {
			continue
		}
		k, ok := o.kernel.(*conv)
		if !ok {
			ops = append(ops, o)
			continue
		}
		joined, op := *k, *o
		if at, next := only(op.out); at >= 0 {
			if b, ok := next.(*batchNorm); ok && !b.training && b.channels == k.out {
				joined.norm, joined.y, op.out, gone[at] = b, b.y, b.y, true
				op.in = append(op.in[:len(op.in):len(op.in)], b.gain, b.shift)
				joined.factor, joined.shift = make([]float32, k.out), make([]float32, k.out)
			}
		}
		if at, next := only(op.out); at >= 0 {
			if u, ok := next.(*unary); ok && u.fn == reluFunction {
				joined.relu, joined.y, op.out, gone[at] = true, u.y, u.y, true
			}
		}
		joined.run = joined.forwardRange
		op.kernel = &joined
		ops = append(ops, &op)
	}
	return ops
}

// foldNorm scales the turned weights by what the normalisation multiplies each channel with, and moves the bias.
func (k *conv) foldNorm() {
	for j, gain := range k.norm.gain.root.value {
		factor := float64(gain) / math.Sqrt(float64(k.norm.runVariance.Values[j])+normEpsilon)
		bias := 0.0
		if k.b != nil {
			bias = float64(k.b.root.value[j])
		}
		k.factor[j] = float32(factor)
		k.shift[j] = float32((bias-float64(k.norm.runMean.Values[j]))*factor + float64(k.norm.shift.root.value[j]))
	}
	out := k.out / k.s.Groups
	for row := range len(k.turned) / out {
		w := k.turned[row*out : (row+1)*out]
		num.Multiply(w, w, k.factor[row/k.depth*out:][:out])
	}
}
