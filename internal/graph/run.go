package graph

import (
	"fmt"
	"slices"
	"sync"
)

// Memory recycles the tensors of one run at a time. The zero value is ready.
type Memory struct {
	free map[int][]*buffer // by capacity, a power of two

	mu     sync.Mutex
	strips [][]float32 // of unrolled images
}

// buffer is memory that several tensors may look at.
type buffer struct {
	floats []float32
	users  int
}

// floats returns n values of undefined content.
func (m *Memory) floats(n int) *buffer {
	size := 64
	for size < n {
		size *= 2
	}
	if list := m.free[size]; len(list) > 0 {
		b := list[len(list)-1]
		m.free[size] = list[:len(list)-1]
		b.users = 1
		return b
	}
	return &buffer{make([]float32, size), 1}
}

func (m *Memory) release(t *Tensor) {
	if t == nil || t.memory == nil {
		return
	}
	if t.memory.users--; t.memory.users == 0 {
		if m.free == nil {
			m.free = map[int][]*buffer{}
		}
		m.free[len(t.memory.floats)] = append(m.free[len(t.memory.floats)], t.memory)
	}
	t.memory = nil
}

// takeStrip returns n values of undefined content, until giveStrip. Threads of one run may ask at the same time.
func (m *Memory) takeStrip(n int) []float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := len(m.strips) - 1; last >= 0 {
		s := m.strips[last]
		m.strips = m.strips[:last]
		if cap(s) >= n {
			return s[:n]
		}
	}
	return make([]float32, n)
}

func (m *Memory) giveStrip(s []float32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.strips = append(m.strips, s)
}

// Run computes the outputs. What it returns is the caller's; inputs are not changed. One Memory serves one run at a time, and makes
// the next one allocate little. Errors: ErrGraph with the node and both shapes.
func (p *Program) Run(m *Memory, inputs ...*Tensor) ([]*Tensor, error) {
	if len(inputs) != len(p.given) {
		return nil, fmt.Errorf("%w: %d inputs given, want %d: %v", ErrGraph, len(inputs), len(p.given), p.inputs)
	}
	values := make([]*Tensor, p.slots)
	for s, t := range p.fixed {
		values[s] = t
	}
	for k, s := range p.given {
		if values[s] == nil {
			values[s] = inputs[k]
		}
	}
	var in []*Tensor
	for i := range p.nodes {
		s := &p.nodes[i]
		in = in[:0]
		for _, v := range s.inputs {
			if v < 0 {
				in = append(in, nil)
				continue
			}
			in = append(in, values[v])
		}
		out, err := run(s, in, m)
		if err != nil {
			return nil, err
		}
		for k, v := range s.outputs {
			if v < 0 {
				continue
			}
			if k >= len(out) {
				return nil, fmt.Errorf("%w: %s: output %d is not made here", ErrGraph, s.Node, k+1)
			}
			values[v] = out[k]
		}
		for k := len(s.outputs); k < len(out); k++ {
			m.release(out[k])
		}
		for _, v := range s.finished {
			m.release(values[v])
			values[v] = nil
		}
	}
	results := make([]*Tensor, len(p.outputs))
	for k, s := range p.outputs {
		t := *values[s]
		t.Shape, t.Floats, t.Ints = slices.Clone(t.Shape), slices.Clone(t.Floats), slices.Clone(t.Ints)
		t.memory = nil
		results[k] = &t
	}
	for _, s := range p.outputs {
		if !slices.Contains(p.given, s) && p.fixed[s] == nil {
			m.release(values[s])
		}
	}
	return results, nil
}

// call is a node at work.
type call struct {
	*step
	in  []*Tensor
	out []*Tensor
	m   *Memory
}

func run(s *step, in []*Tensor, m *Memory) ([]*Tensor, error) {
	c := &call{step: s, in: in, m: m}
	for k, t := range in {
		if t == nil && k < s.op.least {
			return nil, fmt.Errorf("%w: %s lacks input %d", ErrGraph, s.Node, k+1)
		}
		if t != nil && !s.op.ints && t.Type != Float {
			return nil, fmt.Errorf("%w: %s: input %d holds %ss, want floats", ErrGraph, s.Node, k+1, t.Type)
		}
	}
	if err := s.op.run(c); err != nil {
		for _, t := range c.out {
			m.release(t)
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrGraph, s.Node, err)
	}
	return c.out, nil
}

// input returns input k, nil when it is not there.
func (c *call) input(k int) *Tensor {
	if k < len(c.in) {
		return c.in[k]
	}
	return nil
}

// largest is how many values a tensor may have: what a graph asks for beyond it is a damaged graph.
const largest = 1 << 31

// floats adds an output of floats of undefined content.
func (c *call) floats(shape ...int) (*Tensor, error) {
	if err := possible(shape); err != nil {
		return nil, err
	}
	n := size(shape)
	b := c.m.floats(n)
	t := &Tensor{Shape: slices.Clone(shape), Floats: b.floats[:n], memory: b}
	c.out = append(c.out, t)
	return t, nil
}

// ints adds an output of whole numbers, all zero.
func (c *call) ints(kind Type, shape ...int) (*Tensor, error) {
	if err := possible(shape); err != nil {
		return nil, err
	}
	t := &Tensor{Type: kind, Shape: slices.Clone(shape), Ints: make([]int64, size(shape))}
	c.out = append(c.out, t)
	return t, nil
}

// like adds an output of x's type.
func (c *call) like(x *Tensor, shape ...int) (*Tensor, error) {
	if x.Type == Float {
		return c.floats(shape...)
	}
	return c.ints(x.Type, shape...)
}

func possible(shape []int) error {
	n := 1
	for _, s := range shape {
		if s < 0 || s > 0 && n > largest/s {
			return fmt.Errorf("shape %v is impossible", shape)
		}
		n *= s
	}
	return nil
}

// view adds an output that looks at x's values under another shape.
func (c *call) view(x *Tensor, shape ...int) error {
	if err := possible(shape); err != nil {
		return err
	}
	if size(shape) != x.Len() {
		return fmt.Errorf("%v does not fit into %v", x.Shape, shape)
	}
	t := *x
	t.Shape = slices.Clone(shape)
	if t.memory != nil {
		t.memory.users++
	}
	c.out = append(c.out, &t)
	return nil
}

func (n *Node) int(name string, missing int) int {
	if a, ok := n.Attributes[name]; ok {
		return int(a.Int)
	}
	return missing
}

func (n *Node) float(name string, missing float32) float32 {
	if a, ok := n.Attributes[name]; ok {
		return a.Float
	}
	return missing
}

func (n *Node) text(name, missing string) string {
	if a, ok := n.Attributes[name]; ok {
		return a.Text
	}
	return missing
}

func (n *Node) list(name string) []int { return whole(n.Attributes[name].Ints) }

func whole(v []int64) []int {
	if v == nil {
		return nil
	}
	out := make([]int, len(v))
	for i, x := range v {
		out[i] = int(x)
	}
	return out
}

// listed returns a list that is input k, in newer operator sets, or an attribute, in older ones; nil when it is neither.
func (c *call) listed(k int, name string) ([]int, error) {
	t := c.input(k)
	if t == nil {
		return c.list(name), nil
	}
	if t.Type != Int || len(t.Shape) > 1 {
		return nil, fmt.Errorf("input %d (%s) is a %s %v, want a list of whole numbers", k+1, name, t.Type, t.Shape)
	}
	return whole(t.Ints), nil
}

// axis counts a negative axis from the end.
func axis(a, rank int) (int, error) {
	if a < -rank || a >= rank {
		return 0, fmt.Errorf("axis %d of %d", a, rank)
	}
	if a < 0 {
		a += rank
	}
	return a, nil
}

// axes is [axis] for a list; a missing list stands for all axes.
func axes(list []int, rank int, missing bool) ([]int, error) {
	if len(list) == 0 && missing {
		for a := range rank {
			list = append(list, a)
		}
		return list, nil
	}
	out := make([]int, len(list))
	for i, a := range list {
		var err error
		if out[i], err = axis(a, rank); err != nil {
			return nil, err
		}
		if slices.Contains(out[:i], out[i]) {
			return nil, fmt.Errorf("axis %d is listed twice", out[i])
		}
	}
	return out, nil
}
