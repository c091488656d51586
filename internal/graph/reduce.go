package graph

import (
	"fmt"
	"math"
	"slices"
)

// along calls f for every line of values along an axis: where it begins in memory and how far apart its n values are.
func along(shape []int, a int, f func(start, step, n int)) {
	n, step := shape[a], size(shape[a+1:])
	for o := range size(shape[:a]) {
		for i := range step {
			f(o*n*step+i, step, n)
		}
	}
}

// softmax: the exponentials along an axis over their sum, or their logarithms.
func softmax(logarithm bool) func(c *call) error {
	return func(c *call) error {
		x := c.in[0]
		a, err := axis(c.int("axis", -1), len(x.Shape))
		if err != nil {
			return err
		}
		y, err := c.floats(x.Shape...)
		if err != nil {
			return err
		}
		along(x.Shape, a, func(start, step, n int) {
			top := math.Inf(-1)
			for i := range n {
				top = max(top, float64(x.Floats[start+i*step]))
			}
			if math.IsInf(top, -1) {
				top = 0 // a line masked whole: no number, but no invalid difference either
			}
			sum := 0.0
			for i := range n {
				sum += math.Exp(float64(x.Floats[start+i*step]) - top)
			}
			for i := range n {
				v := float64(x.Floats[start+i*step]) - top
				if logarithm {
					y.Floats[start+i*step] = float32(v - math.Log(sum))
				} else {
					y.Floats[start+i*step] = float32(math.Exp(v) / sum)
				}
			}
		})
		return nil
	}
}

// layerNorm: each row of the axes from axis on to mean 0 and variance 1, times scale, plus shift. The other outputs are the means and
// the factors.
func layerNorm(c *call) error {
	x, scale, shift := c.in[0], c.in[1], c.input(2)
	a, err := axis(c.int("axis", -1), len(x.Shape))
	if err != nil {
		return err
	}
	n := size(x.Shape[a:])
	if scale.Len() != n || shift != nil && shift.Len() != n {
		return fmt.Errorf("scale %v for %v from axis %d on", scale.Shape, x.Shape, a)
	}
	y, err := c.floats(x.Shape...)
	if err != nil {
		return err
	}
	outer := slices.Clone(x.Shape)
	for d := a; d < len(outer); d++ {
		outer[d] = 1
	}
	means, err := c.floats(outer...)
	if err != nil {
		return err
	}
	factors, err := c.floats(outer...)
	if err != nil {
		return err
	}
	epsilon := float64(c.float("epsilon", 1e-5))
	for o := range size(x.Shape[:a]) {
		row, out := x.Floats[o*n:(o+1)*n], y.Floats[o*n:(o+1)*n]
		mean, factor := standardize(out, row, epsilon)
		means.Floats[o], factors.Floats[o] = float32(mean), float32(factor)
		for i := range out {
			out[i] *= scale.Floats[i]
			if shift != nil {
				out[i] += shift.Floats[i]
			}
		}
	}
	return nil
}

// standardize writes (x − mean)·factor, the factor being 1/√(variance + epsilon).
func standardize(out, x []float32, epsilon float64) (mean, factor float64) {
	square := 0.0
	for _, v := range x {
		mean += float64(v)
	}
	mean /= float64(len(x))
	for _, v := range x {
		square += (float64(v) - mean) * (float64(v) - mean)
	}
	factor = 1 / math.Sqrt(square/float64(len(x))+epsilon)
	for i, v := range x {
		out[i] = float32((float64(v) - mean) * factor)
	}
	return mean, factor
}

// groupNorm: each group of channels of each row to mean 0 and variance 1; instance normalisation has a group a channel. In sets
// before 21 scale and shift are per group, from 21 on per channel: their length says which.
func groupNorm(instance bool) func(c *call) error {
	return func(c *call) error {
		x, scale, shift := c.in[0], c.in[1], c.in[2]
		if len(x.Shape) < 3 {
			return fmt.Errorf("input has shape %v, want N×C×…", x.Shape)
		}
		channels := x.Shape[1]
		groups := c.int("num_groups", 0)
		if instance {
			groups = channels
		}
		if groups < 1 || channels%groups != 0 || scale.Len() != shift.Len() || scale.Len() != channels && scale.Len() != groups {
			return fmt.Errorf("%d groups, scale %v and shift %v for %d channels", groups, scale.Shape, shift.Shape, channels)
		}
		y, err := c.floats(x.Shape...)
		if err != nil {
			return err
		}
		each := size(x.Shape[2:])
		n := channels / groups * each
		for g := range x.Shape[0] * groups {
			out := y.Floats[g*n : (g+1)*n]
			standardize(out, x.Floats[g*n:(g+1)*n], float64(c.float("epsilon", 1e-5)))
			for i := range out {
				at := g%groups*(channels/groups) + i/each
				if scale.Len() == groups {
					at = g % groups
				}
				out[i] = out[i]*scale.Floats[at] + shift.Floats[at]
			}
		}
		return nil
	}
}

// batchNorm with fixed statistics.
func batchNorm(c *call) error {
	x := c.in[0]
	if len(x.Shape) < 2 {
		return fmt.Errorf("input has shape %v, want N×C×…", x.Shape)
	}
	if c.int("training_mode", 0) != 0 {
		return fmt.Errorf("training_mode is for training")
	}
	channels, each := x.Shape[1], size(x.Shape[2:])
	for k := 1; k < 5; k++ {
		if c.in[k].Len() != channels {
			return fmt.Errorf("input %d has %d values for %d channels", k+1, c.in[k].Len(), channels)
		}
	}
	y, err := c.floats(x.Shape...)
	if err != nil {
		return err
	}
	epsilon := float64(c.float("epsilon", 1e-5))
	for p := range x.Shape[0] * channels {
		ch := p % channels
		factor := float64(c.in[1].Floats[ch]) / math.Sqrt(float64(c.in[4].Floats[ch])+epsilon)
		for i := p * each; i < (p+1)*each; i++ {
			y.Floats[i] = float32((float64(x.Floats[i])-float64(c.in[3].Floats[ch]))*factor + float64(c.in[2].Floats[ch]))
		}
	}
	return nil
}

// reduction turns the values along axes into one: it is called with 0 values to start, then for each value, then at the end.
type reduction struct {
	start float64
	add   func(sum, v float64) float64
	end   func(sum float64, n int) float64
	empty bool // defined for no values
}

// reduce applies a reduction over axes, in order of memory.
func reduce(r reduction) func(c *call) error {
	return func(c *call) error {
		x := c.in[0]
		list, err := c.listed(1, "axes")
		if err != nil {
			return err
		}
		if len(list) == 0 && c.int("noop_with_empty_axes", 0) != 0 {
			return c.view(x, x.Shape...)
		}
		if list, err = axes(list, len(x.Shape), true); err != nil {
			return err
		}
		full, shape, n := slices.Clone(x.Shape), []int(nil), 1
		for d, s := range x.Shape {
			if !slices.Contains(list, d) {
				shape = append(shape, s)
				continue
			}
			full[d], n = 1, n*s
			if c.int("keepdims", 1) != 0 {
				shape = append(shape, 1)
			}
		}
		if n == 0 && !r.empty {
			return fmt.Errorf("nothing to reduce in %v", x.Shape)
		}
		sums := make([]float64, size(full))
		for i := range sums {
			sums[i] = r.start
		}
		steps, _ := stepsInto(full, x.Shape)
		from := 0
		each(x.Shape, func(index []int) {
			at := 0
			for d, i := range index {
				at += i * steps[d]
			}
			v := 0.0
			if x.Type == Float {
				v = float64(x.Floats[from])
			} else {
				v = float64(x.Ints[from])
			}
			from++
			sums[at] = r.add(sums[at], v)
		})
		y, err := c.like(x, shape...)
		if err != nil {
			return err
		}
		for i, v := range sums {
			if r.end != nil {
				v = r.end(v, n)
			}
			if x.Type == Float {
				y.Floats[i] = float32(v)
			} else {
				y.Ints[i] = int64(v)
			}
		}
		return nil
	}
}

// cumulated sums up along an axis: each value with those before it, or, with exclusive, only those before it.
func cumulated(c *call) error {
	x, at := c.in[0], c.in[1]
	if x.Type == Bool || at.Type != Int || at.Len() != 1 {
		return fmt.Errorf("sums of %ss along an axis that is a %s %v", x.Type, at.Type, at.Shape)
	}
	a, err := axis(int(at.Ints[0]), len(x.Shape))
	if err != nil {
		return err
	}
	y, err := c.like(x, x.Shape...)
	if err != nil {
		return err
	}
	along(x.Shape, a, func(start, step, n int) {
		sum, whole := 0.0, int64(0)
		for i := range n {
			if c.int("reverse", 0) != 0 {
				i = n - 1 - i
			}
			i = start + i*step
			if x.Type == Int {
				before := whole
				whole += x.Ints[i]
				if y.Ints[i] = whole; c.int("exclusive", 0) != 0 {
					y.Ints[i] = before
				}
				continue
			}
			before := sum
			sum += float64(x.Floats[i])
			if y.Floats[i] = float32(sum); c.int("exclusive", 0) != 0 {
				y.Floats[i] = float32(before)
			}
		}
	})
	return nil
}
