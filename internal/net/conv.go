package net

import (
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Window says how a kernel moves over images. Pairs are vertical, horizontal.
type Window struct {
	Stride   [2]int // zeros: 1
	Dilation [2]int // zeros: 1
	Pad      [4]int // zeros around: top, left, bottom, right
	Groups   int    // of channels that do not see each other; 0: 1
}

// Same is the window that keeps the size at stride 1, of an odd square kernel.
func Same(kernel, stride int) Window {
	p := kernel / 2
	return Window{Stride: [2]int{stride, stride}, Pad: [4]int{p, p, p, p}}
}

// geometry is a window over images of known size.
type geometry struct {
	Window
	batch, high, wide, channels int
	kernel                      [2]int
	outHigh, outWide            int
}

// over checks and completes a window; message is empty when it fits.
func (w Window) over(shape []int, kernel [2]int) (s geometry, message string) {
	if len(shape) != 4 {
		return s, "images are [batch, height, width, channels]"
	}
	s = geometry{Window: w, batch: shape[0], high: shape[1], wide: shape[2], channels: shape[3], kernel: kernel}
	for i := range 2 {
		s.Stride[i], s.Dilation[i] = max(w.Stride[i], 1), max(w.Dilation[i], 1)
	}
	s.Groups = max(w.Groups, 1)
	s.outHigh = (s.high+w.Pad[0]+w.Pad[2]-s.Dilation[0]*(kernel[0]-1)-1)/s.Stride[0] + 1
	s.outWide = (s.wide+w.Pad[1]+w.Pad[3]-s.Dilation[1]*(kernel[1]-1)-1)/s.Stride[1] + 1
	switch {
	case s.high+w.Pad[0]+w.Pad[2] < s.Dilation[0]*(kernel[0]-1)+1, s.wide+w.Pad[1]+w.Pad[3] < s.Dilation[1]*(kernel[1]-1)+1:
		return s, "the kernel is larger than the padded image"
	case s.channels%s.Groups != 0:
		return s, "groups do not divide the channels"
	}
	return s, ""
}

// convBlock is how many values of unfolded windows a task holds at a time: half an L2 cache. Only tests change it.
var convBlock = 1 << 17

const (
	convWork  = 6 << 20 // multiply-adds that are worth a thread in a forward pass
	convTasks = 16      // blocks that a convolution is cut into at least, so that threads find work
	convSums  = 4 << 20 // values of partial gradients by weights at most
)

// conv is a convolution: windows are unfolded to rows, block by block, and multiplied with the weights.
type conv struct {
	g          *Graph
	s          geometry
	x, w, b, y *Node
	out        int       // channels
	depth      int       // values in a window of one group
	lines      int       // output lines of a block
	ahead      int       // those of a block of forward passes, whose results do not depend on the cut
	turned     []float32 // weights as [window, out] of each group, during a forward pass
	parts      int       // partial gradients by the weights
	sums       *columnSums

	run, byWeight, byInput, join func(lo, hi int)

	norm          *batchNorm // what is folded in, in passes without gradient
	relu          bool
	factor, shift []float32 // of norm

	part   []float32
	dw, dx []float32
	add    bool
}

// Conv2D slides w [out, height, width, in/groups] over images x [batch, height, width, in] and adds b [out], which may be nil.
func (g *Graph) Conv2D(x, w, b *Node, window Window) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(w.shape) != 4 {
		return g.fail("convolution: weight %v is not [out, height, width, in]", w.shape)
	}
	s, message := window.over(x.shape, [2]int{w.shape[1], w.shape[2]})
	switch {
	case message != "":
		return g.fail("convolution: input %v, weight %v: %s", x.shape, w.shape, message)
	case w.shape[3]*s.Groups != s.channels || w.shape[0]%s.Groups != 0 || b != nil && b.Size() != w.shape[0]:
		return g.fail("convolution: input %v, weight %v, bias %t, %d groups do not fit", x.shape, w.shape, b != nil, s.Groups)
	}
	in := []*Node{x, w}
	if b != nil {
		in = append(in, b)
	}
	y := g.node(s.batch, s.outHigh, s.outWide, w.shape[0])
	o := operation{name: "convolution", in: in, out: y, keepIn: true}
	if s.Groups == s.channels && w.shape[0] == s.channels && s.Groups > 1 {
		o.name = "depthwise convolution"
		return g.add(o, g.depthwise(s, x, w, b, y))
	}
	k := &conv{g: g, s: s, x: x, w: w, b: b, y: y, out: w.shape[0], depth: s.kernel[0] * s.kernel[1] * w.shape[3], sums: g.columnSums()}
	total := s.batch * s.outHigh
	k.lines = max(1, min(convBlock/(s.outWide*k.depth), (total+convTasks-1)/convTasks))
	tasks := min(convTasks, max(1, total*s.outWide*k.out*k.depth/convWork))
	k.ahead = max(1, min(convBlock/(s.outWide*k.depth), (total+tasks-1)/tasks))
	k.parts = max(1, min(convTasks, (total+k.lines-1)/k.lines, convSums/w.Size()))
	k.run, k.byWeight, k.byInput, k.join = k.forwardRange, k.weightRange, k.inputRange, k.joinRange
	return g.add(o, k)
}

// plain reports whether windows are pixels: nothing to unfold.
func (k *conv) plain() bool {
	return k.s.kernel == [2]int{1, 1} && k.s.Stride == [2]int{1, 1} && k.s.Pad == [4]int{}
}

// windows returns the unfolded windows of output lines lo..hi in a group, and their leading dimension.
func (k *conv) windows(room []float32, lo, hi, group int) (rows []float32, lead int) {
	x, in := k.x.root.value, k.s.channels/k.s.Groups
	if k.plain() {
		return x[lo*k.s.outWide*k.s.channels+group*in:], k.s.channels
	}
	for line := lo; line < hi; line++ {
		k.s.unfold(room[(line-lo)*k.s.outWide*k.depth:], x, line, group*in, in)
	}
	return room, k.depth
}

// unfold writes an output line's windows, channels from..from+in of each pixel, one after the other.
func (s *geometry) unfold(rows, x []float32, line, from, in int) {
	kw, stretch := s.kernel[1], s.kernel[1]*in
	image, top := line/s.outHigh, line%s.outHigh*s.Stride[0]-s.Pad[0]
	whole := s.Dilation[1] == 1 && in == s.channels // a window's line is one stretch of memory
	for ky := range s.kernel[0] {
		row := rows[ky*stretch:]
		step := s.kernel[0] * stretch
		y := top + ky*s.Dilation[0]
		if y < 0 || y >= s.high {
			for ox := range s.outWide {
				clear(row[ox*step : ox*step+stretch])
			}
			continue
		}
		src := x[(image*s.high+y)*s.wide*s.channels:][:s.wide*s.channels]
		if in == 1 && s.channels == 1 { // too little in a stretch to copy it as such
			s.unfoldGrey(row, src, step)
			continue
		}
		for ox := range s.outWide {
			to, left := row[ox*step:ox*step+stretch], ox*s.Stride[1]-s.Pad[1]
			if whole {
				a, b := max(0, -left), min(kw, s.wide-left)
				if b <= a {
					clear(to)
					continue
				}
				clear(to[:a*in])
				clear(to[b*in:])
				to = to[a*in : b*in]
				copy(to, src[(left+a)*in:])
				continue
			}
			for kx := range kw {
				px := left + kx*s.Dilation[1]
				if px < 0 || px >= s.wide {
					clear(to[kx*in : kx*in+in])
					continue
				}
				copy(to[kx*in:kx*in+in], src[px*s.channels+from:])
			}
		}
	}
}

// unfoldGrey writes a line of windows over a line of pixels of one channel.
func (s *geometry) unfoldGrey(row, src []float32, step int) {
	for kx := range s.kernel[1] {
		px, at := kx*s.Dilation[1]-s.Pad[1], kx
		for range s.outWide {
			v := float32(0)
			if uint(px) < uint(len(src)) {
				v = src[px]
			}
			row[at] = v
			px, at = px+s.Stride[1], at+step
		}
	}
}

// fold adds windows back to the pixels that they came from.
func (s *geometry) fold(x, rows []float32, line, from, in int) {
	kw, stretch := s.kernel[1], s.kernel[1]*in
	image, top := line/s.outHigh, line%s.outHigh*s.Stride[0]-s.Pad[0]
	whole := s.Dilation[1] == 1 && in == s.channels
	for ky := range s.kernel[0] {
		row := rows[ky*stretch:]
		step := s.kernel[0] * stretch
		y := top + ky*s.Dilation[0]
		if y < 0 || y >= s.high {
			continue
		}
		dst := x[(image*s.high+y)*s.wide*s.channels:][:s.wide*s.channels]
		for ox := range s.outWide {
			d, left := row[ox*step:ox*step+stretch], ox*s.Stride[1]-s.Pad[1]
			if whole {
				if a, b := max(0, -left), min(kw, s.wide-left); a < b {
					addTo(dst[(left+a)*in:(left+b)*in], d[a*in:b*in])
				}
				continue
			}
			for kx := range kw {
				if px := left + kx*s.Dilation[1]; px >= 0 && px < s.wide {
					addTo(dst[px*s.channels+from:][:in], d[kx*in:kx*in+in])
				}
			}
		}
	}
}

// room takes memory for the windows of a block.
func (k *conv) room(lines int) *scratch {
	if k.plain() {
		return k.g.scratch.take(0)
	}
	return k.g.scratch.take(lines * k.s.outWide * k.depth)
}

func (k *conv) forward() {
	total, out := k.s.batch*k.s.outHigh, k.out/k.s.Groups
	w, turned := k.w.root.value, k.g.scratch.take(k.w.Size())
	defer k.g.scratch.give(turned)
	k.turned = turned.values
	for at := 0; at < len(w); at += out * k.depth {
		num.Transpose(k.turned[at:at+out*k.depth], w[at:at+out*k.depth], k.depth, out, k.depth) // once, not in every block
	}
	if k.norm != nil {
		k.foldNorm()
	}
	blocks := (total + k.ahead - 1) / k.ahead
	num.Parallel(blocks, convWork*blocks/(total*k.s.outWide*k.out*k.depth)+1, k.run)
}

func (k *conv) forwardRange(lo, hi int) {
	room := k.room(k.ahead)
	defer k.g.scratch.give(room)
	y, bias := k.y.root.value, k.shift
	if k.norm == nil && k.b != nil {
		bias = k.b.root.value
	}
	total, out := k.s.batch*k.s.outHigh, k.out/k.s.Groups
	for block := lo; block < hi; block++ {
		from, to := block*k.ahead, min((block+1)*k.ahead, total)
		rows := (to - from) * k.s.outWide
		dst := y[from*k.s.outWide*k.out : to*k.s.outWide*k.out]
		if bias != nil {
			for i := range rows {
				copy(dst[i*k.out:], bias)
			}
		}
		for group := range k.s.Groups {
			windows, lead := k.windows(room.values, from, to, group)
			num.Gemm(false, false, rows, out, k.depth, 1, windows, lead, k.turned[group*out*k.depth:], out, betaOf(bias != nil), dst[group*out:], k.out)
		}
		for ; k.relu && len(dst) > 0; dst = dst[min(stretch, len(dst)):] {
			part := dst[:min(stretch, len(dst))]
			num.ReLU(part, part)
		}
	}
}

func (k *conv) backward() {
	dy := k.y.root.grad
	pixels := k.s.batch * k.s.outHigh * k.s.outWide
	if dw, add := k.w.gradient(); dw != nil {
		s := k.g.scratch.take(k.parts * len(dw))
		k.part, k.dw, k.add = s.values, dw, add
		num.Parallel(k.parts, 1, k.byWeight)
		num.Parallel(len(dw), elementGrain, k.join)
		k.g.scratch.give(s)
	}
	if k.b != nil {
		if db, add := k.b.gradient(); db != nil {
			k.sums.sum(db, dy, pixels, k.out, add)
		}
	}
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(k.s.batch, 1, k.byInput)
	}
}

// weightRange adds up gradients by the weights over the blocks of each part, in order.
func (k *conv) weightRange(lo, hi int) {
	room := k.room(k.lines)
	defer k.g.scratch.give(room)
	dy, size := k.y.root.grad, k.w.Size()
	total, out := k.s.batch*k.s.outHigh, k.out/k.s.Groups
	blocks := (total + k.lines - 1) / k.lines
	for p := lo; p < hi; p++ {
		part := k.part[p*size : (p+1)*size]
		first := p * blocks / k.parts
		for block := first; block < (p+1)*blocks/k.parts; block++ {
			from, to := block*k.lines, min((block+1)*k.lines, total)
			d := dy[from*k.s.outWide*k.out : to*k.s.outWide*k.out]
			for group := range k.s.Groups {
				windows, lead := k.windows(room.values, from, to, group)
				num.Gemm(true, false, out, k.depth, (to-from)*k.s.outWide, 1, d[group*out:], k.out, windows, lead, betaOf(block > first), part[group*out*k.depth:][:out*k.depth], k.depth)
			}
		}
	}
}

// joinRange adds the parts in order.
func (k *conv) joinRange(lo, hi int) {
	joinParts(k.dw, k.part, k.parts, lo, hi, k.add)
}

func joinParts(dst, part []float32, parts, lo, hi int, add bool) {
	to := dst[lo:hi]
	if !add {
		clear(to)
	}
	for p := range parts {
		addTo(to, part[p*len(dst)+lo:p*len(dst)+hi])
	}
}

// inputRange computes the gradient by whole images.
func (k *conv) inputRange(lo, hi int) {
	s := k.s
	dy, w := k.y.root.grad, k.w.root.value
	image, out, in := s.high*s.wide*s.channels, k.out/s.Groups, s.channels/s.Groups
	if !k.add && !k.plain() {
		clear(k.dx[lo*image : hi*image])
	}
	room := k.room(k.lines)
	defer k.g.scratch.give(room)
	for from := lo * s.outHigh; from < hi*s.outHigh; from += k.lines {
		to := min(from+k.lines, hi*s.outHigh)
		rows := (to - from) * s.outWide
		d := dy[from*s.outWide*k.out : to*s.outWide*k.out]
		for group := range s.Groups {
			kernel := w[group*out*k.depth:]
			if k.plain() {
				num.Gemm(false, false, rows, k.depth, out, 1, d[group*out:], k.out, kernel, k.depth, betaOf(k.add), k.dx[from*s.outWide*s.channels+group*in:], s.channels)
				continue
			}
			num.Gemm(false, false, rows, k.depth, out, 1, d[group*out:], k.out, kernel, k.depth, 0, room.values, k.depth)
			for line := from; line < to; line++ {
				s.fold(k.dx, room.values[(line-from)*s.outWide*k.depth:], line, group*in, in)
			}
		}
	}
}

// Conv is Conv2D with parameters name.weight and name.bias of its own and a square kernel.
func (g *Graph) Conv(name string, x *Node, out, kernel int, window Window) *Node {
	if g.err != nil {
		return g.fail("")
	}
	w := g.Param(joinLayer(name, "weight"), HeNormal, out, kernel, kernel, x.width()/max(window.Groups, 1))
	return g.Conv2D(x, w, g.Param(joinLayer(name, "bias"), Constant(0), out), window)
}
