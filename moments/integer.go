package moments

import (
	"math"
	"math/big"
	"math/bits"
)

// integers is a vector of exact integers: 128 bits each, and beyond that big ones, which only values far off the grid need.
type integers struct {
	lo   []uint64
	hi   []int64
	wide map[int]*big.Int // added to the 128-bit part
}

func newIntegers(n int) *integers { return &integers{lo: make([]uint64, n), hi: make([]int64, n)} }

func (v *integers) len() int { return len(v.lo) }

// add adds the 128-bit two's-complement number hi·2^64 + lo to entry i.
func (v *integers) add(i int, hi int64, lo uint64) {
	l, carry := bits.Add64(v.lo[i], lo, 0)
	h := v.hi[i] + hi + int64(carry)
	if (v.hi[i] < 0) == (hi < 0) && (h < 0) != (hi < 0) { // left 128 bits
		v.addBig(i, join(v.hi[i], v.lo[i]))
		v.addBig(i, join(hi, lo))
		v.hi[i], v.lo[i] = 0, 0
		return
	}
	v.hi[i], v.lo[i] = h, l
}

func (v *integers) addInt(i int, x int64) { v.add(i, x>>63, uint64(x)) }

// addProduct adds x·y.
func (v *integers) addProduct(i int, x, y int64) {
	hi, lo := mul64(x, y)
	v.add(i, hi, lo)
}

func (v *integers) addBig(i int, x *big.Int) {
	if v.wide == nil {
		v.wide = map[int]*big.Int{}
	}
	if v.wide[i] == nil {
		v.wide[i] = new(big.Int)
	}
	v.wide[i].Add(v.wide[i], x)
}

// addAll adds sign·other, sign = ±1.
func (v *integers) addAll(other *integers, sign int) {
	for i := range v.lo {
		hi, lo := other.hi[i], other.lo[i]
		if sign < 0 {
			var borrow uint64
			lo, borrow = bits.Sub64(0, lo, 0)
			hi = -hi - int64(borrow)
			if other.hi[i] == math.MinInt64 && other.lo[i] == 0 { // its negative needs 129 bits
				v.addBig(i, new(big.Int).Neg(join(other.hi[i], other.lo[i])))
				continue
			}
		}
		v.add(i, hi, lo)
	}
	for i, w := range other.wide {
		if sign < 0 {
			w = new(big.Int).Neg(w)
		}
		v.addBig(i, w)
	}
}

// fold brings every entry into its one canonical form: 128 bits when it fits, else wide alone.
func (v *integers) fold() {
	for i, w := range v.wide {
		w.Add(w, join(v.hi[i], v.lo[i]))
		v.hi[i], v.lo[i] = 0, 0
		if w.BitLen() < 127 {
			v.hi[i], v.lo[i] = split(w)
			delete(v.wide, i)
		}
	}
}

// big returns entry i.
func (v *integers) big(i int) *big.Int {
	x := join(v.hi[i], v.lo[i])
	if w := v.wide[i]; w != nil {
		x.Add(x, w)
	}
	return x
}

// float returns entry i rounded to nearest.
func (v *integers) float(i int) float64 {
	if v.wide[i] != nil {
		f, _ := new(big.Float).SetInt(v.big(i)).Float64()
		return f
	}
	return float192(uint64(v.hi[i]>>63), uint64(v.hi[i]), v.lo[i])
}

func (v *integers) zero() bool {
	for i := range v.lo {
		if v.lo[i] != 0 || v.hi[i] != 0 {
			return false
		}
	}
	for _, w := range v.wide {
		if w.Sign() != 0 {
			return false
		}
	}
	return true
}

// small returns entry i when it fits 64 bits.
func (v *integers) small(i int) (int64, bool) {
	if v.wide[i] != nil || v.hi[i] != int64(v.lo[i])>>63 {
		return 0, false
	}
	return int64(v.lo[i]), true
}

func join(hi int64, lo uint64) *big.Int {
	x := new(big.Int).Lsh(big.NewInt(hi), 64)
	return x.Add(x, new(big.Int).SetUint64(lo))
}

func split(x *big.Int) (hi int64, lo uint64) {
	m := new(big.Int).Abs(x)
	lo = new(big.Int).And(m, new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	hi = int64(new(big.Int).Rsh(m, 64).Uint64())
	if x.Sign() < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi = -hi - int64(borrow)
	}
	return hi, lo
}

// mul64 is the signed 128-bit product.
func mul64(x, y int64) (hi int64, lo uint64) {
	h, l := bits.Mul64(uint64(x), uint64(y))
	return int64(h) - (x>>63)&y - (y>>63)&x, l
}

// float192 rounds a 192-bit two's-complement number to float64, halves to even.
func float192(w2, w1, w0 uint64) float64 {
	negative := int64(w2) < 0
	if negative {
		var b uint64
		w0, b = bits.Sub64(0, w0, 0)
		w1, b = bits.Sub64(0, w1, b)
		w2, _ = bits.Sub64(0, w2, b)
	}
	top, rest, exponent := w0, uint64(0), 0 // the leading 64 bits, and whether anything follows them
	switch {
	case w2 != 0:
		z := bits.LeadingZeros64(w2)
		top, rest, exponent = w2<<z|w1>>(64-z), w1<<z|w0, 128-z
	case w1 != 0:
		z := bits.LeadingZeros64(w1)
		top, rest, exponent = w1<<z|w0>>(64-z), w0<<z, 64-z
	}
	if rest != 0 {
		top |= 1
	}
	f := math.Ldexp(float64(top), exponent)
	if negative {
		return -f
	}
	return f
}

// centred returns N·S − a·b, rounded once, where S is an entry of products and a, b entries of sums:
// N² times the covariance of two columns, with no cancellation whatever the columns' means are.
func centred(n int64, products *integers, at int, sums *integers, a, b int) float64 {
	x, okX := sums.small(a)
	y, okY := sums.small(b)
	if okX && okY && products.wide[at] == nil {
		hi, lo := products.hi[at], products.lo[at]
		// N·(hi·2^64 + lo), lo unsigned, in 192 bits
		h1, l1 := bits.Mul64(uint64(n), lo)
		h2, l2 := mul64(n, hi)
		w0 := l1
		w1, carry := bits.Add64(h1, l2, 0)
		w2 := uint64(h2) + carry
		ph, pl := mul64(x, y)
		sign := uint64(ph >> 63)
		var borrow uint64
		w0, borrow = bits.Sub64(w0, pl, 0)
		w1, borrow = bits.Sub64(w1, uint64(ph), borrow)
		w2, _ = bits.Sub64(w2, sign, borrow)
		return float192(w2, w1, w0)
	}
	z := new(big.Int).Mul(big.NewInt(n), products.big(at))
	z.Sub(z, new(big.Int).Mul(sums.big(a), sums.big(b)))
	f, _ := new(big.Float).SetInt(z).Float64()
	return f
}
