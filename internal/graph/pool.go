package graph

import (
	"fmt"
	"math"
)

// maxPool: the largest value under each window. Only the first of ONNX's two outputs is made.
func maxPool(c *call) error {
	return c.pool(func(w *window, plane []float32, y0, y1, x0, x1, _ int) float32 {
		best := float32(math.Inf(-1))
		for iy := y0; iy < y1; iy += w.dilation[0] {
			for ix := x0; ix < x1; ix += w.dilation[1] {
				best = max(best, plane[iy*w.in[1]+ix])
			}
		}
		return best
	})
}

// averagePool: the mean under each window, of the values inside the image or, with count_include_pad, of zeros around it too.
func averagePool(c *call) error {
	all := c.int("count_include_pad", 0) != 0
	return c.pool(func(w *window, plane []float32, y0, y1, x0, x1, padded int) float32 {
		sum, n := float32(0), 0
		for iy := y0; iy < y1; iy += w.dilation[0] {
			for ix := x0; ix < x1; ix += w.dilation[1] {
				sum += plane[iy*w.in[1]+ix]
				n++
			}
		}
		if all {
			n = padded
		}
		return sum / float32(max(n, 1))
	})
}

// pool calls f for every output with the rows [y0, y1) and columns [x0, x1) under its window, and how many places of the padded image
// the window has.
func (c *call) pool(f func(w *window, plane []float32, y0, y1, x0, x1, padded int) float32) error {
	x := c.in[0]
	if len(x.Shape) < 3 {
		return fmt.Errorf("input has shape %v, want N×C×W or N×C×H×W", x.Shape)
	}
	w, err := c.windowOf(x, c.list("kernel_shape"))
	if err != nil {
		return err
	}
	y, err := c.floats(w.shape(x, x.Shape[1])...)
	if err != nil {
		return err
	}
	inside, at := w.in[0]*w.in[1], 0
	for p := range x.Shape[0] * x.Shape[1] {
		plane := x.Floats[p*inside : (p+1)*inside]
		for oy := range w.out[0] {
			y0, y1, ny := w.under(0, oy)
			for ox := range w.out[1] {
				x0, x1, nx := w.under(1, ox)
				y.Floats[at] = f(&w, plane, y0, y1, x0, x1, ny*nx)
				at++
			}
		}
	}
	return nil
}

// under returns the part [from, to) of the input, in steps of the dilation, that output o's window covers along d, and how many of its
// places lie in the padded input.
func (w *window) under(d, o int) (from, to, padded int) {
	start := o*w.stride[d] - w.before[d]
	end := start + w.dilation[d]*(w.kernel[d]-1) + 1
	edge := min(end, w.in[d]+w.after[d])
	padded = (edge - start + w.dilation[d] - 1) / w.dilation[d]
	from, to = start, min(end, w.in[d])
	if from < 0 {
		from += (-from + w.dilation[d] - 1) / w.dilation[d] * w.dilation[d]
	}
	return from, to, padded
}

// globalPool reduces each channel's plane to one value.
func globalPool(f func(plane []float32) float32) func(c *call) error {
	return func(c *call) error {
		x := c.in[0]
		if len(x.Shape) < 3 {
			return fmt.Errorf("input has shape %v, want N×C×…", x.Shape)
		}
		shape := []int{x.Shape[0], x.Shape[1]}
		for range x.Shape[2:] {
			shape = append(shape, 1)
		}
		each := size(x.Shape[2:])
		if each == 0 {
			return fmt.Errorf("input has shape %v: nothing to pool", x.Shape)
		}
		y, err := c.floats(shape...)
		if err != nil {
			return err
		}
		for i := range y.Floats {
			y.Floats[i] = f(x.Floats[i*each : (i+1)*each])
		}
		return nil
	}
}

func meanOf(v []float32) float32 {
	sum := 0.0
	for _, x := range v {
		sum += float64(x)
	}
	return float32(sum / float64(len(v)))
}

func maxOf(v []float32) float32 {
	best := v[0]
	for _, x := range v {
		best = max(best, x)
	}
	return best
}
