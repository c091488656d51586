package net

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
)

// Program is a graph with memory, ready to run. One program runs one pass at a time; programs of one parameter set may
// run forward at the same time, backward only when their parameters are lent ([Params.Lend]).
type Program struct {
	graph *Graph
	ops   []*operation
	loss  *Node // nil: inference
	bytes int
}

// Infer returns a program that computes the outputs.
func (g *Graph) Infer(outputs ...*Node) (*Program, error) { return g.compile(nil, outputs) }

// Train returns a program that computes a loss, a single value, and its gradient. Values of outputs can be read after
// Forward. Errors: the first operation that did not fit; a loss that is not one value or that no parameter moves.
func (g *Graph) Train(loss *Node, outputs ...*Node) (*Program, error) {
	switch {
	case g.err != nil:
		return nil, g.err
	case loss.Size() != 1:
		return nil, fmt.Errorf("net: the loss has shape %v, not one value", loss.shape)
	case !loss.needs:
		return nil, fmt.Errorf("net: the loss does not depend on any parameter that is not frozen")
	}
	return g.compile(loss, append(outputs, loss))
}

// lifetime says from which to which moment a buffer is in use. Forward of operation i is at i, its backward at 2n−1−i.
type lifetime struct{ from, to int }

func (l *lifetime) use(at int) {
	if l.from < 0 {
		l.from = at
	}
	l.to = max(l.to, at)
}

// compile works out how long every tensor lives and gives buffers out, so that those that do not live together share one.
func (g *Graph) compile(loss *Node, outputs []*Node) (*Program, error) {
	if g.err != nil {
		return nil, g.err
	}
	p := &Program{graph: g, ops: g.ops, loss: loss}
	if loss == nil {
		p.ops = g.folded(outputs)
	}
	n := len(p.ops)
	end := 2 * n
	for _, o := range outputs {
		o.root.own = true
	}
	var all []*Node
	seen := map[*Node]bool{}
	touch := func(x *Node, at int) {
		if r := x.root; !seen[r] {
			seen[r] = true
			r.buffer = [2]lifetime{{-1, -1}, {-1, -1}}
			all = append(all, r)
		}
		x.root.buffer[0].use(at)
	}
	for i, o := range p.ops {
		back := i
		if loss != nil && o.out.needs {
			back = end - 1 - i
		}
		for _, x := range o.in {
			touch(x, i)
			if o.keepIn {
				touch(x, back)
			}
		}
		touch(o.out, i)
		if o.keepOut {
			touch(o.out, back)
		}
		for _, s := range o.saved {
			touch(s, i)
			touch(s, back)
		}
	}
	if loss != nil {
		loss.root.buffer[1].use(n)
		for i := n - 1; i >= 0; i-- {
			o := p.ops[i]
			if !o.out.needs {
				continue
			}
			for _, x := range append(slices.Clone(o.in), o.out) {
				if x.needs && x.root.param == nil {
					x.root.buffer[1].use(end - 1 - i)
				}
			}
		}
	}
	p.allot(all, end)
	return p, nil
}

// block is a buffer that tensors share in turn.
type block struct{ size, free int }

// allot gives every tensor its buffers.
func (p *Program) allot(all []*Node, end int) {
	type request struct {
		node *Node
		kind int // value or gradient
		lifetime
	}
	var requests []request
	for _, n := range all {
		for kind, l := range n.buffer {
			switch {
			case l.from < 0 || kind == 0 && n.param != nil:
			case kind == 0 && n.own, kind == 1 && slices.Contains(p.graph.inputs, n):
				size := n.Size()
				p.bytes += 4 * size
				if kind == 1 {
					n.grad = make([]float32, size)
				} else if n.value == nil {
					n.value = make([]float32, size)
				}
			default:
				requests = append(requests, request{n, kind, l})
			}
		}
	}
	slices.SortStableFunc(requests, func(a, b request) int { return cmp.Compare(a.from, b.from) })
	// A buffer that ends where an operation in place begins goes on as its output.
	inherit := map[*Node]*Node{}
	for i, o := range p.ops {
		if !o.inPlace || o.keepIn {
			continue
		}
		x, y := o.in[0].root, o.out.root
		if !x.own && x.param == nil && x.buffer[0].to == i && y.buffer[0].from == i {
			inherit[y] = x
		}
	}
	back := map[*Node]*Node{}
	for i, o := range p.ops {
		at := end - 1 - i
		if !o.inPlace || !o.in[0].needs {
			continue
		}
		x, y := o.in[0].root, o.out.root
		if y.buffer[1].to == at && x.buffer[1].from == at && !slices.Contains(p.graph.inputs, y) {
			back[x] = y
		}
	}
	var blocks []block
	given := map[*Node][2]int{}
	for _, r := range requests {
		size, best := r.node.Size(), -1
		donor := inherit[r.node]
		if r.kind == 1 {
			donor = back[r.node]
		}
		if donor != nil {
			if b, ok := given[donor]; ok && b[r.kind] >= 0 && blocks[b[r.kind]].size >= size {
				best = b[r.kind]
			}
		}
		if best < 0 {
			for i, b := range blocks {
				switch {
				case b.free >= r.from:
				case best < 0, b.size >= size && (blocks[best].size < size || b.size < blocks[best].size), b.size < size && blocks[best].size < b.size:
					best = i
				}
			}
		}
		if best < 0 {
			best = len(blocks)
			blocks = append(blocks, block{})
		}
		blocks[best].size = max(blocks[best].size, size)
		blocks[best].free = r.to
		b, ok := given[r.node]
		if !ok {
			b = [2]int{-1, -1}
		}
		b[r.kind] = best
		given[r.node] = b
	}
	memory := make([][]float32, len(blocks))
	for i, b := range blocks {
		memory[i] = make([]float32, b.size)
		p.bytes += 4 * b.size
	}
	for n, b := range given {
		if b[0] >= 0 {
			n.value = memory[b[0]][:n.Size()]
		}
		if b[1] >= 0 {
			n.grad = memory[b[1]][:n.Size()]
		}
	}
}

// Bytes is the memory of inputs, activations and their gradients, without parameters and scratch.
func (p *Program) Bytes() int { return p.bytes }

// Forward computes all nodes.
func (p *Program) Forward() {
	for _, o := range p.ops {
		o.forward()
	}
}

// Loss returns the loss of the last forward pass.
func (p *Program) Loss() float64 {
	last := p.ops[len(p.ops)-1]
	if k, ok := last.kernel.(*crossEntropy); ok && last.out == p.loss {
		return k.exact
	}
	return float64(p.loss.root.value[0])
}

// Backward adds the gradient of the loss of the last forward pass to the parameters' gradients, and sets that of variables.
func (p *Program) Backward() {
	g := p.graph
	for _, o := range p.ops {
		for _, x := range o.in {
			x.root.fresh = true
		}
		o.out.root.fresh = true
	}
	p.loss.root.grad[0], p.loss.root.fresh = 1, false
	for i := len(p.ops) - 1; i >= 0; i-- {
		o := p.ops[i]
		if !o.out.needs {
			continue
		}
		if o.out.root.fresh { // it has no part in the loss
			clear(o.out.root.grad)
			o.out.root.fresh = false
		}
		o.backward()
	}
	for _, x := range g.inputs {
		if x.needs && x.fresh {
			clear(x.grad)
		}
	}
}

// FirstNonFinite runs forward once more and names the first tensor that holds a value that is not finite, an input, a
// parameter or an operation's output; empty when there is none.
func (p *Program) FirstNonFinite() string {
	g := p.graph
	for _, x := range g.inputs {
		if !finite(x.value) {
			return x.name
		}
	}
	for _, q := range g.params.list {
		if !finite(q.Values) {
			return "parameter " + q.Name
		}
	}
	for _, o := range p.ops {
		o.forward()
		if !finite(o.out.root.value) {
			return o.out.name
		}
	}
	return ""
}

func finite(x []float32) bool {
	for _, v := range x {
		if w := float64(v); math.IsNaN(w) || math.IsInf(w, 0) {
			return false
		}
	}
	return true
}

// pool is scratch memory that tasks of an operation take and give back.
type pool struct {
	mu   sync.Mutex
	free []*scratch
}

type scratch struct{ values []float32 }

// take returns n values of undefined content.
func (p *pool) take(n int) *scratch {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, s := range p.free {
		if cap(s.values) >= n && (best < 0 || cap(s.values) < cap(p.free[best].values)) {
			best = i
		}
	}
	if best < 0 {
		return &scratch{make([]float32, n)}
	}
	s := p.free[best]
	last := len(p.free) - 1
	p.free[best] = p.free[last]
	p.free = p.free[:last]
	s.values = s.values[:n]
	return s
}

func (p *pool) give(s *scratch) {
	p.mu.Lock()
	p.free = append(p.free, s)
	p.mu.Unlock()
}
