package graph

import (
	"fmt"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// window is the geometry of a convolution or a pool over images of in[0]×in[1]; a signal is an image of height 1.
type window struct {
	in, kernel, stride, dilation, before, after, out [2]int
}

// windowOf reads attributes for x of N×C×W or N×C×H×W.
func (c *call) windowOf(x *Tensor, kernel []int) (w window, err error) {
	spatial := len(x.Shape) - 2
	if spatial != 1 && spatial != 2 {
		return w, fmt.Errorf("input has shape %v, want N×C×W or N×C×H×W", x.Shape)
	}
	at := 2 - spatial
	pair := func(list []int, what string, missing int) (p [2]int, err error) {
		p = [2]int{missing, missing}
		if at == 1 {
			p[0] = missing
		}
		if list == nil {
			return p, nil
		}
		if len(list) != spatial {
			return p, fmt.Errorf("%s %v, want %d", what, list, spatial)
		}
		copy(p[at:], list)
		return p, nil
	}
	w.in = [2]int{1, 1}
	copy(w.in[at:], x.Shape[2:])
	w.kernel, w.stride, w.dilation = [2]int{1, 1}, [2]int{1, 1}, [2]int{1, 1}
	if len(kernel) != spatial {
		return w, fmt.Errorf("kernel %v over an input of shape %v", kernel, x.Shape)
	}
	copy(w.kernel[at:], kernel)
	if w.stride, err = pair(c.list("strides"), "strides", 1); err != nil {
		return w, err
	}
	if w.dilation, err = pair(c.list("dilations"), "dilations", 1); err != nil {
		return w, err
	}
	if pads := c.list("pads"); pads != nil {
		if len(pads) != 2*spatial {
			return w, fmt.Errorf("pads %v, want %d", pads, 2*spatial)
		}
		copy(w.before[at:], pads[:spatial])
		copy(w.after[at:], pads[spatial:])
	}
	return w, w.fit(c.text("auto_pad", "NOTSET"), c.int("ceil_mode", 0) != 0)
}

// fit finds padding and output size.
func (w *window) fit(auto string, ceil bool) error {
	for d := range 2 {
		if w.kernel[d] < 1 || w.stride[d] < 1 || w.dilation[d] < 1 {
			return fmt.Errorf("kernel %v, strides %v, dilations %v: want 1 or more", w.kernel, w.stride, w.dilation)
		}
		reach := w.dilation[d]*(w.kernel[d]-1) + 1
		switch auto {
		case "NOTSET", "":
		case "VALID":
			w.before[d], w.after[d] = 0, 0
		case "SAME_UPPER", "SAME_LOWER":
			n := (w.in[d] + w.stride[d] - 1) / w.stride[d]
			pad := max(0, (n-1)*w.stride[d]+reach-w.in[d])
			w.before[d] = pad / 2
			if auto == "SAME_LOWER" {
				w.before[d] = pad - pad/2
			}
			w.after[d] = pad - w.before[d]
		default:
			return fmt.Errorf("auto_pad %q is not known", auto)
		}
		if w.before[d] < 0 || w.after[d] < 0 {
			return fmt.Errorf("negative padding %v %v", w.before, w.after)
		}
		room := w.in[d] + w.before[d] + w.after[d] - reach
		if room < 0 {
			return fmt.Errorf("kernel %v with dilation %v is larger than the padded input %v", w.kernel, w.dilation, w.in)
		}
		w.out[d] = room/w.stride[d] + 1
		if ceil && room%w.stride[d] != 0 && w.out[d]*w.stride[d] < w.in[d]+w.before[d] {
			w.out[d]++ // a last window that begins inside the input, or left of it
		}
	}
	return nil
}

// shape puts the batch and the channels before the output's size.
func (w *window) shape(x *Tensor, channels int) []int {
	if len(x.Shape) == 3 {
		return []int{x.Shape[0], channels, w.out[1]}
	}
	return []int{x.Shape[0], channels, w.out[0], w.out[1]}
}

// span returns the outputs [lo, hi) along d whose tap k falls inside the input, and the input's position for output 0.
func (w *window) span(d, k int) (lo, hi, first int) {
	first = k*w.dilation[d] - w.before[d]
	if first < 0 {
		lo = (-first + w.stride[d] - 1) / w.stride[d]
	}
	hi = w.out[d]
	if most := w.in[d] - 1 - first; most < 0 {
		hi = 0
	} else {
		hi = min(hi, most/w.stride[d]+1)
	}
	return min(lo, hi), hi, first
}

// stripValues is how much of an unrolled image is multiplied at a time: it should stay in a cache.
const stripValues = 1 << 17

// mixing is how many outputs of one channel make a matrix product worth unrolling it.
const mixing = 4

// conv: X is N×C×H×W, W is M×C/groups×KH×KW, B has M values.
func conv(c *call) error {
	x, weight := c.in[0], c.in[1]
	if len(weight.Shape) != len(x.Shape) || len(x.Shape) < 3 {
		return fmt.Errorf("weights have shape %v, input %v", weight.Shape, x.Shape)
	}
	w, err := c.windowOf(x, weight.Shape[2:])
	if err != nil {
		return err
	}
	groups, channels, m := c.int("group", 1), x.Shape[1], weight.Shape[0]
	if groups < 1 || channels%groups != 0 || m%groups != 0 || weight.Shape[1] != channels/groups {
		return fmt.Errorf("weights %v with %d groups want %d input channels, have %d", weight.Shape, groups, weight.Shape[1]*groups, channels)
	}
	var bias []float32
	if b := c.input(2); b != nil {
		if b.Len() != m {
			return fmt.Errorf("bias has %d values for %d output channels", b.Len(), m)
		}
		bias = b.Floats
	}
	y, err := c.floats(w.shape(x, m)...)
	if err != nil {
		return err
	}
	inside, outside := w.in[0]*w.in[1], w.out[0]*w.out[1]
	for i := range x.Shape[0] {
		xi, yi := x.Floats[i*channels*inside:(i+1)*channels*inside], y.Floats[i*m*outside:(i+1)*m*outside]
		if channels == groups && m/groups < mixing {
			w.depthwise(yi, xi, weight.Floats, m/groups)
		} else {
			w.convolve(yi, xi, weight.Floats, groups, channels/groups, m/groups, c.m)
		}
		for o := range m {
			b := float32(0)
			if bias != nil {
				b = bias[o]
			}
			shiftClip(yi[o*outside:(o+1)*outside], b, c.act)
		}
	}
	return nil
}

// shiftClip adds b, then clips.
func shiftClip(y []float32, b float32, act activation) {
	if b == 0 && !act.on {
		return
	}
	if !act.on {
		for i := range y {
			y[i] += b
		}
		return
	}
	for i, v := range y {
		y[i] = min(max(v+b, act.lo), act.hi)
	}
}

// convolve computes one image by unrolling strips of it: y[o, p] = Σ weight[o, k] · unrolled[k, p].
func (w *window) convolve(y, x, weight []float32, groups, channels, outputs int, m *Memory) {
	inside, outside := w.in[0]*w.in[1], w.out[0]*w.out[1]
	depth := channels * w.kernel[0] * w.kernel[1]
	plain := w.kernel == [2]int{1, 1} && w.stride == [2]int{1, 1} && w.in == w.out
	rows := min(w.out[0], max(1, stripValues/max(1, depth*w.out[1])))
	for g := range groups {
		xg, yg, wg := x[g*channels*inside:], y[g*outputs*outside:], weight[g*outputs*depth:]
		if plain {
			num.Gemm(false, false, outputs, outside, depth, 1, wg, depth, xg, inside, 0, yg, outside)
			continue
		}
		for top := 0; top < w.out[0]; top += rows {
			n := min(rows, w.out[0]-top) * w.out[1]
			strip := m.unrolled(depth * n)
			w.unroll(strip, xg, channels, top, top+n/w.out[1])
			num.Gemm(false, false, outputs, n, depth, 1, wg, depth, strip, n, 0, yg[top*w.out[1]:], outside)
		}
	}
}

// unroll writes for every channel and tap a row with what the tap sees from output rows [top, bottom): (C·KH·KW)×(rows·OW).
func (w *window) unroll(dst, x []float32, channels, top, bottom int) {
	width, inside := w.out[1], w.in[0]*w.in[1]
	shifts := w.stride == [2]int{1, 1} && w.in[1] == width
	for c := range channels {
		plane := x[c*inside : (c+1)*inside]
		for ky := range w.kernel[0] {
			for kx := range w.kernel[1] {
				lo, hi, first := w.span(1, kx)
				if shifts {
					n := (bottom - top) * width
					shifted(dst[:n], plane, (top+ky*w.dilation[0]-w.before[0])*width+first, width, lo, hi)
					dst = dst[n:]
					continue
				}
				for oy := top; oy < bottom; oy++ {
					row := dst[:width]
					dst = dst[width:]
					iy := oy*w.stride[0] + ky*w.dilation[0] - w.before[0]
					if iy < 0 || iy >= w.in[0] || lo >= hi {
						clear(row)
						continue
					}
					clear(row[:lo])
					clear(row[hi:])
					src := plane[iy*w.in[1] : (iy+1)*w.in[1]]
					if w.stride[1] == 1 {
						copy(row[lo:hi], src[lo+first:])
						continue
					}
					for ox, at := lo, lo*w.stride[1]+first; ox < hi; ox, at = ox+1, at+w.stride[1] {
						row[ox] = src[at]
					}
				}
			}
		}
	}
}

// shifted copies a plane from a place on, which may lie outside, and clears what is outside, and the columns of each row that are not
// in [lo, hi): what a tap sees when rows are neither skipped nor shortened.
func shifted(dst, plane []float32, from, width, lo, hi int) {
	begin := min(max(-from, 0), len(dst))
	end := max(begin, min(len(dst), len(plane)-from))
	clear(dst[:begin])
	if begin < end {
		copy(dst[begin:end], plane[from+begin:])
	}
	clear(dst[end:])
	for ; (lo > 0 || hi < width) && len(dst) > 0; dst = dst[width:] {
		for i := range lo {
			dst[i] = 0
		}
		for i := hi; i < width; i++ {
			dst[i] = 0
		}
	}
}

// depthwise computes one image whose channels do not mix: times outputs of each.
func (w *window) depthwise(y, x, weight []float32, times int) {
	inside, outside, taps := w.in[0]*w.in[1], w.out[0]*w.out[1], w.kernel[0]*w.kernel[1]
	clear(y)
	for o := range len(y) / outside {
		plane, out, k := x[o/times*inside:][:inside], y[o*outside:][:outside], weight[o*taps:][:taps]
		for ky := range w.kernel[0] {
			top, bottom, firstY := w.span(0, ky)
			if w.kernel[1] == 3 && w.dilation[1] == 1 {
				for oy := top; oy < bottom; oy++ {
					w.threeTaps(out[oy*w.out[1]:][:w.out[1]], plane[(oy*w.stride[0]+firstY)*w.in[1]:][:w.in[1]], k[3*ky:3*ky+3])
				}
				continue
			}
			for kx := range w.kernel[1] {
				lo, hi, first := w.span(1, kx)
				v := k[ky*w.kernel[1]+kx]
				for oy := top; oy < bottom; oy++ {
					src := plane[(oy*w.stride[0]+firstY)*w.in[1]:][:w.in[1]]
					dst := out[oy*w.out[1]:][:w.out[1]]
					if w.stride[1] == 1 && lo < hi {
						addScaled(dst[lo:hi], src[lo+first:], v)
						continue
					}
					for ox, at := lo, lo*w.stride[1]+first; ox < hi; ox, at = ox+1, at+w.stride[1] {
						dst[ox] += v * src[at]
					}
				}
			}
		}
	}
}

// threeTaps adds a row of a kernel of width 3 to a row of outputs.
func (w *window) threeTaps(dst, src, k []float32) {
	lo, _, _ := w.span(1, 0) // the left tap begins last, the right tap ends first
	_, hi, _ := w.span(1, 2)
	hi = max(lo, hi)
	edge := func(ox int) {
		for kx, v := range k {
			if ix := ox*w.stride[1] + kx - w.before[1]; ix >= 0 && ix < len(src) {
				dst[ox] += v * src[ix]
			}
		}
	}
	for ox := range min(lo, len(dst)) {
		edge(ox)
	}
	a, b, c := k[0], k[1], k[2]
	if at := lo*w.stride[1] - w.before[1]; w.stride[1] == 1 && lo < hi {
		in := src[at:]
		out := dst[lo:hi]
		in = in[: len(out)+2 : len(out)+2]
		for i := range out {
			out[i] += a*in[i] + b*in[i+1] + c*in[i+2]
		}
	} else {
		for ox := lo; ox < hi; ox, at = ox+1, at+w.stride[1] {
			dst[ox] += a*src[at] + b*src[at+1] + c*src[at+2]
		}
	}
	for ox := hi; ox < len(dst); ox++ {
		edge(ox)
	}
}

func addScaled(dst, src []float32, v float32) {
	src = src[:len(dst)]
	for i, s := range src {
		dst[i] += v * s
	}
}
