package continual

import (
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// anchor holds a network's weights near where earlier tasks left them, each by its importance: the penalty is the sum of
// importance·(weight − center)² over all weights. However many tasks it stands for, it is two numbers a weight.
type anchor struct {
	importance, center [][]float64 // for each tensor of a network, in its order and of its size
}

// newAnchor holds nothing yet.
func newAnchor(w *network) *anchor {
	n := len(w.tensors)
	return &anchor{make([][]float64, n), make([][]float64, n)}
}

// grown is the anchor with outputs that came since: nothing holds them.
func (a *anchor) grown(w *network) *anchor {
	next := newAnchor(w)
	for i, t := range w.tensors {
		more := make([]float64, len(t.Values)-len(a.center[i]))
		next.importance[i], next.center[i] = slices.Concat(a.importance[i], more), slices.Concat(a.center[i], more)
	}
	return next
}

// and is the anchor with one more penalty, around the network's weights as they are. Quadratics add into one exactly:
// A·(θ − a)² + B·(θ − b)² is (A + B)·(θ − c)² and a constant, with c the mean of a and b by A and B.
func (a *anchor) and(w *network, importance [][]float64) *anchor {
	next := a.grown(w)
	for i, t := range w.tensors {
		for j, v := range importance[i] {
			if v > 0 {
				next.importance[i][j] += v
				next.center[i][j] += v / next.importance[i][j] * (float64(t.Values[j]) - next.center[i][j])
			}
		}
	}
	return next
}

// around is the anchor with all its importance around the network's weights as they are.
func (a *anchor) around(w *network) *anchor {
	next := newAnchor(w)
	for i, t := range w.tensors {
		next.importance[i] = a.importance[i]
		for _, v := range t.Values {
			next.center[i] = append(next.center[i], float64(v))
		}
	}
	return next
}

// held is strength times the importance of the weights of tensor i, and their centers, in the engine's precision.
func (a *anchor) held(i int, strength float64) (importance, center []float32) {
	for j, v := range a.importance[i] {
		importance = append(importance, float32(min(strength*v, math.MaxFloat32)))
		center = append(center, float32(a.center[i][j]))
	}
	return importance, center
}

// penalty is what schooling adds to the loss of a network that has grown since: strength·importance·(θ − center)². Nil when nothing is held.
func (a *anchor) penalty(w *network, strength float64) func(g *net.Graph, params *net.Params, x, logits *net.Node) *net.Node {
	if w.tasks == 0 {
		return nil
	}
	full := a.grown(w)
	return func(g *net.Graph, _ *net.Params, _, _ *net.Node) *net.Node {
		var sum *net.Node
		for i, t := range w.tensors {
			importance, center := full.held(i, strength)
			miss := g.Sub(g.Param(t.Name, nil, t.Shape...), g.Constant(center, t.Shape...))
			one := g.Sum(g.Mul(g.Constant(importance, t.Shape...), g.Mul(miss, miss)))
			if sum == nil {
				sum = one
			} else {
				sum = g.Add(sum, one)
			}
		}
		return sum
	}
}

func (a *anchor) state(w *network, st *data.Checkpoint) {
	for i, t := range w.tensors {
		st.Tensors["importance."+t.Name] = data.Float64Tensor(a.importance[i], t.Shape...)
		st.Tensors["center."+t.Name] = data.Float64Tensor(a.center[i], t.Shape...)
	}
}

// loadAnchor reads what [anchor.state] wrote, for the network that it holds.
func loadAnchor(w *network, st *data.Checkpoint) (*anchor, error) {
	a, r := newAnchor(w), st.Read()
	for i, t := range w.tensors {
		a.center[i] = r.Floats("center."+t.Name, t.Shape...)
	}
	var err error
	if a.importance, err = loadImportance(w, st, "importance."); err == nil {
		err = r.Err()
	}
	return a, err
}

// loadImportance reads a number for each weight of a network, none below zero.
func loadImportance(w *network, st *data.Checkpoint, prefix string) (all [][]float64, err error) {
	r := st.Read()
	for _, t := range w.tensors {
		v := r.Floats(prefix+t.Name, t.Shape...)
		if r.Err() != nil {
			return nil, r.Err()
		}
		if least := slices.Min(v); least < 0 {
			return nil, fmt.Errorf("%w: tensor %q holds %g, want nothing below 0", data.ErrFormat, prefix+t.Name, least)
		}
		all = append(all, v)
	}
	return all, nil
}
