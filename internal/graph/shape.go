package graph

import (
	"fmt"
	"slices"
)

// reshape: 0 copies a size unless allowzero, −1 is what is left.
func reshape(c *call) error {
	x := c.in[0]
	want, err := c.listed(1, "shape")
	if err != nil {
		return err
	}
	shape := slices.Clone(want)
	known, open := 1, -1
	for d, s := range shape {
		switch {
		case s == 0 && c.int("allowzero", 0) == 0:
			if d >= len(x.Shape) {
				return fmt.Errorf("shape %v copies a size that %v lacks", want, x.Shape)
			}
			shape[d] = x.Shape[d]
		case s == -1 && open < 0:
			open = d
			continue
		case s < 0:
			return fmt.Errorf("shape %v is impossible", want)
		}
		known *= shape[d]
	}
	if open >= 0 {
		if known == 0 || x.Len()%known != 0 {
			return fmt.Errorf("%v does not fit into %v", x.Shape, want)
		}
		shape[open] = x.Len() / known
	}
	return c.view(x, shape...)
}

// flatten makes a matrix: the axes before axis, the axes from it on.
func flatten(c *call) error {
	x := c.in[0]
	at := c.int("axis", 1)
	if at < -len(x.Shape) || at > len(x.Shape) {
		return fmt.Errorf("axis %d of %d", at, len(x.Shape))
	}
	if at < 0 {
		at += len(x.Shape)
	}
	return c.view(x, size(x.Shape[:at]), size(x.Shape[at:]))
}

func squeeze(c *call) error {
	x := c.in[0]
	list, err := c.listed(1, "axes")
	if err != nil {
		return err
	}
	if len(list) == 0 {
		for d, s := range x.Shape {
			if s == 1 {
				list = append(list, d)
			}
		}
	}
	if list, err = axes(list, len(x.Shape), false); err != nil {
		return err
	}
	var shape []int
	for d, s := range x.Shape {
		if !slices.Contains(list, d) {
			shape = append(shape, s)
		} else if s != 1 {
			return fmt.Errorf("axis %d of %v is not 1", d, x.Shape)
		}
	}
	return c.view(x, shape...)
}

func unsqueeze(c *call) error {
	x := c.in[0]
	list, err := c.listed(1, "axes")
	if err != nil {
		return err
	}
	rank := len(x.Shape) + len(list)
	if list, err = axes(list, rank, false); err != nil {
		return err
	}
	rest := x.Shape
	shape := make([]int, rank)
	for d := range shape {
		if slices.Contains(list, d) {
			shape[d] = 1
			continue
		}
		shape[d], rest = rest[0], rest[1:]
	}
	return c.view(x, shape...)
}

// dropout does nothing, as it should in a network that is trained; its mask keeps all.
func dropout(c *call) error {
	if t := c.input(2); t != nil && t.Len() == 1 && t.Type == Bool && t.Ints[0] != 0 {
		return fmt.Errorf("training_mode is for training")
	}
	if err := identity(c); err != nil || len(c.Outputs) < 2 {
		return err
	}
	mask, err := c.ints(Bool, c.in[0].Shape...)
	if err != nil {
		return err
	}
	for i := range mask.Ints {
		mask.Ints[i] = 1
	}
	return nil
}

func identity(c *call) error { return c.view(c.in[0], c.in[0].Shape...) }

// shapeOf gives sizes as whole numbers, of the axes from start to end.
func shapeOf(c *call) error {
	x := c.in[0]
	rank := len(x.Shape)
	bound := func(v int) int {
		if v < 0 {
			v += rank
		}
		return min(max(v, 0), rank)
	}
	start, end := bound(c.int("start", 0)), bound(c.int("end", rank))
	y, err := c.ints(Int, max(end-start, 0))
	if err != nil {
		return err
	}
	for i := range y.Ints {
		y.Ints[i] = int64(x.Shape[start+i])
	}
	return nil
}

// pick copies values of x by number: the way of all operators that only move values.
func (c *call) pick(x *Tensor, shape []int, f func(put func(from int))) error {
	y, err := c.like(x, shape...)
	if err != nil {
		return err
	}
	at := 0
	f(func(from int) {
		switch {
		case x.Type == Float && from < 0:
			y.Floats[at] = 0
		case x.Type == Float:
			y.Floats[at] = x.Floats[from]
		case from >= 0:
			y.Ints[at] = x.Ints[from]
		}
		at++
	})
	return nil
}

func strides(shape []int) []int {
	s, _ := stepsInto(shape, shape)
	return s
}

func transpose(c *call) error {
	x := c.in[0]
	order := c.list("perm")
	if order == nil {
		for d := range x.Shape {
			order = append(order, len(x.Shape)-1-d)
		}
	}
	if len(order) != len(x.Shape) {
		return fmt.Errorf("order %v for shape %v", order, x.Shape)
	}
	if _, err := axes(order, len(x.Shape), false); err != nil {
		return err
	}
	steps := make([]int, len(order))
	shape := make([]int, len(order))
	for d, from := range order {
		shape[d], steps[d] = x.Shape[from], strides(x.Shape)[from]
	}
	return c.pick(x, shape, func(put func(int)) {
		each(shape, func(index []int) {
			at := 0
			for d, i := range index {
				at += i * steps[d]
			}
			put(at)
		})
	})
}

func expand(c *call) error {
	x := c.in[0]
	want, err := c.listed(1, "shape")
	if err != nil {
		return err
	}
	shape, err := spread(x.Shape, want)
	if err != nil {
		return err
	}
	if slices.Equal(shape, x.Shape) {
		return c.view(x, shape...)
	}
	steps, _ := stepsInto(x.Shape, shape)
	return c.pick(x, shape, func(put func(int)) {
		each(shape, func(index []int) {
			at := 0
			for d, i := range index {
				at += i * steps[d]
			}
			put(at)
		})
	})
}

// tile repeats a tensor along its axes.
func tile(c *call) error {
	x := c.in[0]
	times, err := c.listed(1, "repeats")
	if err != nil {
		return err
	}
	if len(times) != len(x.Shape) {
		return fmt.Errorf("%v repeats for shape %v", times, x.Shape)
	}
	shape := slices.Clone(x.Shape)
	for d, n := range times {
		shape[d] *= n
	}
	step := strides(x.Shape)
	return c.pick(x, shape, func(put func(int)) {
		each(shape, func(index []int) {
			at := 0
			for d, i := range index {
				at += i % x.Shape[d] * step[d]
			}
			put(at)
		})
	})
}

// concat joins along an axis.
func concat(c *call) error {
	x := c.in[0]
	a, err := axis(c.int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	shape := slices.Clone(x.Shape)
	shape[a] = 0
	for _, t := range c.in {
		if t == nil || t.Type != x.Type || len(t.Shape) != len(x.Shape) || !slices.Equal(t.Shape[:a], x.Shape[:a]) || !slices.Equal(t.Shape[a+1:], x.Shape[a+1:]) {
			return fmt.Errorf("shapes do not join along axis %d: %v", a, shapesOf(c.in))
		}
		shape[a] += t.Shape[a]
	}
	y, err := c.like(x, shape...)
	if err != nil {
		return err
	}
	inner := size(x.Shape[a+1:])
	at := 0
	for o := range size(x.Shape[:a]) {
		for _, t := range c.in {
			n := t.Shape[a] * inner
			if x.Type == Float {
				copy(y.Floats[at:], t.Floats[o*n:(o+1)*n])
			} else {
				copy(y.Ints[at:], t.Ints[o*n:(o+1)*n])
			}
			at += n
		}
	}
	return nil
}

func shapesOf(list []*Tensor) (all [][]int) {
	for _, t := range list {
		if t != nil {
			all = append(all, t.Shape)
		}
	}
	return all
}

// slice cuts along axes, with steps, also backwards.
func slice(c *call) error {
	x := c.in[0]
	var list [4][]int
	for k, name := range []string{"starts", "ends", "axes", "steps"} {
		var err error
		if list[k], err = c.listed(k+1, name); err != nil {
			return err
		}
	}
	starts, ends, along, steps := list[0], list[1], list[2], list[3]
	if along == nil {
		for d := range starts {
			along = append(along, d)
		}
	}
	along, err := axes(along, len(x.Shape), false)
	if err != nil {
		return err
	}
	if len(starts) != len(along) || len(ends) != len(along) || steps != nil && len(steps) != len(along) {
		return fmt.Errorf("%d starts, %d ends, %d steps for %d axes", len(starts), len(ends), len(steps), len(along))
	}
	shape, first, stride := slices.Clone(x.Shape), 0, strides(x.Shape)
	for k, d := range along {
		step := 1
		if steps != nil {
			step = steps[k]
		}
		if step == 0 {
			return fmt.Errorf("step 0 along axis %d", d)
		}
		from, n := cut(starts[k], ends[k], step, x.Shape[d])
		first += from * stride[d]
		shape[d], stride[d] = n, stride[d]*step
	}
	return c.pick(x, shape, func(put func(int)) {
		each(shape, func(index []int) {
			at := first
			for d, i := range index {
				at += i * stride[d]
			}
			put(at)
		})
	})
}

// cut returns the first place and the number of places from start to end in steps, of n.
func cut(start, end, step, n int) (from, count int) {
	lo, hi := 0, n
	if step < 0 {
		lo, hi = -1, n-1
	}
	bound := func(v int) int {
		if v < 0 {
			v += n
		}
		return min(max(v, lo), hi)
	}
	start, end = bound(start), bound(end)
	if step > 0 {
		return start, max(0, (end-start+step-1)/step)
	}
	return max(start, 0), max(0, (start-end-step-1)/-step)
}

// split cuts into pieces along an axis.
func split(c *call) error {
	x := c.in[0]
	a, err := axis(c.int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	parts, err := c.listed(1, "split")
	if err != nil {
		return err
	}
	if parts == nil {
		n := c.int("num_outputs", len(c.Outputs))
		if n < 1 {
			return fmt.Errorf("no outputs")
		}
		each := (x.Shape[a] + n - 1) / n
		for left := x.Shape[a]; len(parts) < n; left -= each {
			parts = append(parts, max(0, min(each, left)))
		}
	}
	total := 0
	for _, p := range parts {
		total += p
	}
	if total != x.Shape[a] {
		return fmt.Errorf("pieces %v of axis %d of %v", parts, a, x.Shape)
	}
	inner, from := size(x.Shape[a+1:]), 0
	for _, p := range parts {
		shape := slices.Clone(x.Shape)
		shape[a] = p
		err := c.pick(x, shape, func(put func(int)) {
			for o := range size(x.Shape[:a]) {
				for i := range p * inner {
					put((o*x.Shape[a]+from)*inner + i)
				}
			}
		})
		if err != nil {
			return err
		}
		from += p
	}
	return nil
}

// gather takes entries along an axis by number.
func gather(c *call) error {
	x, index := c.in[0], c.in[1]
	a, err := axis(c.int("axis", 0), len(x.Shape))
	if err != nil {
		return err
	}
	if index.Type != Int {
		return fmt.Errorf("numbers are %ss, want whole numbers", index.Type)
	}
	n, inner := x.Shape[a], size(x.Shape[a+1:])
	at := make([]int, len(index.Ints))
	for i, v := range index.Ints {
		if v < int64(-n) || v >= int64(n) {
			return fmt.Errorf("number %d of an axis of %d", v, n)
		}
		if at[i] = int(v); v < 0 {
			at[i] += n
		}
	}
	shape := slices.Concat(x.Shape[:a], index.Shape, x.Shape[a+1:])
	return c.pick(x, shape, func(put func(int)) {
		for o := range size(x.Shape[:a]) {
			for _, i := range at {
				for j := range inner {
					put((o*n+i)*inner + j)
				}
			}
		}
	})
}

// Transposed permutes the axes of a tensor. Errors: ErrGraph when order is no permutation of them.
func Transposed(x *Tensor, order []int) (*Tensor, error) {
	perm := make([]int64, len(order))
	for i, d := range order {
		perm[i] = int64(d)
	}
	n := &Node{Name: "transposed", Op: "Transpose", Attributes: map[string]Attribute{"perm": {Ints: perm}}}
	out, err := run(&step{Node: n, op: operators[n.Op]}, []*Tensor{x}, new(Memory))
	if err != nil {
		return nil, err
	}
	out[0].memory = nil
	return out[0], nil
}
