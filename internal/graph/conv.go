package graph

import (
	"fmt"
	"math"

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

// convGrain is the fewest multiply-adds that are worth a thread: some fifty microseconds.
const convGrain = 6 << 20

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
	k := &convolution{window: w, x: x.Floats, y: y.Floats, weight: weight.Floats, bias: bias,
		groups: groups, channels: channels / groups, outputs: m / groups, act: c.act, m: c.m}
	k.run(x.Shape[0])
	return nil
}

// convolution is a convolution at work. It is cut into tasks, strips of a group's outputs or single channels, which write apart and in
// which no value depends on the cut: threads share a batch and, where that is small, an image.
type convolution struct {
	window
	x, y, weight, bias []float32 // bias may be nil
	groups             int
	channels, outputs  int // of a group
	act                activation
	m                  *Memory

	rows, strips int // output rows of a strip, strips of an image
}

func (k *convolution) run(images int) {
	outside := k.out[0] * k.out[1]
	depth := k.channels * k.kernel[0] * k.kernel[1]
	work, tasks, do := outside*depth, k.groups*k.outputs, k.channel
	if k.channels != 1 || k.outputs >= mixing {
		work *= k.outputs
		k.strips = max(1, (depth*outside+stripValues-1)/stripValues)
		if work >= 2*convGrain {
			k.strips += k.strips % 2 // the halves of an image are two threads' work
		}
		k.rows = (k.out[0] + k.strips - 1) / k.strips
		k.strips = (k.out[0] + k.rows - 1) / k.rows
		work, tasks, do = work/k.strips, k.groups*k.strips, k.strip
	}
	num.Parallel(images*tasks, convGrain/max(work, 1)+1, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			do(i/tasks, i%tasks)
		}
	})
}

// strip computes rows of a group's outputs by unrolling what they see: y[o, p] = Σ weight[o, k] · unrolled[k, p].
func (k *convolution) strip(image, task int) {
	inside, outside := k.in[0]*k.in[1], k.out[0]*k.out[1]
	depth := k.channels * k.kernel[0] * k.kernel[1]
	group, top := task/k.strips, task%k.strips*k.rows
	bottom := min(top+k.rows, k.out[0])
	n, first := (bottom-top)*k.out[1], group*k.outputs
	x := k.x[(image*k.groups+group)*k.channels*inside:][:k.channels*inside]
	y := k.y[(image*k.groups+group)*k.outputs*outside:][:k.outputs*outside]
	weight := k.weight[first*depth : (first+k.outputs)*depth]
	if k.kernel == [2]int{1, 1} && k.stride == [2]int{1, 1} && k.in == k.out {
		num.Gemm(false, false, k.outputs, n, depth, 1, weight, depth, x[top*k.out[1]:], inside, 0, y[top*k.out[1]:], outside)
	} else {
		unrolled := k.m.takeStrip(depth * n)
		k.unroll(unrolled, x, k.channels, top, bottom)
		num.Gemm(false, false, k.outputs, n, depth, 1, weight, depth, unrolled, n, 0, y[top*k.out[1]:], outside)
		k.m.giveStrip(unrolled)
	}
	for o := range k.outputs {
		k.finish(y[o*outside+top*k.out[1]:][:n], first+o)
	}
}

// channel computes one output of a group of one channel.
func (k *convolution) channel(image, o int) {
	inside, outside, taps := k.in[0]*k.in[1], k.out[0]*k.out[1], k.kernel[0]*k.kernel[1]
	x := k.x[(image*k.groups+o/k.outputs)*inside:][:inside]
	y := k.y[(image*k.groups*k.outputs+o)*outside:][:outside]
	k.depthwise(y, x, k.weight[o*taps:][:taps])
	k.finish(y, o)
}

// finish adds the bias of an output and clips.
func (k *convolution) finish(y []float32, o int) {
	b := float32(0)
	if k.bias != nil {
		b = k.bias[o]
	}
	shiftClip(y, b, k.act)
}

// shiftClip adds b, then clips.
func shiftClip(y []float32, b float32, act activation) {
	switch inf := float32(math.Inf(1)); {
	case act.on:
		num.ShiftClip(y, y, b, act.lo, act.hi)
	case b != 0:
		num.ShiftClip(y, y, b, -inf, inf)
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
	for i := range lo {
		clearEvery(dst, i, width)
	}
	for i := hi; i < width; i++ {
		clearEvery(dst, i, width)
	}
}

func clearEvery(dst []float32, from, step int) {
	for ; from < len(dst); from += step {
		dst[from] = 0
	}
}

// depthwise slides a kernel of one channel over a plane.
func (w *window) depthwise(out, plane, k []float32) {
	clear(out)
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
