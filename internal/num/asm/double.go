package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// doubleFile emits exponentials in float64, for scores and for logarithms of sums.
func doubleFile(g *gen) {
	for _, v := range []isa{avx512, avx2} {
		g.kernel(v, "expWide", "func(dst, x *float64, n int, top, scale float64) float64",
			"writes exp((x − top)·scale) for n ≥ 1 values that are not above top, and returns the sum.", func(e *lanes) {
				dst, x := e.arg("dst"), e.arg("x")
				e.sumExponentials(func(j reg.Register, t *tail, h int) reg.VecVirtual {
					return e.loadDouble(item(x, j, f64, h*e.v.bytes), t, h)
				}, func(r reg.VecVirtual, j reg.Register, t *tail, h int) {
					e.storeDouble(r, item(dst, j, f64, h*e.v.bytes), t, h)
				}, e.scalar("scale", f64))
			})
		g.kernel(v, "expSumWide", "func(x *float64, n int, top float64) float64",
			"sums exp(x − top) over n ≥ 1 values that are not above top.", func(e *lanes) {
				x := e.arg("x")
				e.sumExponentials(func(j reg.Register, t *tail, h int) reg.VecVirtual {
					return e.loadDouble(item(x, j, f64, h*e.v.bytes), t, h)
				}, nil, nil)
			})
	}
}

// exp(r) − 1 − r over r² on |r| ≤ ln 2/2, minimax: relative error of exp(r) 2^-57.9.
var expWideSeries = []float64{2.500001885308334195273929e-8, 2.763026305625764855e-7, 2.755758680384707069650579e-6, 2.480149294961707076908561e-5,
	1.984126950577380699709659e-4, 1.388888894375998401086222e-3, 8.333333333494977261042436e-3, 4.166666666652972813375333e-2,
	1.666666666666641150801643e-1, 5.000000000000010668764775e-1}

// sumExponentials emits the loop over groups of eight float64: exp((x − top)·scale), stored and summed in eight lanes.
func (e *lanes) sumExponentials(load func(j reg.Register, t *tail, h int) reg.VecVirtual, store func(r reg.VecVirtual, j reg.Register, t *tail, h int), scale reg.VecVirtual) {
	const high = 0x1.62e42fefap-1 // ln 2, so short that its product with a whole number below 2^11 is exact
	const low = 0x1.cf79abc9e3b39p-40
	top, acc := e.scalar("top", f64), e.zeros(e.halves())
	e.loop(e.arg("n"), 8, true).run(func(j reg.Register, t *tail) {
		for h := range acc {
			x := load(j, t, h)
			e.VSUBPD(top, x, x)
			if scale != nil {
				e.VMULPD(scale, x, x)
			}
			r, n, p := e.copyOf(e.d(-750)), e.new(), e.copyOf(e.d(expWideSeries[0]))
			e.VMAXPD(x, r, r) // NaN stays
			e.VMULPD(e.d(1/math.Ln2), r, n)
			if e.v.masks {
				e.VRNDSCALEPD(operand.Imm(8), n, n)
			} else {
				e.VROUNDPD(operand.Imm(8), n, n)
			}
			e.VFNMADD231PD(e.d(high), n, r)
			e.VFNMADD231PD(e.d(low), n, r)
			for _, c := range append(append([]float64(nil), expWideSeries[1:]...), 1, 1) {
				e.VFMADD213PD(e.d(c), r, p)
			}
			e.timesWide(n, p)
			e.withinWide(p, t, h)
			e.VADDPD(p, acc[h], acc[h])
			if store != nil {
				store(p, j, t, h)
			}
		}
	})
	e.Store(lowest(e.joined(acc)), e.ReturnIndex(0))
}

// timesWide: x = x·2^n for whole n, |n| ≤ 1100, rounded once; n is lost.
func (e *lanes) timesWide(n, x reg.VecVirtual) {
	if e.v.masks {
		e.VSCALEFPD(n, x, x)
		return
	}
	half := e.new() // n + 1.5·2^52 holds the integer n in its low bits
	e.VMULPD(e.d(0.5), n, half)
	e.VROUNDPD(operand.Imm(8), half, half)
	e.VSUBPD(half, n, n)
	for _, r := range []reg.VecVirtual{half, n} {
		e.VADDPD(e.d(0x1.8p52), r, r)
		e.VPSLLQ(operand.Imm(52), r, r)
		e.VPADDQ(e.d(1), r, r)
		e.VMULPD(r, x, x)
	}
}

// withinWide clears the lanes of a group of eight float64 that lie beyond the tail.
func (e *lanes) withinWide(r reg.VecVirtual, t *tail, h int) {
	switch {
	case t == nil:
	case e.v.masks:
		e.VMOVAPD_Z(r, t.k, r)
	default:
		e.VANDPD(at(t.double, 32*h), r, r)
	}
}
