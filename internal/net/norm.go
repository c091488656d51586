package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// normEpsilon is added to variances.
const normEpsilon = 1e-5

// normRows is how many samples' gradients by gain and shift are added up before they join the others'.
const normRows = 64

// normalise takes mean and variance over groups of channels of each sample, seen as [pixels, channels].
type normalise struct {
	g                                *Graph
	x, gain, shift, y                *Node
	samples, pixels, channels, group int // group: channels of one
	mean, inverse                    []float64
	run, der, sums                   func(lo, hi int)
	dx                               []float32
	add                              bool
	part                             []float32
}

// GroupNorm takes each group of channels, the last axis, to mean 0 and variance 1 within each entry of the batch, the
// first axis. Source: Wu and He (2018).
func (g *Graph) GroupNorm(x, gain, shift *Node, groups int) *Node {
	if g.err == nil && (len(x.shape) < 2 || groups < 1 || x.width()%groups != 0) {
		return g.fail("group norm: %d groups of input %v", groups, x.shape)
	}
	if g.err != nil || gain.Size() != x.width() || shift.Size() != x.width() {
		return g.fail("group norm: input %v, gain and shift %s", x.shape, shapes(gain, shift))
	}
	samples := x.shape[0]
	c := x.width()
	k := &normalise{g: g, x: x, gain: gain, shift: shift, y: g.node(x.shape...), samples: samples, pixels: x.rows() / samples, channels: c, group: c / groups}
	k.mean, k.inverse = make([]float64, samples*groups), make([]float64, samples*groups)
	k.run, k.der, k.sums = k.forwardRange, k.inputRange, k.sumsRange
	return g.add(operation{name: "group norm", in: []*Node{x, gain, shift}, out: k.y, keepIn: true}, k)
}

func (k *normalise) grain() int { return max(1, elementGrain/2/(k.pixels*k.channels)) }

func (k *normalise) forward() { num.Parallel(k.samples, k.grain(), k.run) }

func (k *normalise) forwardRange(lo, hi int) {
	x, y, gain, shift := k.x.root.value, k.y.root.value, k.gain.root.value, k.shift.root.value
	groups, c := k.channels/k.group, k.channels
	n := float64(k.pixels * k.group)
	for s := lo; s < hi; s++ {
		in, out := x[s*k.pixels*c:(s+1)*k.pixels*c], y[s*k.pixels*c:(s+1)*k.pixels*c]
		for q := range groups {
			from := q * k.group
			mean, square := 0.0, 0.0
			for p := 0; p < len(in); p += c {
				mean += sumOf(in[p+from : p+from+k.group])
			}
			mean /= n
			for p := 0; p < len(in); p += c {
				for _, v := range in[p+from : p+from+k.group] {
					square += (float64(v) - mean) * (float64(v) - mean)
				}
			}
			inverse := 1 / math.Sqrt(square/n+normEpsilon)
			k.mean[s*groups+q], k.inverse[s*groups+q] = mean, inverse
			m, i := float32(mean), float32(inverse)
			for p := 0; p < len(in); p += c {
				for j := from; j < from+k.group; j++ {
					out[p+j] = (in[p+j]-m)*i*gain[j] + shift[j]
				}
			}
		}
	}
}

func (k *normalise) backward() {
	dgain, addGain := k.gain.gradient()
	dshift, addShift := k.shift.gradient()
	if dgain != nil || dshift != nil {
		blocks := (k.samples + normRows - 1) / normRows
		s := k.g.scratch.take(2 * blocks * k.channels)
		k.part = s.values
		num.Parallel(blocks, max(1, k.grain()/normRows), k.sums)
		if dgain != nil {
			joinParts(dgain, k.part[:blocks*k.channels], blocks, 0, k.channels, addGain)
		}
		if dshift != nil {
			joinParts(dshift, k.part[blocks*k.channels:], blocks, 0, k.channels, addShift)
		}
		k.g.scratch.give(s)
	}
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(k.samples, k.grain(), k.der)
	}
}

// sumsRange adds up gradients by gain and shift over the samples of blocks.
func (k *normalise) sumsRange(lo, hi int) {
	x, dy, c, groups := k.x.root.value, k.y.root.grad, k.channels, k.channels/k.group
	half := len(k.part) / 2
	for b := lo; b < hi; b++ {
		dgain, dshift := k.part[b*c:(b+1)*c], k.part[half+b*c:half+(b+1)*c]
		clear(dgain)
		clear(dshift)
		for s := b * normRows; s < min((b+1)*normRows, k.samples); s++ {
			for p := s * k.pixels; p < (s+1)*k.pixels; p++ {
				in, d := x[p*c:p*c+c], dy[p*c:p*c+c]
				for q := range groups {
					m, i := float32(k.mean[s*groups+q]), float32(k.inverse[s*groups+q])
					for j := q * k.group; j < (q+1)*k.group; j++ {
						dgain[j] += d[j] * (in[j] - m) * i
						dshift[j] += d[j]
					}
				}
			}
		}
	}
}

// inputRange: with x̂ the normalised values and e = dy·gain, dx = (e − mean(e) − x̂·mean(e·x̂))·inverse.
func (k *normalise) inputRange(lo, hi int) {
	x, dy, gain := k.x.root.value, k.y.root.grad, k.gain.root.value
	groups, c := k.channels/k.group, k.channels
	n := float64(k.pixels * k.group)
	for s := lo; s < hi; s++ {
		at := s * k.pixels * c
		in, d, to := x[at:at+k.pixels*c], dy[at:at+k.pixels*c], k.dx[at:at+k.pixels*c]
		for q := range groups {
			from := q * k.group
			m, i := float32(k.mean[s*groups+q]), float32(k.inverse[s*groups+q])
			sum, along := 0.0, 0.0
			for p := 0; p < len(in); p += c {
				for j := from; j < from+k.group; j++ {
					e := d[p+j] * gain[j]
					sum += float64(e)
					along += float64(e * (in[p+j] - m) * i)
				}
			}
			a, b := float32(sum/n), float32(along/n)
			for p := 0; p < len(in); p += c {
				for j := from; j < from+k.group; j++ {
					v := (d[p+j]*gain[j] - a - (in[p+j]-m)*i*b) * i
					if k.add {
						v += to[p+j]
					}
					to[p+j] = v
				}
			}
		}
	}
}
