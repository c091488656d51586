package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// activationFile emits the functions of one float32 value. |x| ≤ 150 wherever a power of two is made: beyond, results
// have settled at their limits.
func activationFile(g *gen) {
	for _, v := range []isa{avx512, avx2} {
		elementwise(g, v, "exp", "exp(x)", []string{"x"}, nil, func(e *lanes, in []reg.VecVirtual) reg.VecVirtual {
			return e.exp(in[0], nil)
		})
		elementwise(g, v, "tanh", "tanh(x)", []string{"x"}, nil, func(e *lanes, in []reg.VecVirtual) reg.VecVirtual { return e.tanh(in[0]) })
		elementwise(g, v, "sigmoid", "1/(1+exp(−x))", []string{"x"}, nil, func(e *lanes, in []reg.VecVirtual) reg.VecVirtual { return e.sigmoid(in[0]) })
		for _, a := range []struct {
			name, doc string
			gate      func(e *lanes, x reg.VecVirtual) gate
		}{{"silu", "x/(1+exp(−x))", siluGate}, {"gelu", "x·Φ(x)", geluGate}, {"geluTanh", "x·(1+tanh(√(2/π)(x+0.044715x³)))/2", geluTanhGate}} {
			elementwise(g, v, a.name, a.doc, []string{"x"}, nil, func(e *lanes, in []reg.VecVirtual) reg.VecVirtual {
				return e.gated(in[0], a.gate(e, in[0]))
			})
			elementwise(g, v, a.name+"Gradient", "dy·d/dx "+a.doc, []string{"x", "dy"}, nil, func(e *lanes, in []reg.VecVirtual) reg.VecVirtual {
				r := e.gatedGradient(in[0], a.gate(e, in[0]))
				e.VMULPS(in[1], r, r)
				return r
			})
		}
	}
}

// elementwise emits dst = body(inputs, scalars) for n ≥ 1 values.
func elementwise(g *gen, v isa, name, doc string, inputs, scalars []string, body func(e *lanes, in []reg.VecVirtual) reg.VecVirtual) {
	list, more := "dst", ""
	for _, in := range inputs {
		if in != "dst" {
			list += ", " + in
		}
	}
	for _, s := range scalars {
		more += ", " + s + " float32"
	}
	g.kernel(v, name, "func("+list+" *float32, n int"+more+")", "writes "+doc+" for n ≥ 1 values.", func(e *lanes) {
		dst := e.arg("dst")
		var from, fixed []reg.VecVirtual
		var base []reg.GPVirtual
		for _, in := range inputs {
			if in == "dst" {
				base = append(base, dst)
				continue
			}
			base = append(base, e.arg(in))
		}
		for _, s := range scalars {
			fixed = append(fixed, e.scalar(s, f32))
		}
		e.loop(e.arg("n"), e.v.bytes/4, false).run(func(j reg.Register, t *tail) {
			from = nil
			for _, b := range base {
				from = append(from, e.load(item(b, j, f32, 0), t, 0))
			}
			e.store(body(e, append(from, fixed...)), item(dst, j, f32, 0), t, 0)
		})
	})
}

// ln 2 in two parts, the first short enough that its product with a whole number below 2^9 is exact.
const (
	ln2High = 0x1.62e4p-1
	ln2Low  = math.Ln2 - ln2High
)

// exp(r) − 1 − r over r² on |r| ≤ ln 2/2, minimax: relative error of exp(r) 2^-28.3; of exp(r) − 1, 2^-32.
var (
	expSeries   = []float64{0.0013814540176801306, 0.0083687451089425907, 0.041668390783547913, 0.1666652039904253, 0.4999999343212929}
	expm1Series = []float64{0.00019914231110000683, 0.0013941050005461067, 0.0083332729485920684, 0.041666354164734753, 0.16666666817458091, 0.50000000465249843}
)

// whole plus a number below 2^22 rounds it to a whole number, halves to even.
const whole = 0x1.8p23

// reduce splits x = n·ln 2 + r, |r| ≤ ln 2/2; x becomes r. low, if any, is added to it.
func (e *lanes) reduce(x, low reg.VecVirtual) (n reg.VecVirtual) {
	n = e.copyOf(e.f(whole)) // cheaper than an instruction that rounds
	e.VFMADD231PS(e.f(1/math.Ln2), x, n)
	e.VSUBPS(e.f(whole), n, n)
	e.VFNMADD231PS(e.f(ln2High), n, x)
	e.VFNMADD231PS(e.f(ln2Low), n, x)
	if low != nil {
		e.VADDPS(low, x, x)
	}
	return n
}

// mantissa returns exp(r).
func (e *lanes) mantissa(r reg.VecVirtual) reg.VecVirtual {
	p := e.copyOf(e.f(expSeries[0]))
	e.horner(p, r, append(append([]float64(nil), expSeries[1:]...), 1, 1)...)
	return p
}

// exp returns exp(x + low); x is lost. NaN stays.
func (e *lanes) exp(x, low reg.VecVirtual) reg.VecVirtual {
	r := e.copyOf(e.f(-150))
	e.VMAXPS(x, r, r) // of NaN and a number the first operand comes out
	if low == nil {   // with a low part x is never positive
		t := e.copyOf(e.f(150))
		e.VMINPS(r, t, r)
	}
	n := e.reduce(r, low)
	p := e.mantissa(r)
	e.times(e.power(n), p)
	return p
}

func (e *lanes) abs(x reg.VecVirtual) reg.VecVirtual {
	r := e.new()
	e.VANDPS(e.i(0x7fffffff), x, r)
	return r
}

// size returns min(|x|, most), NaN for NaN.
func (e *lanes) size(x reg.VecVirtual, most float64) reg.VecVirtual {
	t, r := e.copyOf(e.f(most)), e.abs(x)
	e.VMINPS(r, t, r)
	return r
}

// tanh: with t = exp(−2|x|) − 1, which keeps its digits near zero, tanh|x| = −t/(t+2).
func (e *lanes) tanh(x reg.VecVirtual) reg.VecVirtual {
	r := e.size(x, 10)
	e.VMULPS(e.f(-2), r, r)
	n := e.reduce(r, nil)
	p, square := e.copyOf(e.f(expm1Series[0])), e.new()
	e.horner(p, r, expm1Series[1:]...)
	e.VMULPS(r, r, square)
	e.VFMADD213PS(r, square, p) // exp(r) − 1
	two := e.new()              // 2^n, n ≥ −29
	if e.v.masks {
		one := e.copyOf(e.f(1))
		e.VSCALEFPS(n, one, two)
	} else {
		e.VCVTPS2DQ(n, two)
		e.VPSLLD(operand.Imm(23), two, two)
		e.VPADDD(e.i(0x3f800000), two, two)
	}
	t, sum := e.new(), e.new()
	e.VADDPS(e.f(-1), two, t)
	e.VFMADD231PS(two, p, t)
	lost := e.new()
	e.VADDPS(e.f(2), t, sum)
	e.VADDPS(e.f(-2), sum, lost)
	e.VSUBPS(lost, t, lost) // what the sum rounded off
	e.VDIVPS(sum, t, t)     // ≤ 0
	e.VFNMADD231PS(lost, t, t)
	e.VANDPS(e.i(0x7fffffff), t, t)
	sign := e.new()
	e.VANDPS(e.i(0x80000000), x, sign)
	e.VORPS(sign, t, t)
	return t
}

// sigmoid: with e = exp(−|x|), e/(1+e) below zero and 1/(1+e) above.
func (e *lanes) sigmoid(x reg.VecVirtual) reg.VecVirtual {
	r := e.size(x, 150)
	e.VXORPS(e.i(0x80000000), r, r)
	n := e.reduce(r, nil)
	p := e.mantissa(r)
	e.times(e.power(n), p)
	one, sum, lost := e.copyOf(e.f(1)), e.new(), e.copyOf(p)
	e.VADDPS(p, one, sum)
	top := e.bySign(x, p, one)
	e.VSUBPS(one, sum, one)
	e.VSUBPS(one, lost, lost) // what the sum rounded off
	e.VDIVPS(sum, top, top)
	e.VFNMADD231PS(lost, top, top) // 1/sum, which is near one where it matters, is left out
	return top
}

// gate describes an activation x·g(x) with g(−t) = 1 − g(t): g(−t) = top/bottom·2^n for t = |x|, held below where
// t·g(−t) has vanished. slope is how g changes there: g(−t) − t·g′ = (top·slope)/bottom·2^n.
type gate struct {
	t, top, bottom reg.VecVirtual
	n              power
	slope          func() reg.VecVirtual
}

// gated returns x·g(x) = max(x, 0) − t·g(−t), which has full accuracy in the far tail and no Inf·0.
func (e *lanes) gated(x reg.VecVirtual, s gate) reg.VecVirtual {
	e.VMULPS(s.t, s.top, s.top)
	e.VDIVPS(s.bottom, s.top, s.top)
	e.times(s.n, s.top)
	zero := e.new()
	e.zero(zero)
	r := e.new()
	e.VMAXPS(x, zero, r) // NaN and −0 stay
	e.VSUBPS(s.top, r, r)
	return r
}

// gatedGradient returns the derivative of x·g(x): h = g(−t) − t·g′(t) below zero, 1 − h above.
func (e *lanes) gatedGradient(x reg.VecVirtual, s gate) reg.VecVirtual {
	h := s.slope()
	e.VMULPS(s.top, h, h)
	e.times(s.n, h)
	rest := e.copyOf(e.f(1))
	e.VSUBPS(h, rest, rest)
	return e.bySign(x, h, rest)
}

// logistic is the gate 1/(1+exp(−v)) of v = t·factor(t); v comes negative, in two parts, and is lost. steep is dv/dt.
func (e *lanes) logistic(t, v, low reg.VecVirtual, steep func() reg.VecVirtual) gate {
	n := e.reduce(v, low)
	top := e.mantissa(v)
	scale := e.power(n)
	bottom := e.copyOf(top)
	e.times(scale, bottom)
	e.VADDPS(e.f(1), bottom, bottom)
	return gate{t: t, top: top, bottom: bottom, n: scale, slope: func() reg.VecVirtual {
		// (1 − t·v′/(1+e))/(1+e)
		q, s := e.copyOf(e.f(1)), e.copyOf(e.f(1))
		e.VDIVPS(bottom, q, q)
		d := steep()
		e.VMULPS(q, d, d)
		e.VFNMADD231PS(d, t, s)
		e.VMULPS(q, s, s)
		return s
	}}
}

func siluGate(e *lanes, x reg.VecVirtual) gate {
	t, v := e.size(x, 150), e.new()
	e.VXORPS(e.i(0x80000000), t, v)
	return e.logistic(t, v, nil, func() reg.VecVirtual { return e.copyOf(e.f(1)) })
}

// geluTanhGate: (1+tanh u)/2 = 1/(1+exp(−2u)), 2u = x·(a + b·x²). The exponent needs more digits than float32 has.
func geluTanhGate(e *lanes, x reg.VecVirtual) gate {
	a := 2 * math.Sqrt(2/math.Pi)
	b := a * 0.044715
	aHigh := math.Round(a*(1<<11)) / (1 << 11) // so short that the difference below is exact
	bHigh := float64(float32(b))
	t := e.size(x, 12)
	square, squareLow, w, low := e.new(), e.copyOf(t), e.copyOf(e.f(aHigh)), e.copyOf(e.f(aHigh))
	e.VMULPS(t, t, square)
	e.VFMSUB213PS(square, t, squareLow)
	e.VFMADD231PS(e.f(bHigh), square, w)
	e.VSUBPS(w, low, low)
	e.VFMADD231PS(e.f(bHigh), square, low)
	e.VADDPS(e.f(a-aHigh), low, low)
	e.VFMADD231PS(e.f(b-bHigh), square, low)
	e.VFMADD231PS(e.f(bHigh), squareLow, low)
	v, vLow, minus := e.new(), e.copyOf(t), e.new()
	e.VXORPS(e.i(0x80000000), t, minus)
	e.VMULPS(minus, w, v) // −2u
	e.VFMADD213PS(v, w, vLow)
	e.VXORPS(e.i(0x80000000), vLow, vLow) // −(t·w + v)
	e.VFMADD231PS(minus, low, vLow)
	return e.logistic(t, v, vLow, func() reg.VecVirtual {
		d := e.copyOf(e.f(a)) // a + 3b·t²
		e.VFMADD231PS(e.f(3*b), square, d)
		return d
	})
}

// Φ(−t)·exp(t²/2) on 0 ≤ t ≤ 15 is P/Q, minimax with relative error 2^-27; all terms are positive, so nothing cancels.
var (
	tailTop    = []float64{0.00412297978193, 0.0406938987702, 0.183438046021, 0.438604434945, 0.5}
	tailBottom = []float64{0.0103346635659, 0.102010713059, 0.469999227775, 1.20340338131, 1.67509373082, 1}
)

// geluGate is Φ: exp(−t²/2) with the square in two parts, times P/Q.
func geluGate(e *lanes, x reg.VecVirtual) gate {
	t := e.size(x, 15)
	v, low := e.new(), e.new()
	e.VMULPS(e.f(-0.5), t, low)
	e.VMULPS(t, low, v)
	e.VFMSUB213PS(v, t, low)
	scale := e.power(e.reduce(v, low))
	p := e.mantissa(v)
	top, bottom := e.copyOf(e.f(tailTop[0])), e.copyOf(e.f(tailBottom[0]))
	e.horner(top, t, tailTop[1:]...)
	e.horner(bottom, t, tailBottom[1:]...)
	half := e.copyOf(top)
	e.VMULPS(p, top, top)
	return gate{t: t, top: top, bottom: bottom, n: scale, slope: func() reg.VecVirtual {
		// P/Q − t/√(2π), to be multiplied by exp(−t²/2) alone: top becomes that.
		e.VDIVPS(bottom, half, half)
		e.VFNMADD231PS(e.f(1/math.Sqrt(2*math.Pi)), t, half)
		e.VMOVUPS(p, top)
		return half
	}}
}
