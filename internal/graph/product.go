package graph

import (
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// gemm: alpha·A·B + beta·C, A and B transposed when asked; C is broadcast.
func gemm(c *call) error {
	a, b := c.in[0], c.in[1]
	if len(a.Shape) != 2 || len(b.Shape) != 2 {
		return fmt.Errorf("matrices have shapes %v and %v", a.Shape, b.Shape)
	}
	transA, transB := c.int("transA", 0) != 0, c.int("transB", 0) != 0
	m, k, k2, n := a.Shape[0], a.Shape[1], b.Shape[0], b.Shape[1]
	if transA {
		m, k = k, m
	}
	if transB {
		k2, n = n, k2
	}
	if k != k2 {
		return fmt.Errorf("%d columns by %d rows: shapes %v and %v", k, k2, a.Shape, b.Shape)
	}
	y, err := c.floats(m, n)
	if err != nil {
		return err
	}
	beta := c.float("beta", 1)
	add := c.input(2)
	if add != nil {
		steps, ok := stepsInto(add.Shape, []int{m, n})
		if !ok {
			return fmt.Errorf("the third input of shape %v does not spread over %v", add.Shape, y.Shape)
		}
		for i := range m {
			for j := range n {
				y.Floats[i*n+j] = beta * add.Floats[i*steps[0]+j*steps[1]]
			}
		}
	} else {
		clear(y.Floats)
	}
	num.Gemm(transA, transB, m, n, k, c.float("alpha", 1), a.Floats, max(a.Shape[1], 1), b.Floats, max(b.Shape[1], 1), 1, y.Floats, max(n, 1))
	shiftClip(y.Floats, 0, c.act)
	return nil
}

// matmul: the product of the last two axes; the axes before are broadcast.
func matmul(c *call) error {
	a, b := c.in[0], c.in[1]
	if len(a.Shape) == 0 || len(b.Shape) == 0 {
		return fmt.Errorf("shapes %v and %v: no matrices", a.Shape, b.Shape)
	}
	as, bs := a.Shape, b.Shape
	if len(as) == 1 {
		as = []int{1, as[0]}
	}
	if len(bs) == 1 {
		bs = []int{bs[0], 1}
	}
	m, k, n := as[len(as)-2], as[len(as)-1], bs[len(bs)-1]
	if bs[len(bs)-2] != k {
		return fmt.Errorf("%d columns by %d rows: shapes %v and %v", k, bs[len(bs)-2], a.Shape, b.Shape)
	}
	outer, err := spread(as[:len(as)-2], bs[:len(bs)-2])
	if err != nil {
		return err
	}
	shape := slices.Clone(outer)
	if len(a.Shape) > 1 {
		shape = append(shape, m)
	}
	if len(b.Shape) > 1 {
		shape = append(shape, n)
	}
	y, err := c.floats(shape...)
	if err != nil {
		return err
	}
	if len(bs) == 2 { // one matrix on the right: all rows at once
		m *= size(outer)
		outer = nil
	}
	stepA, _ := stepsInto(as[:len(as)-2], outer)
	stepB, _ := stepsInto(bs[:len(bs)-2], outer)
	if outer == nil {
		stepA, stepB = nil, nil
	}
	at := 0
	each(outer, func(index []int) {
		offA, offB := 0, 0
		for d, i := range index {
			offA += i * stepA[d]
			offB += i * stepB[d]
		}
		num.Gemm(false, false, m, n, k, 1, a.Floats[min(offA*m*k, len(a.Floats)):], max(k, 1), b.Floats[min(offB*k*n, len(b.Floats)):], max(n, 1), 0, y.Floats[at:], max(n, 1))
		at += m * n
	})
	return nil
}

// each calls f with every index of a shape, in order; once with none for the shape of one value.
func each(shape []int, f func(index []int)) {
	if size(shape) == 0 {
		return
	}
	index := make([]int, len(shape))
	for {
		f(index)
		d := len(shape) - 1
		for ; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
		if d < 0 {
			return
		}
	}
}

// spread returns the shape that two shapes broadcast to.
func spread(a, b []int) ([]int, error) {
	n := max(len(a), len(b))
	out := make([]int, n)
	for d := range n {
		x, y := 1, 1
		if i := d - n + len(a); i >= 0 {
			x = a[i]
		}
		if i := d - n + len(b); i >= 0 {
			y = b[i]
		}
		switch {
		case x == y, y == 1:
			out[d] = x
		case x == 1:
			out[d] = y
		default:
			return nil, fmt.Errorf("shapes %v and %v do not spread over each other", a, b)
		}
	}
	return out, nil
}

// stepsInto returns, for each axis of the larger shape, by how many values of x one step moves: 0 where x is repeated.
func stepsInto(x, shape []int) ([]int, bool) {
	if len(x) > len(shape) {
		return nil, false
	}
	steps := make([]int, len(shape))
	step := 1
	for d := len(x) - 1; d >= 0; d-- {
		at := len(shape) - len(x) + d
		switch {
		case x[d] == shape[at]:
			steps[at] = step
		case x[d] != 1:
			return nil, false
		}
		step *= x[d]
	}
	return steps, true
}
