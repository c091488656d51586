package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var negInf = math.Inf(-1)

// vectorFile emits the arithmetic of float32 values and the sums over them. Products and sums round apart, as portable
// code does.
func vectorFile(g *gen) {
	type regs = []reg.VecVirtual
	for _, v := range []isa{avx512, avx2} {
		elementwise(g, v, "add", "x + y", []string{"x", "y"}, nil, func(e *lanes, in regs) reg.VecVirtual {
			e.VADDPS(in[1], in[0], in[0])
			return in[0]
		})
		elementwise(g, v, "multiply", "x·y", []string{"x", "y"}, nil, func(e *lanes, in regs) reg.VecVirtual {
			e.VMULPS(in[1], in[0], in[0])
			return in[0]
		})
		elementwise(g, v, "scale", "a·x", []string{"x"}, []string{"a"}, func(e *lanes, in regs) reg.VecVirtual {
			e.VMULPS(in[1], in[0], in[0])
			return in[0]
		})
		elementwise(g, v, "addScaled", "dst + a·x", []string{"dst", "x"}, []string{"a"}, func(e *lanes, in regs) reg.VecVirtual {
			e.VMULPS(in[2], in[1], in[1])
			e.VADDPS(in[1], in[0], in[0])
			return in[0]
		})
		elementwise(g, v, "addProduct", "dst + x·y", []string{"dst", "x", "y"}, nil, func(e *lanes, in regs) reg.VecVirtual {
			e.VMULPS(in[2], in[1], in[1])
			e.VADDPS(in[1], in[0], in[0])
			return in[0]
		})
		elementwise(g, v, "blend", "a·x + b·y", []string{"x", "y"}, []string{"a", "b"}, func(e *lanes, in regs) reg.VecVirtual {
			e.VMULPS(in[2], in[0], in[0])
			e.VMULPS(in[3], in[1], in[1])
			e.VADDPS(in[1], in[0], in[0])
			return in[0]
		})
		elementwise(g, v, "shiftClip", "min(max(x + a, low), high)", []string{"x"}, []string{"a", "low", "high"}, func(e *lanes, in regs) reg.VecVirtual {
			e.VADDPS(in[1], in[0], in[0])
			r := e.new() // the scalars are there for the next group too
			e.VMAXPS(in[0], in[2], r)
			e.VMINPS(r, in[3], r) // NaN and −0 stay
			return r
		})
		elementwise(g, v, "relu", "max(x, 0)", []string{"x"}, nil, func(e *lanes, in regs) reg.VecVirtual {
			zero := e.new()
			e.zero(zero)
			e.VMAXPS(in[0], zero, zero) // NaN and −0 stay
			return zero
		})
		elementwise(g, v, "reluGradient", "dy where x > 0, zero elsewhere,", []string{"x", "dy"}, nil, func(e *lanes, in regs) reg.VecVirtual {
			zero, r := e.new(), e.new()
			e.zero(zero)
			if e.v.masks {
				k := e.K()
				e.VCMPPS(operand.Imm(30), zero, in[0], k) // >
				e.VMOVAPS_Z(in[1], k, r)
				return r
			}
			e.VCMPPS(operand.Imm(30), zero, in[0], r)
			e.VANDPS(in[1], r, r)
			return r
		})
		elementwise(g, v, "tanhGradient", "dy·(1 − y²)", []string{"y", "dy"}, nil, func(e *lanes, in regs) reg.VecVirtual {
			one := e.copyOf(e.f(1)) // 1 − y² = (1−y)(1+y), which keeps its digits near one
			rest := e.new()
			e.VSUBPS(in[0], one, rest)
			e.VADDPS(in[0], one, one)
			e.VMULPS(one, rest, rest)
			e.VMULPS(in[1], rest, rest)
			return rest
		})
		elementwise(g, v, "sigmoidGradient", "dy·y·(1 − y)", []string{"y", "dy"}, nil, func(e *lanes, in regs) reg.VecVirtual {
			rest := e.copyOf(e.f(1))
			e.VSUBPS(in[0], rest, rest)
			e.VMULPS(in[0], rest, rest)
			e.VMULPS(in[1], rest, rest)
			return rest
		})
		reduction(g, v, "sum", "x", func(e *lanes, in []regs, acc regs) {
			for i, r := range in[0] {
				e.VADDPD(r, acc[i], acc[i])
			}
		})
		reduction(g, v, "sumSquares", "x", func(e *lanes, in []regs, acc regs) {
			for i, r := range in[0] {
				e.VFMADD231PD(r, r, acc[i]) // the product is exact: fused or not, the same bits
			}
		})
		reduction(g, v, "dot", "x, y", func(e *lanes, in []regs, acc regs) {
			for i, r := range in[0] {
				e.VFMADD231PD(r, in[1][i], acc[i])
			}
		})
		maximum(g, v)
		exactMean(g, v)
		squaredNorm(g, v, "squaredNorm64", false)
		squaredNorm(g, v, "squaredNormScaled", true)
	}
}

// widen returns the float64 values of a vector of float32, lower half first.
func (e *lanes) widen(r reg.VecVirtual) []reg.VecVirtual {
	low, high := e.new(), e.new()
	if e.v.masks {
		part := e.YMM()
		e.VCVTPS2PD(r.(reg.Vec).AsY(), low)
		e.VEXTRACTF32X8(operand.Imm(1), r, part)
		e.VCVTPS2PD(part, high)
		return []reg.VecVirtual{low, high}
	}
	part := e.XMM()
	e.VCVTPS2PD(r.(reg.Vec).AsX(), low)
	e.VEXTRACTF128(operand.Imm(1), r, part)
	e.VCVTPS2PD(part, high)
	return []reg.VecVirtual{low, high}
}

// narrow is widen's inverse, rounding.
func (e *lanes) narrow(w []reg.VecVirtual) reg.VecVirtual {
	if e.v.masks {
		r, high := e.ZMM(), e.YMM()
		e.VCVTPD2PS(w[0], r.AsY())
		e.VCVTPD2PS(w[1], high)
		e.VINSERTF32X8(operand.Imm(1), high, r, r)
		return r
	}
	r, high := e.YMM(), e.XMM()
	e.VXORPS(r, r, r) // tells the allocator that the upper half holds nothing
	e.VCVTPD2PSY(w[0], r.AsX())
	e.VCVTPD2PSY(w[1], high)
	e.VINSERTF128(operand.Imm(1), high, r, r)
	return r
}

// loadWide reads a group of 16 float32 as float64; lanes beyond the tail are zero.
func (e *lanes) loadWide(base, j reg.Register, t *tail) (out []reg.VecVirtual) {
	for h := range e.halves() {
		m := item(base, j, f32, h*e.v.bytes)
		if t == nil {
			for i := range 2 {
				r := e.new()
				e.VCVTPS2PD(item(base, j, f32, h*e.v.bytes+i*e.v.bytes/2), r)
				out = append(out, r)
			}
			continue
		}
		out = append(out, e.widen(e.load(m, t, h))...)
	}
	return out
}

// zeros returns n cleared registers.
func (e *lanes) zeros(n int) []reg.VecVirtual {
	out := e.vecs(e.v, n)
	for _, r := range out {
		e.zero(r)
	}
	return out
}

// joined adds sixteen (or, from half as many registers, eight) lanes of float64 in the one order that all paths keep:
// lane j and lane j+8, then j+4, j+2, j+1. The sum is the lowest lane of the result.
func (e *lanes) joined(acc []reg.VecVirtual) reg.VecVirtual {
	for n := len(acc) / 2; n > 0; n /= 2 {
		for i := range n {
			e.VADDPD(acc[i+n], acc[i], acc[i])
		}
	}
	sum := acc[0].(reg.Vec)
	if e.v.masks {
		high := e.YMM()
		e.VEXTRACTF64X4(operand.Imm(1), acc[0], high)
		e.VADDPD(high, sum.AsY(), sum.AsY())
	}
	high, swapped := e.XMM(), e.XMM()
	e.VEXTRACTF128(operand.Imm(1), sum.AsY(), high)
	e.VADDPD(high, sum.AsX(), sum.AsX())
	e.VUNPCKHPD(sum.AsX(), sum.AsX(), swapped)
	e.VADDSD(swapped, sum.AsX(), sum.AsX())
	return acc[0]
}

func lowest(r reg.VecVirtual) reg.Register { return r.(reg.Vec).AsX() }

// reduction emits a sum over float32 values in sixteen lanes of float64.
func reduction(g *gen, v isa, name, inputs string, add func(e *lanes, in [][]reg.VecVirtual, acc []reg.VecVirtual)) {
	g.kernel(v, name, "func("+inputs+" *float32, n int) float64", "sums n ≥ 1 values in sixteen lanes of float64.", func(e *lanes) {
		base := []reg.GPVirtual{e.arg("x")}
		if inputs == "x, y" {
			base = append(base, e.arg("y"))
		}
		acc := e.zeros(2 * e.halves())
		e.loop(e.arg("n"), 16, false).run(func(j reg.Register, t *tail) {
			var in [][]reg.VecVirtual
			for _, b := range base {
				in = append(in, e.loadWide(b, j, t))
			}
			add(e, in, acc)
		})
		e.Store(lowest(e.joined(acc)), e.ReturnIndex(0))
	})
}

// lowestLanes returns registers of −Inf.
func (e *lanes) lowestLanes(c operand.Op) (out []reg.VecVirtual) {
	for range e.halves() {
		out = append(out, e.copyOf(c))
	}
	return out
}

// joinedMax returns the greatest of the lanes of float32 in the lowest lane.
func (e *lanes) joinedMax(acc []reg.VecVirtual) reg.VecVirtual {
	for _, r := range acc[1:] {
		e.VMAXPS(r, acc[0], acc[0])
	}
	top := acc[0].(reg.Vec)
	if e.v.masks {
		high := e.YMM()
		e.VEXTRACTF32X8(operand.Imm(1), acc[0], high)
		e.VMAXPS(high, top.AsY(), top.AsY())
	}
	high := e.XMM()
	e.VEXTRACTF128(operand.Imm(1), top.AsY(), high)
	e.VMAXPS(high, top.AsX(), top.AsX())
	e.VSHUFPS(operand.Imm(0x0e), top.AsX(), top.AsX(), high)
	e.VMAXPS(high, top.AsX(), top.AsX())
	e.VSHUFPS(operand.Imm(0x01), top.AsX(), top.AsX(), high)
	e.VMAXPS(high, top.AsX(), top.AsX())
	return acc[0]
}

func maximum(g *gen, v isa) {
	g.kernel(v, "maximum", "func(x *float32, n int) float32", "returns the greatest of n ≥ 1 values; NaN is passed over.", func(e *lanes) {
		x, acc := e.arg("x"), e.lowestLanes(e.f(negInf))
		e.loop(e.arg("n"), 16, false).run(func(j reg.Register, t *tail) {
			for h, r := range acc {
				e.VMAXPS(r, e.loadLow(item(x, j, f32, h*e.v.bytes), t, h), r)
			}
		})
		e.Store(lowest(e.joinedMax(acc)), e.ReturnIndex(0))
	})
}

// squaredNorm emits Σ x² or Σ (x·w)² of float64 values in eight lanes; products round before they are added.
func squaredNorm(g *gen, v isa, name string, scaled bool) {
	list := "x"
	if scaled {
		list = "x, w"
	}
	g.kernel(v, name, "func("+list+" *float64, n int) float64", "sums n ≥ 1 squares in eight lanes.", func(e *lanes) {
		x := e.arg("x")
		var w reg.GPVirtual
		if scaled {
			w = e.arg("w")
		}
		acc := e.zeros(e.halves())
		e.loop(e.arg("n"), 8, true).run(func(j reg.Register, t *tail) {
			for h := range acc {
				r := e.loadDouble(item(x, j, f64, h*e.v.bytes), t, h)
				if scaled {
					e.VMULPD(e.loadDouble(item(w, j, f64, h*e.v.bytes), t, h), r, r)
				}
				e.VMULPD(r, r, r)
				e.VADDPD(r, acc[h], acc[h])
			}
		})
		e.Store(lowest(e.joined(acc)), e.ReturnIndex(0))
	})
}

// loadDouble reads a vector of float64; lanes beyond the tail read as zero.
func (e *lanes) loadDouble(m operand.Mem, t *tail, half int) reg.VecVirtual {
	r := e.new()
	switch {
	case t == nil:
		e.VMOVUPD(m, r)
	case e.v.masks:
		e.VMOVUPD_Z(m, t.k, r)
	default:
		mask := e.new()
		e.VMOVUPD(at(t.double, 32*half), mask)
		e.VMASKMOVPD(m, mask, r)
	}
	return r
}

// storeDouble writes a vector of float64, the lanes within the tail only.
func (e *lanes) storeDouble(r reg.VecVirtual, m operand.Mem, t *tail, half int) {
	switch {
	case t == nil:
		e.VMOVUPD(r, m)
	case e.v.masks:
		e.VMOVUPD(r, t.k, m)
	default:
		mask := e.new()
		e.VMOVUPD(at(t.double, 32*half), mask)
		e.VMASKMOVPD(r, mask, m)
	}
}

// exactMean emits the mean of float32 arrays by sums in float64, and whether any of these lost something.
func exactMean(g *gen, v isa) {
	g.kernel(v, "exactMean", "func(dst *float32, src *[]byte, m, n int) uint64",
		"writes the mean of m ≥ 1 arrays of n values; the result is not zero where a sum of two is not exact, or not finite.", func(e *lanes) {
			dst, src, m := e.arg("dst"), e.arg("src"), e.arg("m")
			n := e.arg("n")
			count, lost := e.new(), e.new()
			e.zero(lost)
			if low := count.(reg.Vec).AsX(); e.v.masks {
				e.VCVTSI2SDQ(m, lost.(reg.Vec).AsX(), low)
			} else {
				e.VXORPS(count, count, count) // tells the allocator that the upper half holds nothing
				e.VCVTSI2SDQ(m, low, low)
			}
			e.VBROADCASTSD(count.(reg.Vec).AsX(), count)
			e.loop(n, 16, false).run(func(j reg.Register, t *tail) {
				at, left, x := e.GP64(), e.GP64(), e.GP64()
				read := func() (wide []reg.VecVirtual) {
					e.MOVQ(operand.Mem{Base: at}, x)
					for h := range e.halves() {
						wide = append(wide, e.widen(e.load(item(x, j, f32, h*e.v.bytes), t, h))...)
					}
					return wide
				}
				e.MOVQ(src, at)
				e.MOVQ(m, left)
				sums := read()
				for _, s := range sums {
					rest := e.new()
					e.VSUBPD(s, s, rest) // NaN for what is not finite
					e.VORPD(rest, lost, lost)
				}
				again, done := e.label("source"), e.label("summed")
				e.Label(again)
				e.DECQ(left)
				e.JZ(operand.LabelRef(done))
				e.ADDQ(operand.Imm(24), at) // the next slice
				for i, next := range read() {
					total, part, rest := e.new(), e.new(), e.new()
					e.VADDPD(next, sums[i], total)
					e.VSUBPD(sums[i], total, part)
					e.VSUBPD(part, total, rest)
					e.VSUBPD(rest, sums[i], rest)
					e.VSUBPD(part, next, part)
					e.VADDPD(part, rest, rest)
					e.VORPD(rest, lost, lost)
					e.VMOVAPD(total, sums[i])
				}
				e.JMP(operand.LabelRef(again))
				e.Label(done)
				for _, s := range sums {
					e.VDIVPD(count, s, s)
				}
				for h := range e.halves() {
					e.store(e.narrow(sums[2*h:2*h+2]), item(dst, j, f32, h*e.v.bytes), t, h)
				}
			})
			all := lost.(reg.Vec)
			if e.v.masks {
				high := e.YMM()
				e.VEXTRACTF64X4(operand.Imm(1), lost, high)
				e.VORPD(high, all.AsY(), all.AsY())
			}
			half, out := e.XMM(), e.GP64()
			e.VEXTRACTF128(operand.Imm(1), all.AsY(), half)
			e.VORPD(half, all.AsX(), all.AsX())
			e.VPSHUFD(operand.Imm(0x4e), all.AsX(), half)
			e.VORPD(half, all.AsX(), all.AsX())
			e.VMOVQ(all.AsX(), out)
			e.Store(out, e.ReturnIndex(0))
		})
}
