package net

import (
	"cmp"
	"slices"
)

// smallest takes the least values of each row.
type smallest struct {
	x, y  *Node
	order []int // of rows: the places of the values taken
	room  []int
}

// Smallest returns the k least values of each row over the last axis, in rising order; of equal ones, the first.
func (g *Graph) Smallest(x *Node, k int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) == 0 || k < 1 || k > x.width() {
		return g.fail("smallest: %d values of each row of %v", k, x.shape)
	}
	shape := slices.Clone(x.shape)
	shape[len(shape)-1] = k
	s := &smallest{x: x, y: g.node(shape...), order: make([]int, x.rows()*k), room: make([]int, x.width())}
	return g.add(operation{name: "smallest", in: []*Node{x}, out: s.y}, s)
}

func (s *smallest) forward() {
	w, k := s.x.width(), s.y.width()
	for i := range s.x.rows() {
		row := s.x.root.value[i*w : (i+1)*w]
		for j := range s.room {
			s.room[j] = j
		}
		slices.SortStableFunc(s.room, func(a, b int) int { return cmp.Compare(row[a], row[b]) })
		copy(s.order[i*k:], s.room[:k])
		for j, at := range s.room[:k] {
			s.y.root.value[i*k+j] = row[at]
		}
	}
}

func (s *smallest) backward() {
	dx, add := s.x.gradient()
	if dx == nil {
		return
	}
	if !add {
		clear(dx)
	}
	w, k := s.x.width(), s.y.width()
	for i, at := range s.order {
		dx[i/k*w+at] += s.y.root.grad[i]
	}
}
