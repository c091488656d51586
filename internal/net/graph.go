// Package net trains and runs neural networks: reverse-mode automatic differentiation over float32 tensors.
//
// A [Graph] is built once for a batch size and run many times. Its methods are the operations; they take and return
// nodes and check shapes as they go. [Graph.Train] or [Graph.Infer] turns it into a [Program], which owns all memory:
// buffers are shared between tensors that do not live at the same time, and a step allocates nothing.
//
//	params := net.NewParams(seed)
//	g := net.NewGraph(params)
//	x, labels := g.Input(batch, 784), g.Ints(batch)
//	h := g.ReLU(g.Dense("hidden", x, 512))
//	loss := g.CrossEntropy(g.Dense("out", h, 10), labels, net.Targets{})
//	p, err := g.Train(loss)   // the first error of any operation
//	…
//	copy(x.Value(), rows); copy(labels.Values, classes)
//	p.Forward(); params.ZeroGradients(); p.Backward(); optimiser.Step(params, 1)
//
// [Trainer] does this over epochs, with a held-out part, and from checkpoints.
//
// Images are NHWC, sequences are [rows, steps, width], weights are [out, in]. Values are the same bits on any number of
// threads: every sum has an order that depends on shapes alone.
package net

import (
	"fmt"
	"slices"
	"strings"
)

// Node is a tensor of a graph: an input, a parameter or what an operation puts out.
type Node struct {
	shape  []int
	value  []float32
	grad   []float32
	root   *Node  // whose buffers it uses; itself unless it is a view
	needs  bool   // its gradient is wanted
	fresh  bool   // of a root: its gradient holds nothing yet
	own    bool   // its value has a buffer of its own: input, parameter, output
	name   string // for messages
	param  *Param
	buffer [2]lifetime // of a root: value and gradient
}

// Shape returns the sizes of the axes; do not change it.
func (n *Node) Shape() []int { return n.shape }

// Size is the number of values.
func (n *Node) Size() int { return sizeOf(n.shape) }

// Value returns the values: of an input, to be set before a forward pass; of an output named to [Graph.Train] or
// [Graph.Infer], to be read after it. Other nodes' values are gone when the pass is over.
func (n *Node) Value() []float32 { return n.root.value }

// Gradient returns the derivative of the loss by a [Graph.Variable], valid after a backward pass.
func (n *Node) Gradient() []float32 { return n.root.grad }

func (n *Node) width() int { return n.shape[len(n.shape)-1] }
func (n *Node) rows() int  { return n.Size() / max(n.width(), 1) }

// gradient returns where to put the derivative by n, and whether to add to what is there; nil when none is wanted.
func (n *Node) gradient() (to []float32, add bool) {
	if !n.needs {
		return nil, false
	}
	if p := n.root.param; p != nil {
		if p.gradient == nil {
			p.gradient, p.fresh = make([]float32, len(p.Values)), true
		}
		add, p.fresh = !p.fresh, false
		return p.gradient, add
	}
	add, n.root.fresh = !n.root.fresh, false
	return n.root.grad, add
}

// Ints are whole numbers that a graph reads: labels, indices. Set Values before a forward pass.
type Ints struct{ Values []int32 }

// kernel is an operation's work. backward finds the derivative by the output in out.root.grad.
type kernel interface {
	forward()
	backward()
}

// operation is one line of a graph.
type operation struct {
	kernel
	name    string
	in      []*Node
	out     *Node
	keepIn  bool // backward reads the inputs' values
	keepOut bool // backward reads the output's value
	inPlace bool // the output may take the first input's buffer, and the input's gradient the output's
	saved   []*Node
}

// Graph is a network under construction. The first operation that does not fit its inputs is remembered; Train and Infer
// return it.
type Graph struct {
	// Training turns dropout and batch statistics on. It is read when an operation is added.
	Training bool

	params  *Params
	bound   map[*Param]*Node
	inputs  []*Node
	ops     []*operation
	err     error
	scratch pool
	noise   noise
	dead    *Node // stands for results of operations that do not fit
}

// NewGraph starts a graph over parameters. It is in training mode.
func NewGraph(params *Params) *Graph {
	return &Graph{Training: true, params: params, bound: map[*Param]*Node{}}
}

// Params returns the parameters that the graph is over.
func (g *Graph) Params() *Params { return g.params }

// Err returns the first error so far.
func (g *Graph) Err() error { return g.err }

// fail remembers an error and returns a node that later operations accept.
func (g *Graph) fail(format string, args ...any) *Node {
	if g.err == nil {
		g.err = fmt.Errorf("net: "+format, args...)
	}
	if g.dead == nil {
		g.dead = &Node{shape: []int{1, 1, 1, 1}}
		g.dead.root = g.dead
	}
	return g.dead
}

// Input adds a tensor that the caller sets before each pass.
func (g *Graph) Input(shape ...int) *Node {
	for _, s := range shape {
		if s <= 0 {
			return g.fail("input of shape %v", shape)
		}
	}
	n := &Node{shape: slices.Clone(shape), own: true, name: fmt.Sprintf("input %d", len(g.inputs)), value: make([]float32, sizeOf(shape))}
	n.root = n
	g.inputs = append(g.inputs, n)
	return n
}

// Constant is an input that stays as it is.
func (g *Graph) Constant(values []float32, shape ...int) *Node {
	if g.err == nil && sizeOf(shape) != len(values) {
		return g.fail("constant: %d values of shape %v", len(values), shape)
	}
	n := g.Input(shape...)
	copy(n.value, values)
	return n
}

// Variable is an input by which the loss is differentiated too.
func (g *Graph) Variable(shape ...int) *Node {
	n := g.Input(shape...)
	n.needs = true
	return n
}

// Inputs lists the inputs, variables and constants in the order in which they were added.
func (g *Graph) Inputs() []*Node { return g.inputs }

// Ints adds n whole numbers that the caller sets before each pass.
func (g *Graph) Ints(n int) *Ints { return &Ints{Values: make([]int32, max(n, 0))} }

// Param returns the parameter of a name, making it with init if the set has none.
func (g *Graph) Param(name string, init Init, shape ...int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	p := g.params.Get(name)
	if p == nil {
		for _, s := range shape {
			if s <= 0 {
				return g.fail("parameter %q of shape %v", name, shape)
			}
		}
		p = g.params.draw(name, init, shape)
	}
	if !slices.Equal(p.Shape, shape) {
		return g.fail("parameter %q is %v, the network wants %v", name, p.Shape, shape)
	}
	n := g.bound[p]
	if n == nil {
		n = &Node{shape: p.Shape, value: p.Values, own: true, name: "parameter " + name, param: p, needs: g.Training && !p.Frozen && !p.statistic}
		n.root = n
		g.bound[p] = n
	}
	return n
}

// statistic returns a parameter that forward passes write, such as a running mean.
func (g *Graph) statistic(name string, first float32, size int) *Param {
	n := g.Param(name, Constant(first), size)
	if g.err != nil {
		return &Param{Values: make([]float32, size)}
	}
	n.param.statistic, n.needs = true, false
	return n.param
}

// add appends an operation whose output has the given shape and whose kernel is filled in by the caller.
func (g *Graph) add(o operation, k kernel) *Node {
	o.kernel = k
	o.out.name = o.name
	for _, n := range o.in {
		o.out.needs = o.out.needs || n.needs
	}
	if p := parameterOf(o.in); p != "" {
		o.out.name += " (" + p + ")"
	}
	g.ops = append(g.ops, &o)
	return o.out
}

// parameterOf names the first parameter among inputs.
func parameterOf(in []*Node) string {
	for _, n := range in {
		if n.root.param != nil {
			return n.root.param.Name
		}
	}
	return ""
}

// node returns a tensor for an operation to put out or to keep for its backward pass.
func (g *Graph) node(shape ...int) *Node {
	n := &Node{shape: slices.Clone(shape)}
	n.root = n
	return n
}

// view returns the same values in another shape.
func (g *Graph) view(n *Node, shape []int) *Node {
	return &Node{shape: slices.Clone(shape), root: n.root, needs: n.needs, name: n.name}
}

// Reshape returns the same values in another shape, of which one size may be −1: what is left.
func (g *Graph) Reshape(x *Node, shape ...int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	s := slices.Clone(shape)
	if i := slices.Index(s, -1); i >= 0 {
		s[i] = 1
		if rest := sizeOf(s); rest > 0 && x.Size()%rest == 0 {
			s[i] = x.Size() / rest
		}
	}
	if sizeOf(s) != x.Size() || slices.Min(append(s, 1)) < 1 {
		return g.fail("reshape: %v has %d values, %v does not", x.shape, x.Size(), shape)
	}
	return g.view(x, s)
}

// StopGradient returns x as a constant.
func (g *Graph) StopGradient(x *Node) *Node {
	n := g.view(x, x.shape)
	n.needs = false
	return n
}

// shapes writes the shapes of nodes for a message.
func shapes(ns ...*Node) string {
	var s []string
	for _, n := range ns {
		s = append(s, fmt.Sprint(n.shape))
	}
	return strings.Join(s, " and ")
}
