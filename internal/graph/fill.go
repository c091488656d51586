package graph

import (
	"fmt"
	"slices"
)

// pad adds around: zeros or a constant, the edge, or a mirror without it. Negative padding cuts.
func pad(c *call) error {
	x := c.in[0]
	pads, err := c.listed(1, "pads")
	if err != nil {
		return err
	}
	along, err := c.listed(3, "axes")
	if err != nil {
		return err
	}
	if along, err = axes(along, len(x.Shape), true); err != nil {
		return err
	}
	if len(pads) != 2*len(along) {
		return fmt.Errorf("pads %v for %d axes", pads, len(along))
	}
	mode := c.text("mode", "constant")
	shape, before := slices.Clone(x.Shape), make([]int, len(x.Shape))
	for k, d := range along {
		before[d] = pads[k]
		shape[d] += pads[k] + pads[len(along)+k]
		if x.Shape[d] == 0 && mode != "constant" {
			return fmt.Errorf("nothing to repeat along axis %d of %v", d, x.Shape)
		}
	}
	if mode == "constant" {
		return c.padConstant(shape, before)
	}
	var place func(i, n int) int
	switch mode {
	case "edge":
		place = func(i, n int) int { return min(max(i, 0), n-1) }
	case "reflect":
		place = func(i, n int) int {
			if n == 1 {
				return 0
			}
			i = ((i % (2*n - 2)) + 2*n - 2) % (2*n - 2)
			return min(i, 2*n-2-i)
		}
	case "wrap":
		place = func(i, n int) int { return (i%n + n) % n }
	default:
		return fmt.Errorf("mode %q is not known here", mode)
	}
	stride := strides(x.Shape)
	return c.pick(x, shape, func(put func(int)) {
		each(shape, func(index []int) {
			from := 0
			for d, i := range index {
				from += place(i-before[d], x.Shape[d]) * stride[d]
			}
			put(from)
		})
	})
}

// padConstant copies blocks of the axes that keep their size into a tensor of zeros or of the third input.
func (c *call) padConstant(shape, before []int) error {
	x := c.in[0]
	y, err := c.like(x, shape...)
	if err != nil {
		return err
	}
	clear(y.Floats)
	if t := c.input(2); t != nil {
		if t.Len() != 1 || t.Type != x.Type {
			return fmt.Errorf("the value is a %s %v, want one %s", t.Type, t.Shape, x.Type)
		}
		for i := range y.Floats {
			y.Floats[i] = t.Floats[0]
		}
		for i := range y.Ints {
			y.Ints[i] = t.Ints[0]
		}
	}
	outer := len(shape)
	for outer > 0 && before[outer-1] == 0 && shape[outer-1] == x.Shape[outer-1] {
		outer--
	}
	n, stride, from := size(shape[outer:]), strides(shape), -1
	each(x.Shape[:outer], func(index []int) {
		from++
		to := 0
		for d, i := range index {
			i += before[d]
			if i < 0 || i >= shape[d] {
				return
			}
			to += i * stride[d]
		}
		if x.Type == Float {
			copy(y.Floats[to:to+n], x.Floats[from*n:])
		} else {
			copy(y.Ints[to:to+n], x.Ints[from*n:])
		}
	})
	return nil
}

// constant gives the tensor or the numbers that stand in the node.
func constant(c *call) error {
	for _, name := range []string{"value", "value_float", "value_floats", "value_int", "value_ints"} {
		a, ok := c.Attributes[name]
		if !ok {
			continue
		}
		var t *Tensor
		switch name {
		case "value":
			t = a.Tensor
		case "value_float":
			t = Floats([]float32{a.Float})
		case "value_floats":
			t = Floats(a.Floats, len(a.Floats))
		case "value_int":
			t = Ints([]int64{a.Int})
		case "value_ints":
			t = Ints(a.Ints, len(a.Ints))
		}
		if t != nil {
			c.out = append(c.out, t)
			return nil
		}
	}
	return fmt.Errorf("has no value that is known here")
}

// constantOfShape fills a shape with one value, 0 by default.
func constantOfShape(c *call) error {
	shape, err := c.listed(0, "shape")
	if err != nil {
		return err
	}
	value := Floats([]float32{0}, 1)
	if a, ok := c.Attributes["value"]; ok && a.Tensor != nil && a.Tensor.Len() == 1 {
		value = a.Tensor
	}
	return c.pick(value, shape, func(put func(int)) {
		for range size(shape) {
			put(0)
		}
	})
}

// ranged counts from a start to a limit.
func ranged(c *call) error {
	for k, t := range c.in {
		if t.Len() != 1 || t.Type != c.in[0].Type {
			return fmt.Errorf("input %d is a %s %v, want one number", k+1, t.Type, t.Shape)
		}
	}
	const most = 1 << 24
	if c.in[0].Type == Float {
		from, to, step := float64(c.in[0].Floats[0]), float64(c.in[1].Floats[0]), float64(c.in[2].Floats[0])
		n := (to - from) / step
		if !(n < most) {
			return fmt.Errorf("from %v to %v in steps of %v", from, to, step)
		}
		count := max(0, int(n))
		if float64(count) < n {
			count++
		}
		y, err := c.floats(count)
		if err != nil {
			return err
		}
		for i := range y.Floats {
			y.Floats[i] = float32(from + float64(i)*step)
		}
		return nil
	}
	from, to, step := c.in[0].Ints[0], c.in[1].Ints[0], c.in[2].Ints[0]
	if step == 0 || (to-from)/step > most {
		return fmt.Errorf("from %d to %d in steps of %d", from, to, step)
	}
	n := (to - from) / step
	if n*step != to-from && (to-from > 0) == (step > 0) {
		n++
	}
	y, err := c.ints(Int, int(max(n, 0)))
	if err != nil {
		return err
	}
	for i := range y.Ints {
		y.Ints[i] = from + int64(i)*step
	}
	return nil
}
