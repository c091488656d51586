package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// hash mixes a seed with counters (splitmix64), so that what is drawn for a row depends on nothing but its number.
func hash(seed uint64, counters ...uint64) uint64 {
	for _, c := range append(counters, 0) {
		seed += 0x9e3779b97f4a7c15 * (c + 1)
		seed = mix(seed)
	}
	return seed
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// uniformAt is the i-th number of a stream, in [0, 1).
func uniformAt(key, i uint64) float64 {
	return float64(mix(key+0x9e3779b97f4a7c15*(i+1))>>11) * 0x1p-53
}

// normalAt is the i-th standard normal number of a stream. Source: Box and Muller (1958).
func normalAt(key, i uint64) float64 {
	u, v := uniformAt(key, 2*i), uniformAt(key, 2*i+1)
	return math.Sqrt(-2*math.Log(1-u)) * math.Cos(2*math.Pi*v)
}

// noise is what random operations draw from.
type noise struct {
	seed uint64
	rows []int
}

// SetNoise says what random operations draw in the next passes: values are a function of seed, operation, row number and
// place in the row, never of the batch that a row is in. Nil rows are numbered from 0.
func (p *Program) SetNoise(seed uint64, rows []int) { p.graph.noise = noise{seed, rows} }

// rowKey is the key of entry i of the batch.
func (n *noise) rowKey(operation uint64, i int) uint64 {
	if i < len(n.rows) {
		i = n.rows[i]
	}
	return mix(mix(n.seed+0x9e3779b97f4a7c15*(operation+1)) + 0x9e3779b97f4a7c15*uint64(i+1))
}

// dropout zeroes values at random.
type dropout struct {
	g        *Graph
	x, y     *Node
	share    float64
	key      uint64
	run, der func(lo, hi int)
	dx       []float32
	add      bool
}

// Dropout zeroes a share of the values and scales the others up to the same mean; outside training it does nothing. The
// first axis is the batch. Source: Srivastava et al. (2014).
func (g *Graph) Dropout(x *Node, share float64) *Node {
	switch {
	case g.err != nil:
		return g.fail("")
	case !(share >= 0 && share < 1) || len(x.shape) == 0:
		return g.fail("dropout: share %g of shape %v", share, x.shape)
	case !g.Training || share == 0:
		return x
	}
	k := &dropout{g: g, x: x, y: g.node(x.shape...), share: share, key: uint64(len(g.ops))}
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: "dropout", in: []*Node{x}, out: k.y, inPlace: true}, k)
}

func (k *dropout) inner() int { return k.x.Size() / k.x.shape[0] }

func (k *dropout) forward() {
	num.Parallel(k.x.shape[0], max(1, elementGrain/4/k.inner()), k.run)
}

func (k *dropout) forwardRange(lo, hi int) { k.apply(k.y.root.value, k.x.root.value, lo, hi, false) }

// apply zeroes and scales; the gradient draws the same numbers again, so none are kept.
func (k *dropout) apply(dst, x []float32, lo, hi int, add bool) {
	w, scale := k.inner(), float32(1/(1-k.share))
	limit := uint64(k.share * 0x1p53)
	for i := lo; i < hi; i++ {
		key := k.g.noise.rowKey(k.key, i)
		in, out := x[i*w:i*w+w], dst[i*w:i*w+w]
		for j, v := range in {
			if mix(key+0x9e3779b97f4a7c15*uint64(j+1))>>11 < limit {
				v = 0
			}
			if add {
				out[j] += scale * v
			} else {
				out[j] = scale * v
			}
		}
	}
}

func (k *dropout) backward() {
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(k.x.shape[0], max(1, elementGrain/4/k.inner()), k.der)
	}
}

func (k *dropout) backwardRange(lo, hi int) { k.apply(k.dx, k.y.root.grad, lo, hi, k.add) }
