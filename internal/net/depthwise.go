package net

import "github.com/gimbal-ml/gimbal/internal/num"

// depthwise is a convolution in which each channel sees only itself: pixels are multiplied by weights channel by channel.
type depthwise struct {
	g          *Graph
	s          geometry
	x, w, b, y *Node
	turned     []float32 // weights as [window, channels]
	parts      int
	sums       *columnSums

	run, byWeight, byInput func(lo, hi int)

	part []float32
	dx   []float32
	add  bool
}

func (g *Graph) depthwise(s geometry, x, w, b, y *Node) *depthwise {
	k := &depthwise{g: g, s: s, x: x, w: w, b: b, y: y, turned: make([]float32, w.Size()), sums: g.columnSums()}
	k.parts = min(convTasks, s.batch)
	k.run, k.byWeight, k.byInput = k.forwardRange, k.weightRange, k.inputRange
	return k
}

// taps calls f for every pixel of an output line and place of the window that lies on the image: places of the output, of
// the input and of the window.
func (s *geometry) taps(line int, f func(out, in, at int)) {
	image, top := line/s.outHigh, line%s.outHigh*s.Stride[0]-s.Pad[0]
	for ox := range s.outWide {
		left := ox*s.Stride[1] - s.Pad[1]
		for ky := range s.kernel[0] {
			y := top + ky*s.Dilation[0]
			if y < 0 || y >= s.high {
				continue
			}
			for kx := range s.kernel[1] {
				if px := left + kx*s.Dilation[1]; px >= 0 && px < s.wide {
					f(line*s.outWide+ox, (image*s.high+y)*s.wide+px, ky*s.kernel[1]+kx)
				}
			}
		}
	}
}

func (k *depthwise) turn() {
	window := k.s.kernel[0] * k.s.kernel[1]
	for c := range k.s.channels {
		for i := range window {
			k.turned[i*k.s.channels+c] = k.w.root.value[c*window+i]
		}
	}
}

func (k *depthwise) forward() {
	k.turn()
	num.Parallel(k.s.batch*k.s.outHigh, max(1, elementGrain/(k.s.outWide*k.s.channels)), k.run)
}

func (k *depthwise) forwardRange(lo, hi int) {
	x, y, c := k.x.root.value, k.y.root.value, k.s.channels
	for line := lo; line < hi; line++ {
		for i := line * k.s.outWide; i < (line+1)*k.s.outWide; i++ {
			if k.b != nil {
				copy(y[i*c:i*c+c], k.b.root.value)
			} else {
				clear(y[i*c : i*c+c])
			}
		}
		k.s.taps(line, func(out, in, at int) {
			num.AddProduct(y[out*c:out*c+c], x[in*c:in*c+c], k.turned[at*c:at*c+c])
		})
	}
}

func (k *depthwise) backward() {
	k.turn()
	if dw, add := k.w.gradient(); dw != nil {
		size := k.w.Size()
		s := k.g.scratch.take((k.parts + 1) * size)
		k.part = s.values
		num.Parallel(k.parts, 1, k.byWeight)
		sum := s.values[k.parts*size:]
		joinParts(sum, k.part, k.parts, 0, size, false)
		if !add {
			clear(dw)
		}
		window := k.s.kernel[0] * k.s.kernel[1]
		for c := range k.s.channels {
			for i := range window {
				dw[c*window+i] += sum[i*k.s.channels+c]
			}
		}
		k.g.scratch.give(s)
	}
	if k.b != nil {
		if db, add := k.b.gradient(); db != nil {
			k.sums.sum(db, k.y.root.grad, k.y.rows(), k.s.channels, add)
		}
	}
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(k.s.batch, 1, k.byInput)
	}
}

func (k *depthwise) weightRange(lo, hi int) {
	x, dy, c, size := k.x.root.value, k.y.root.grad, k.s.channels, k.w.Size()
	lines := k.s.batch * k.s.outHigh
	for p := lo; p < hi; p++ {
		part := k.part[p*size : (p+1)*size]
		clear(part)
		for line := p * lines / k.parts; line < (p+1)*lines/k.parts; line++ {
			k.s.taps(line, func(out, in, at int) {
				num.AddProduct(part[at*c:at*c+c], x[in*c:in*c+c], dy[out*c:out*c+c])
			})
		}
	}
}

func (k *depthwise) inputRange(lo, hi int) {
	dy, c := k.y.root.grad, k.s.channels
	image := k.s.high * k.s.wide * c
	if !k.add {
		clear(k.dx[lo*image : hi*image])
	}
	for line := lo * k.s.outHigh; line < hi*k.s.outHigh; line++ {
		k.s.taps(line, func(out, in, at int) {
			num.AddProduct(k.dx[in*c:in*c+c], dy[out*c:out*c+c], k.turned[at*c:at*c+c])
		})
	}
}
