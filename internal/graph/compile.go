package graph

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Program is a graph made ready to run: what the outputs do not need is left out, what is constant is computed, normalisations
// are folded into the convolutions before them and activations joined to them. It is safe for concurrent use.
type Program struct {
	inputs  []string
	outputs []int // slots
	nodes   []step
	slots   int
	given   []int // slots of the inputs
	fixed   map[int]*Tensor
}

// step is a node over numbered values.
type step struct {
	*Node
	op       *operator
	inputs   []int // slots, −1 for an input that is not there
	outputs  []int
	finished []int // slots that nobody needs after this step
	act      activation
}

// activation clips what a convolution or a product puts out; the zero value does nothing.
type activation struct {
	on     bool
	lo, hi float32
}

// Compile makes a program. Errors: ErrGraph with all unknown operators, or with the first value that no node makes.
func Compile(g *Graph) (*Program, error) {
	if unknown := g.Unknown(); len(unknown) > 0 {
		return nil, fmt.Errorf("%w: unknown operators: %s", ErrGraph, strings.Join(unknown, ", "))
	}
	constants := maps.Clone(g.Constants)
	if constants == nil {
		constants = map[string]*Tensor{}
	}
	if err := check(g, constants); err != nil {
		return nil, err
	}
	nodes := needed(g.Nodes, g.Outputs)
	nodes, err := folded(nodes, constants)
	if err != nil {
		return nil, err
	}
	nodes = joinNormalisation(nodes, constants, g.Outputs)
	nodes, acts := joinActivations(nodes, constants, g.Outputs)
	return numbered(g, nodes, acts, constants), nil
}

// check finds values that are used before they are made, and nodes with too few or too many inputs.
func check(g *Graph, constants map[string]*Tensor) error {
	have := map[string]bool{}
	if slices.Contains(g.Inputs, "") || slices.Contains(g.Outputs, "") || len(g.Outputs) == 0 {
		return fmt.Errorf("%w: inputs %q, outputs %q: each needs a name", ErrGraph, g.Inputs, g.Outputs)
	}
	for _, name := range g.Inputs {
		have[name] = true
	}
	for name := range constants {
		have[name] = true
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		o := operators[n.Op]
		if len(n.Inputs) < o.least || len(n.Inputs) > o.most {
			return fmt.Errorf("%w: %s has %d inputs, want %d to %d", ErrGraph, n, len(n.Inputs), o.least, o.most)
		}
		for k, name := range n.Inputs {
			if name == "" && k < o.least {
				return fmt.Errorf("%w: %s lacks input %d", ErrGraph, n, k+1)
			}
			if name != "" && !have[name] {
				return fmt.Errorf("%w: %s reads %q, which nothing before it makes", ErrGraph, n, name)
			}
		}
		for _, name := range n.Outputs {
			have[name] = true
		}
	}
	for _, name := range g.Outputs {
		if !have[name] {
			return fmt.Errorf("%w: nothing makes the output %q", ErrGraph, name)
		}
	}
	return nil
}

func (n *Node) String() string {
	if n.Name == "" && len(n.Outputs) > 0 {
		return fmt.Sprintf("node of %q (%s)", n.Outputs[0], n.Op)
	}
	return fmt.Sprintf("node %q (%s)", n.Name, n.Op)
}

// needed keeps the nodes that the outputs depend on.
func needed(nodes []Node, outputs []string) []Node {
	want := map[string]bool{}
	for _, name := range outputs {
		want[name] = true
	}
	var kept []Node
	for _, n := range slices.Backward(nodes) {
		if !slices.ContainsFunc(n.Outputs, func(s string) bool { return want[s] }) {
			continue
		}
		for _, name := range n.Inputs {
			want[name] = true
		}
		kept = append(kept, n)
	}
	slices.Reverse(kept)
	return kept
}

// folded computes the nodes whose inputs are all constant, and forgets them.
func folded(nodes []Node, constants map[string]*Tensor) ([]Node, error) {
	var kept []Node
	for _, n := range nodes {
		if slices.ContainsFunc(n.Inputs, func(s string) bool { return s != "" && constants[s] == nil }) {
			kept = append(kept, n)
			continue
		}
		in := make([]*Tensor, len(n.Inputs))
		for k, name := range n.Inputs {
			in[k] = constants[name]
		}
		out, err := run(&step{Node: &n, op: operators[n.Op]}, in, new(Memory))
		if err != nil {
			return nil, err
		}
		for k, name := range n.Outputs {
			if name != "" && k < len(out) {
				out[k].memory = nil
				constants[name] = out[k]
			}
		}
	}
	return kept, nil
}

// only returns the index of the one node that reads a value, −1 when there are several or the value is an output.
func only(nodes []Node, value string, outputs []string) int {
	if slices.Contains(outputs, value) {
		return -1
	}
	at := -1
	for i, n := range nodes {
		for _, name := range n.Inputs {
			if name == value && at >= 0 {
				return -1
			}
			if name == value {
				at = i
			}
		}
	}
	return at
}

// joinNormalisation folds BatchNormalization into the Conv that feeds it and nobody else.
func joinNormalisation(nodes []Node, constants map[string]*Tensor, outputs []string) []Node {
	gone := map[int]bool{}
	for i := range nodes {
		n := &nodes[i]
		if n.Op != "Conv" {
			continue
		}
		at := only(nodes, n.Outputs[0], outputs)
		if at < 0 || nodes[at].Op != "BatchNormalization" || nodes[at].Inputs[0] != n.Outputs[0] || len(used(nodes[at].Outputs)) != 1 {
			continue
		}
		w, b, ok := foldedConv(n, &nodes[at], constants)
		if !ok {
			continue
		}
		weight, bias := n.Outputs[0]+"\x00weight", n.Outputs[0]+"\x00bias" // no file has such names
		constants[weight], constants[bias] = w, b
		joined := *n
		joined.Inputs = []string{n.Inputs[0], weight, bias}
		joined.Outputs = nodes[at].Outputs[:1]
		nodes[at], gone[i] = joined, true
	}
	return without(nodes, gone)
}

func used(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" })
}

// foldedConv scales a convolution's weights by what a normalisation multiplies each channel with, and moves its bias.
func foldedConv(conv, norm *Node, constants map[string]*Tensor) (weight, bias *Tensor, ok bool) {
	w := constants[conv.Inputs[1]]
	if w == nil || w.Type != Float || len(w.Shape) < 3 || len(norm.Inputs) < 5 {
		return nil, nil, false
	}
	m := w.Shape[0]
	var stats [4][]float32 // scale, shift, mean, variance
	for k := range stats {
		t := constants[norm.Inputs[k+1]]
		if t == nil || t.Type != Float || t.Len() != m {
			return nil, nil, false
		}
		stats[k] = t.Floats
	}
	old := make([]float32, m)
	if len(conv.Inputs) > 2 && conv.Inputs[2] != "" {
		t := constants[conv.Inputs[2]]
		if t == nil || t.Type != Float || t.Len() != m {
			return nil, nil, false
		}
		old = t.Floats
	}
	epsilon := norm.float("epsilon", 1e-5)
	weights, biases := make([]float32, w.Len()), make([]float32, m)
	each := w.Len() / m
	for c := range m {
		factor := float64(stats[0][c]) / math.Sqrt(float64(stats[3][c])+float64(epsilon))
		biases[c] = float32((float64(old[c])-float64(stats[2][c]))*factor + float64(stats[1][c]))
		for i, v := range w.Floats[c*each : (c+1)*each] {
			weights[c*each+i] = float32(float64(v) * factor)
		}
	}
	return Floats(weights, w.Shape...), Floats(biases, m), true
}

func without(nodes []Node, gone map[int]bool) []Node {
	var kept []Node
	for i, n := range nodes {
		if !gone[i] {
			kept = append(kept, n)
		}
	}
	return kept
}

// joinActivations lets Conv, Gemm and Add do the Relu or Clip that follows them. acts has an entry a node.
func joinActivations(nodes []Node, constants map[string]*Tensor, outputs []string) ([]Node, []activation) {
	gone, acts := map[int]bool{}, make([]activation, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		if !operators[n.Op].clips {
			continue
		}
		at := only(nodes, n.Outputs[0], outputs)
		if at < 0 || nodes[at].Inputs[0] != n.Outputs[0] {
			continue
		}
		act, ok := clipOf(&nodes[at], constants)
		if !ok {
			continue
		}
		joined := *n
		joined.Outputs = nodes[at].Outputs
		nodes[at], acts[at], gone[i] = joined, act, true
	}
	var kept []activation
	for i, a := range acts {
		if !gone[i] {
			kept = append(kept, a)
		}
	}
	return without(nodes, gone), kept
}

// clipOf reads a node as an activation between constant limits.
func clipOf(n *Node, constants map[string]*Tensor) (activation, bool) {
	inf := float32(math.Inf(1))
	switch n.Op {
	case "Relu":
		return activation{true, 0, inf}, true
	case "Clip":
		a := activation{true, n.float("min", -inf), n.float("max", inf)}
		for k, limit := range []*float32{&a.lo, &a.hi} {
			if len(n.Inputs) <= k+1 || n.Inputs[k+1] == "" {
				continue
			}
			t := constants[n.Inputs[k+1]]
			if t == nil || t.Type != Float || t.Len() != 1 {
				return a, false
			}
			*limit = t.Floats[0]
		}
		return a, true
	}
	return activation{}, false
}

// numbered gives every value a slot and finds out when it is last needed.
func numbered(g *Graph, nodes []Node, acts []activation, constants map[string]*Tensor) *Program {
	p := &Program{inputs: g.Inputs, fixed: map[int]*Tensor{}}
	slot := map[string]int{}
	number := func(name string) int {
		if name == "" {
			return -1
		}
		s, ok := slot[name]
		if !ok {
			s = p.slots
			slot[name] = s
			p.slots++
			if t := constants[name]; t != nil {
				p.fixed[s] = t
			}
		}
		return s
	}
	for _, name := range g.Inputs {
		p.given = append(p.given, number(name))
	}
	last := map[int]int{}
	for i := range nodes {
		s := step{Node: &nodes[i], op: operators[nodes[i].Op], act: acts[i]}
		for _, name := range s.Node.Inputs {
			s.inputs = append(s.inputs, number(name))
		}
		for _, name := range s.Node.Outputs {
			s.outputs = append(s.outputs, number(name))
		}
		for _, v := range slices.Concat(s.inputs, s.outputs) {
			last[v] = i
		}
		p.nodes = append(p.nodes, s)
	}
	for _, name := range g.Outputs {
		p.outputs = append(p.outputs, number(name))
	}
	for _, v := range slices.Sorted(maps.Keys(last)) {
		if v >= 0 && p.fixed[v] == nil && !slices.Contains(p.outputs, v) && !slices.Contains(p.given, v) {
			p.nodes[last[v]].finished = append(p.nodes[last[v]].finished, v)
		}
	}
	return p
}
