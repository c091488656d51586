package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	squaredDistanceSignature = "func(x, y *float32, n int) float64"
	belowSignature           = "func(bits *uint8, dot, norm *float32, n int, limit float32)"
)

func nearestFile(g *gen) {
	for _, v := range []isa{avx512, avx2} {
		squaredDistance(g, v)
		below(g, v)
	}
}

// squaredDistance emits Σ(x−y)² of float32 rows in float64: two accumulators, joined in a fixed order.
func squaredDistance(g *gen, v isa) {
	lanes := v.bytes / 8
	g.begin("squaredDistance"+v.name, squaredDistanceSignature,
		"squaredDistance"+v.name+" sums (x−y)² in float64; n is a positive multiple of "+map[int]string{16: "16", 8: "8"}[2*lanes]+".")
	x, y, n := g.arg("x"), g.arg("y"), g.arg("n")
	acc, a, b := g.vecs(v, 2), g.vecs(v, 2), g.vecs(v, 2)
	for _, r := range acc {
		g.zero(r)
	}
	g.Label("loop")
	for i := range 2 {
		g.VCVTPS2PD(at(x, i*lanes*4), a[i])
		g.VCVTPS2PD(at(y, i*lanes*4), b[i])
		g.VSUBPD(b[i], a[i], a[i])
		g.VFMADD231PD(a[i], a[i], acc[i])
	}
	g.ADDQ(u(2*lanes*4), x)
	g.ADDQ(u(2*lanes*4), y)
	g.SUBQ(u(2*lanes), n)
	g.JNZ(operand.LabelRef("loop"))
	g.VADDPD(acc[1], acc[0], acc[0])
	sum := acc[0].(reg.Vec)
	if v.bytes == 64 {
		high := g.YMM()
		g.VEXTRACTF64X4(operand.Imm(1), acc[0], high)
		g.VADDPD(high, sum.AsY(), sum.AsY())
	}
	high, swapped := g.XMM(), g.XMM()
	g.VEXTRACTF128(operand.Imm(1), sum.AsY(), high)
	g.VADDPD(high, sum.AsX(), sum.AsX())
	g.VUNPCKHPD(sum.AsX(), sum.AsX(), swapped)
	g.VADDSD(swapped, sum.AsX(), sum.AsX())
	g.VZEROUPPER()
	g.Store(sum.AsX(), g.ReturnIndex(0))
	g.RET()
}

// below emits the search for norm − 2·dot ≤ limit, one bit a value; NaN counts as below.
func below(g *gen, v isa) {
	g.begin("below"+v.name, belowSignature,
		"below"+v.name+" sets bit i where norm[i] − 2·dot[i] is not above limit; n is a positive multiple of 16.")
	bits, dot, norm, n := g.arg("bits"), g.arg("dot"), g.arg("norm"), g.arg("n")
	two, limit, t := g.vec(v), g.vec(v), g.vec(v)
	param, err := g.Param("limit").Resolve()
	if err != nil {
		panic(err)
	}
	g.VBROADCASTSS(param.Addr, limit)
	g.VBROADCASTSS(g.word("two", 0x4000000040000000), two)
	lanes := v.bytes / 4
	g.Label("loop")
	for i := 0; i < 16; i += lanes {
		g.VMOVUPS(at(norm, i*4), t)
		g.VFNMADD231PS(at(dot, i*4), two, t)
		if v.masks {
			k := g.K()
			g.VCMPPS(operand.Imm(10), limit, t, k) // not >
			g.KMOVW(k, at(bits, 0))
		} else {
			m := g.GP32()
			g.VCMPPS(operand.Imm(10), limit, t, t)
			g.VMOVMSKPS(t, m)
			g.MOVB(m.As8(), at(bits, i/8))
		}
	}
	g.ADDQ(u(2), bits)
	g.ADDQ(u(64), dot)
	g.ADDQ(u(64), norm)
	g.SUBQ(u(16), n)
	g.JNZ(operand.LabelRef("loop"))
	g.end()
}
