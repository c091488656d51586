package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

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
	if k.from != nil {
		k.largestRange(lo, hi)
		return
	}
	x, y, c := k.x.root.value, k.y.root.value, k.s.channels
	for line := lo; line < hi; line++ {
		clear(y[line*k.s.outWide*c : (line+1)*k.s.outWide*c])
		k.s.taps(line, func(out, in, _ int) {
			addScaled(y[out*c:out*c+c], k.share[out%len(k.share)], x[in*c:in*c+c])
		})
	}
}

// maxWindow is the most pixels of a window: their numbers fit a byte.
const maxWindow = 15 * 15

func (k *pooling) largestRange(lo, hi int) {
	x, y, c, s := k.x.root.value, k.y.root.value, k.s.channels, &k.s
	var offset [maxWindow]int
	var place [maxWindow]uint8
	for line := lo; line < hi; line++ {
		image, top := line/s.outHigh, line%s.outHigh*s.Stride[0]-s.Pad[0]
		for ox := range s.outWide {
			n, left := 0, ox*s.Stride[1]-s.Pad[1]
			for ky := max(0, -top); ky < min(s.kernel[0], s.high-top); ky++ {
				for kx := max(0, -left); kx < min(s.kernel[1], s.wide-left); kx++ {
					offset[n], place[n] = ((image*s.high+top+ky)*s.wide+left+kx)*c, uint8(ky*s.kernel[1]+kx)
					n++
				}
			}
			at := (line*s.outWide + ox) * c
			if n == 4 {
				largestOf4(y[at:at+c], k.from[at:at+c], x[offset[0]:][:c], x[offset[1]:][:c], x[offset[2]:][:c], x[offset[3]:][:c], place[:4])
				continue
			}
			largest(y[at:at+c], k.from[at:at+c], x, offset[:n], place[:n])
		}
	}
}

// largest takes, for each channel, the largest of the pixels at the offsets and the place it was found at. Which it is
// cannot be foreseen, so there is no branch: numbers are compared as integers in the same order.
func largest(y []float32, from []uint8, x []float32, offset []int, place []uint8) {
	from = from[:len(y)]
	for i := range y {
		best, at := ordered(x[offset[0]+i]), int32(place[0])
		for t := 1; t < len(offset); t++ {
			v := ordered(x[offset[t]+i])
			take := int32((int64(best) - int64(v)) >> 63) // all ones where v is larger
			best ^= (best ^ v) & take
			at ^= (at ^ int32(place[t])) & take
		}
		from[i] = uint8(at)
		y[i] = math.Float32frombits(uint32(best ^ best>>31&math.MaxInt32))
	}
}

// largestOf4 is largest for the window that most networks have.
func largestOf4(y []float32, from []uint8, a, b, c, d []float32, place []uint8) {
	n := len(y)
	from, a, b, c, d = from[:n], a[:n], b[:n], c[:n], d[:n]
	p0, p1, p2, p3 := int32(place[0]), int32(place[1]), int32(place[2]), int32(place[3])
	for i := range y {
		va, vb, vc, vd := ordered(a[i]), ordered(b[i]), ordered(c[i]), ordered(d[i])
		first, second := int32((int64(va)-int64(vb))>>63), int32((int64(vc)-int64(vd))>>63)
		top, at := va^(va^vb)&first, p0^(p0^p1)&first
		low, to := vc^(vc^vd)&second, p2^(p2^p3)&second
		take := int32((int64(top) - int64(low)) >> 63)
		top ^= (top ^ low) & take
		from[i] = uint8(at ^ (at^to)&take)
		y[i] = math.Float32frombits(uint32(top ^ top>>31&math.MaxInt32))
	}
}

// ordered maps a number to an integer so that order is kept.
func ordered(v float32) int32 {
	b := int32(math.Float32bits(v))
	return b ^ b>>31&math.MaxInt32
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
	var offset [256]int // of each place in a window; any byte is in range
	for p := range kw * kw {
		offset[p] = (p/kw*k.s.wide + p%kw) * c
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
				k.dx[base+offset[place]+i] += d[i]
			}
		}
	}
}
