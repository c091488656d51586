package graph

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// poolGrain is the fewest values under windows that are worth a thread.
const poolGrain = 1 << 19

// maxPool: the largest value under each window. Only the first of ONNX's two outputs is made.
func maxPool(c *call) error {
	return c.pool(float32(math.Inf(-1)), func(dst, src []float32, stride int) {
		for i, v := range dst {
			dst[i] = max(v, src[i*stride])
		}
	}, nil)
}

// averagePool: the mean under each window, of the values inside the image or, with count_include_pad, of zeros around it too.
func averagePool(c *call) error {
	all := c.int("count_include_pad", 0) != 0
	sum := func(dst, src []float32, stride int) {
		for i := range dst {
			dst[i] += src[i*stride]
		}
	}
	return c.pool(0, sum, func(w *window, y []float32) {
		for oy := range w.out[0] {
			ny := w.places(0, oy, all)
			for ox := range w.out[1] {
				y[oy*w.out[1]+ox] /= float32(max(ny*w.places(1, ox, all), 1))
			}
		}
	})
}

// pool joins to each output, which begins at start, what each tap of the window sees, a line of outputs at a time; end, if any,
// finishes a plane.
func (c *call) pool(start float32, join func(dst, src []float32, stride int), end func(w *window, y []float32)) error {
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
	inside, outside := w.in[0]*w.in[1], w.out[0]*w.out[1]
	work := outside * w.kernel[0] * w.kernel[1]
	num.Parallel(x.Shape[0]*x.Shape[1], poolGrain/max(work, 1)+1, func(from, to int) {
		for p := from; p < to; p++ {
			plane, out := x.Floats[p*inside:(p+1)*inside], y.Floats[p*outside:(p+1)*outside]
			for i := range out {
				out[i] = start
			}
			for ky := range w.kernel[0] {
				top, bottom, firstY := w.span(0, ky)
				for kx := range w.kernel[1] {
					lo, hi, firstX := w.span(1, kx)
					for oy := top; oy < bottom && lo < hi; oy++ {
						join(out[oy*w.out[1]:][lo:hi], plane[(oy*w.stride[0]+firstY)*w.in[1]+lo*w.stride[1]+firstX:], w.stride[1])
					}
				}
			}
			if end != nil {
				end(&w, out)
			}
		}
	})
	return nil
}

// places returns how many places of output o's window along d lie in the input, or in the padded input.
func (w *window) places(d, o int, padded bool) int {
	from := o*w.stride[d] - w.before[d]
	end, n := w.in[d], 0
	if padded {
		end += w.after[d]
	}
	for k := range w.kernel[d] {
		if at := from + k*w.dilation[d]; at < end && (padded || at >= 0) {
			n++
		}
	}
	return n
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
