package graph

import (
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

type number interface{ float32 | int64 }

// vector applies a kernel to a float tensor.
func vector(kernel func(dst, x []float32)) func(c *call) error {
	return func(c *call) error {
		y, err := c.floats(c.in[0].Shape...)
		if err != nil {
			return err
		}
		kernel(y.Floats, c.in[0].Floats)
		return nil
	}
}

// unary applies f to every value of a float tensor.
func unary(f func(c *call) func(x float32) float32) func(c *call) error {
	return func(c *call) error {
		x := c.in[0]
		y, err := c.floats(x.Shape...)
		if err != nil {
			return err
		}
		g := f(c)
		for i, v := range x.Floats {
			y.Floats[i] = g(v)
		}
		return nil
	}
}

// simply is a function without settings.
func simply(f func(x float32) float32) func(c *call) func(x float32) float32 {
	return func(*call) func(float32) float32 { return f }
}

// double is a function of float64, rounded once.
func double(f func(x float64) float64) func(c *call) func(x float32) float32 {
	return simply(func(x float32) float32 { return float32(f(float64(x))) })
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// gelu: x·Φ(x), or its approximation by tanh.
func gelu(c *call) error {
	if c.text("approximate", "none") == "tanh" {
		return vector(num.GELUTanh)(c)
	}
	return vector(num.GELU)(c)
}

// clip: limits are inputs from set 11 on, attributes before.
func clip(c *call) error {
	x := c.in[0]
	if x.Type == Int {
		return clipWhole(c)
	}
	if x.Type != Float {
		return fmt.Errorf("input is a %s", x.Type)
	}
	act := activation{true, c.float("min", float32(math.Inf(-1))), c.float("max", float32(math.Inf(1)))}
	for k, limit := range []*float32{&act.lo, &act.hi} {
		t := c.input(k + 1)
		if t == nil {
			continue
		}
		if t.Type != Float || t.Len() != 1 {
			return fmt.Errorf("a limit is a %s %v, want one number", t.Type, t.Shape)
		}
		*limit = t.Floats[0]
	}
	y, err := c.floats(x.Shape...)
	if err != nil {
		return err
	}
	copy(y.Floats, x.Floats)
	shiftClip(y.Floats, 0, act)
	return nil
}

func clipWhole(c *call) error {
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	for k, limit := range []*int64{&lo, &hi} {
		t := c.input(k + 1)
		if t == nil {
			continue
		}
		if t.Type != Int || t.Len() != 1 {
			return fmt.Errorf("a limit is a %s %v, want one whole number", t.Type, t.Shape)
		}
		*limit = t.Ints[0]
	}
	y, err := c.ints(Int, c.in[0].Shape...)
	if err != nil {
		return err
	}
	for i, v := range c.in[0].Ints {
		y.Ints[i] = min(max(v, lo), hi)
	}
	return nil
}

// power: the result has the base's type, whatever the exponent's.
func power(c *call) error {
	real := func(t *Tensor) []float64 {
		out := make([]float64, t.Len())
		for i := range out {
			if t.Type == Float {
				out[i] = float64(t.Floats[i])
			} else {
				out[i] = float64(t.Ints[i])
			}
		}
		return out
	}
	a, b := c.in[0], c.in[1]
	if a.Type == Bool || b.Type == Bool {
		return fmt.Errorf("inputs are a %s and a %s", a.Type, b.Type)
	}
	shape, err := spread(a.Shape, b.Shape)
	if err != nil {
		return err
	}
	y, err := c.like(a, shape...)
	if err != nil {
		return err
	}
	if a.Type == Float {
		pairs(y.Floats, real(a), real(b), a.Shape, b.Shape, shape, func(p, q float64) float32 { return float32(math.Pow(p, q)) })
		return nil
	}
	pairs(y.Ints, real(a), real(b), a.Shape, b.Shape, shape, func(p, q float64) int64 { return int64(math.Pow(p, q)) })
	return nil
}

// foldInputs combines any number of inputs two by two.
func foldInputs(f func(a, b float32) float32, g func(a, b int64) (int64, error)) func(c *call) error {
	return func(c *call) error {
		total := c.in[0]
		if total.Type == Bool {
			return fmt.Errorf("inputs are truth values")
		}
		for k, t := range c.in[1:] {
			if t == nil {
				return fmt.Errorf("input %d is missing", k+2)
			}
			two := &call{step: &step{Node: c.Node}, in: []*Tensor{total, t}, m: c.m}
			if err := binary(nil, f, g)(two); err != nil {
				return err
			}
			if k > 0 {
				c.m.release(total)
			}
			total = two.out[0]
		}
		if len(c.in) == 1 {
			return c.view(total, total.Shape...)
		}
		c.out = append(c.out, total)
		return nil
	}
}

// binary combines two tensors of one type, spread over each other; kernel, if any, does it for two of one shape.
func binary(kernel func(dst, x, y []float32), f func(a, b float32) float32, g func(a, b int64) (int64, error)) func(c *call) error {
	return func(c *call) error {
		a, b := c.in[0], c.in[1]
		if a.Type != b.Type || a.Type == Bool {
			return fmt.Errorf("inputs are a %s and a %s", a.Type, b.Type)
		}
		shape, err := spread(a.Shape, b.Shape)
		if err != nil {
			return err
		}
		y, err := c.like(a, shape...)
		if err != nil {
			return err
		}
		if a.Type == Float {
			if kernel != nil && slices.Equal(a.Shape, b.Shape) {
				kernel(y.Floats, a.Floats, b.Floats)
			} else {
				pairs(y.Floats, a.Floats, b.Floats, a.Shape, b.Shape, shape, f)
			}
			shiftClip(y.Floats, 0, c.act)
			return nil
		}
		if g == nil {
			return fmt.Errorf("inputs hold whole numbers, want floats")
		}
		pairs(y.Ints, a.Ints, b.Ints, a.Shape, b.Shape, shape, func(p, q int64) int64 {
			v, wrong := g(p, q)
			if wrong != nil && err == nil {
				err = wrong
			}
			return v
		})
		return err
	}
}

func whether(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// compare gives truth values.
func compare(f func(a, b float32) bool, g func(a, b int64) bool) func(c *call) error {
	return func(c *call) error {
		a, b := c.in[0], c.in[1]
		if a.Type != b.Type {
			return fmt.Errorf("inputs are a %s and a %s", a.Type, b.Type)
		}
		shape, err := spread(a.Shape, b.Shape)
		if err != nil {
			return err
		}
		y, err := c.ints(Bool, shape...)
		if err != nil {
			return err
		}
		if a.Type == Float {
			if f == nil {
				return fmt.Errorf("inputs hold floats, want truth values")
			}
			pairs(y.Ints, a.Floats, b.Floats, a.Shape, b.Shape, shape, func(p, q float32) int64 { return whether(f(p, q)) })
			return nil
		}
		pairs(y.Ints, a.Ints, b.Ints, a.Shape, b.Shape, shape, func(p, q int64) int64 { return whether(g(p, q)) })
		return nil
	}
}

// pairs writes f of every pair of values of two tensors that are spread over shape.
func pairs[R number, T number | float64](dst []R, a, b []T, as, bs, shape []int, f func(a, b T) R) {
	switch {
	case slices.Equal(as, shape) && slices.Equal(bs, shape):
		b = b[:len(a)]
		for i, v := range a {
			dst[i] = f(v, b[i])
		}
		return
	case slices.Equal(as, shape) && len(b) == 1:
		for i, v := range a {
			dst[i] = f(v, b[0])
		}
		return
	}
	stepA, _ := stepsInto(as, shape)
	stepB, _ := stepsInto(bs, shape)
	n, lastA, lastB := 1, 0, 0
	if len(shape) > 0 {
		n, lastA, lastB = shape[len(shape)-1], stepA[len(shape)-1], stepB[len(shape)-1]
		shape = shape[:len(shape)-1]
	}
	at := 0
	each(shape, func(index []int) {
		offA, offB := 0, 0
		for d, i := range index {
			offA += i * stepA[d]
			offB += i * stepB[d]
		}
		for i := range n {
			dst[at] = f(a[offA+i*lastA], b[offB+i*lastB])
			at++
		}
	})
}

// where takes from the second or the third input, as the first says.
func where(c *call) error {
	test, a, b := c.in[0], c.in[1], c.in[2]
	if test.Type != Bool || a.Type != b.Type {
		return fmt.Errorf("inputs are a %s, a %s and a %s", test.Type, a.Type, b.Type)
	}
	shape, err := spread(a.Shape, b.Shape)
	if err != nil {
		return err
	}
	if shape, err = spread(test.Shape, shape); err != nil {
		return err
	}
	y, err := c.like(a, shape...)
	if err != nil {
		return err
	}
	steps := make([][]int, 3)
	for k, t := range c.in {
		steps[k], _ = stepsInto(t.Shape, shape)
	}
	at := 0
	each(shape, func(index []int) {
		off := [3]int{}
		for d, i := range index {
			for k := range off {
				off[k] += i * steps[k][d]
			}
		}
		from, k := a, 1
		if test.Ints[off[0]] == 0 {
			from, k = b, 2
		}
		if a.Type == Float {
			y.Floats[at] = from.Floats[off[k]]
		} else {
			y.Ints[at] = from.Ints[off[k]]
		}
		at++
	})
	return nil
}

// not turns truth values round.
func not(c *call) error {
	x := c.in[0]
	if x.Type != Bool {
		return fmt.Errorf("input is a %s, want truth values", x.Type)
	}
	y, err := c.ints(Bool, x.Shape...)
	if err != nil {
		return err
	}
	for i, v := range x.Ints {
		y.Ints[i] = 1 - v
	}
	return nil
}

// The element types of ONNX.
const (
	onnxFloat, onnxBool = 1, 9
)

// typeOf sorts ONNX's element types into ours; floats of any width are Float.
func typeOf(onnx int) (Type, error) {
	switch onnx {
	case onnxFloat, 10, 11, 16:
		return Float, nil
	case 2, 3, 4, 5, 6, 7, 12, 13:
		return Int, nil
	case onnxBool:
		return Bool, nil
	}
	return 0, fmt.Errorf("element type %d is not known here", onnx)
}

// cast changes the type. Floats become whole numbers by dropping what is behind the point.
func cast(c *call) error {
	x := c.in[0]
	to, err := typeOf(c.int("to", 0))
	if err != nil {
		return err
	}
	if to == x.Type {
		return c.view(x, x.Shape...)
	}
	if to == Float {
		y, err := c.floats(x.Shape...)
		if err != nil {
			return err
		}
		for i, v := range x.Ints {
			y.Floats[i] = float32(v)
		}
		return nil
	}
	y, err := c.ints(to, x.Shape...)
	if err != nil {
		return err
	}
	for i := range y.Ints {
		switch {
		case x.Type == Float && to == Bool:
			y.Ints[i] = whether(x.Floats[i] != 0)
		case x.Type == Float:
			v := x.Floats[i]
			if !(v > -1<<62 && v < 1<<62) {
				return fmt.Errorf("value %d is %v, which is no whole number", i+1, v)
			}
			y.Ints[i] = int64(v)
		case to == Bool:
			y.Ints[i] = whether(x.Ints[i] != 0)
		default:
			y.Ints[i] = x.Ints[i]
		}
	}
	return nil
}
