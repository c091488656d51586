package net

import "github.com/gimbal-ml/gimbal/internal/num"

// pooling takes the largest or the mean of each window, channel by channel.
type pooling struct {
	s        geometry
	x, y     *Node
	from     []uint8   // place in its window of each largest value; nil: means
	share    []float32 // of each output pixel of an image: 1 over the pixels in its window
	run, der func(lo, hi int)
	dx       []float32
	add      bool
}

// MaxPool takes the largest of each square window of images [batch, height, width, channels]; padding never counts. Of
// equal values the first gets the gradient.
func (g *Graph) MaxPool(x *Node, kernel int, window Window) *Node {
	return g.pooling("max pooling", x, kernel, window, true)
}

// AvgPool takes the mean of each square window; padding never counts.
func (g *Graph) AvgPool(x *Node, kernel int, window Window) *Node {
	return g.pooling("average pooling", x, kernel, window, false)
}

// GlobalPool takes the mean of each channel of images: [batch, channels].
func (g *Graph) GlobalPool(x *Node) *Node {
	if g.err == nil && len(x.shape) != 4 {
		return g.fail("global pooling: input %v is not [batch, height, width, channels]", x.shape)
	}
	return g.Mean(x, 1, 2)
}

func (g *Graph) pooling(name string, x *Node, kernel int, window Window, largest bool) *Node {
	if g.err != nil {
		return g.fail("")
	}
	s, message := window.over(x.shape, [2]int{kernel, kernel})
	switch {
	case message != "":
		return g.fail("%s: input %v, kernel %d: %s", name, x.shape, kernel, message)
	case kernel < 1 || kernel > 15 || max(window.Pad[0], window.Pad[1], window.Pad[2], window.Pad[3]) >= kernel:
		return g.fail("%s: kernel %d with padding %v: want 1 to 15 and less padding than kernel", name, kernel, window.Pad)
	case max(s.Dilation[0], s.Dilation[1]) > 1:
		return g.fail("%s: dilation %v is not offered", name, s.Dilation)
	}
	k := &pooling{s: s, x: x, y: g.node(s.batch, s.outHigh, s.outWide, s.channels)}
	if largest {
		k.from = make([]uint8, k.y.Size())
	} else {
		k.share = make([]float32, s.outHigh*s.outWide)
		for line := range s.outHigh {
			s.taps(line, func(out, _, _ int) { k.share[out]++ })
		}
		for i, n := range k.share {
			k.share[i] = 1 / n
		}
	}
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: name, in: []*Node{x}, out: k.y}, k)
}

func (k *pooling) forward() {
	num.Parallel(k.s.batch*k.s.outHigh, max(1, elementGrain/(k.s.outWide*k.s.channels)), k.run)
}

func (k *pooling) forwardRange(lo, hi int) {
	x, y, c := k.x.root.value, k.y.root.value, k.s.channels
	for line := lo; line < hi; line++ {
		last := -1
		k.s.taps(line, func(out, in, at int) {
			first := out != last
			last = out
			to, v := y[out*c:out*c+c], x[in*c:in*c+c]
			switch {
			case k.from == nil:
				share := k.share[out%len(k.share)]
				if first {
					clear(to)
				}
				addScaled(to, share, v)
			case first:
				copy(to, v)
				fillBytes(k.from[out*c:out*c+c], uint8(at))
			default:
				from := k.from[out*c : out*c+c]
				v, from = v[:len(to)], from[:len(to)]
				for i, best := range to {
					if v[i] > best {
						to[i], from[i] = v[i], uint8(at)
					}
				}
			}
		})
	}
}

func fillBytes(dst []uint8, v uint8) {
	for i := range dst {
		dst[i] = v
	}
}

func (k *pooling) backward() {
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(k.s.batch, 1, k.der)
	}
}

func (k *pooling) backwardRange(lo, hi int) {
	dy, c, kw := k.y.root.grad, k.s.channels, k.s.kernel[1]
	image := k.s.high * k.s.wide * c
	if !k.add {
		clear(k.dx[lo*image : hi*image])
	}
	for line := lo * k.s.outHigh; line < hi*k.s.outHigh; line++ {
		if k.from == nil {
			k.s.taps(line, func(out, in, _ int) {
				addScaled(k.dx[in*c:in*c+c], k.share[out%len(k.share)], dy[out*c:out*c+c])
			})
			continue
		}
		at := line / k.s.outHigh
		top := line%k.s.outHigh*k.s.Stride[0] - k.s.Pad[0]
		for ox := range k.s.outWide {
			out, left := line*k.s.outWide+ox, ox*k.s.Stride[1]-k.s.Pad[1]
			base := ((at*k.s.high+top)*k.s.wide + left) * c
			from, d := k.from[out*c:out*c+c], dy[out*c:out*c+c]
			for i, place := range from {
				p := int(place)
				k.dx[base+(p/kw*k.s.wide+p%kw)*c+i] += d[i]
			}
		}
	}
}
