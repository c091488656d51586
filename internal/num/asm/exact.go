package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const (
	gramSignature      = "func(n int, a, b *float64, acc *int64, ld int)"
	gridSignature      = "func(dst *float64, ldd int, x *float32, n, d int, scale, origin *float64) (outside int)"
	gridWholeSignature = "func(dst *float64, ldd int, x *float32, ldx, n, d int, scale, origin *float64) (outside int)"
	addIntSignature    = "func(acc *int64, x *float64, n int)"
	boundsSignature    = "func(low, high, x *float32, ldx, n, d int)"
)

var gridLimitBits = math.Float64bits(1 << 22) // 2^num.GridBits

// The constants of the exact kernels.
func (g *gen) gridLimit() operand.Mem { return g.word("gridLimit", gridLimitBits) }
func (g *gen) absMask() operand.Mem   { return g.word("absMask", 1<<63-1) }

func exactFile(g *gen) {
	for vectors := 1; vectors <= 3; vectors++ {
		gramKernel(g, avx512, 8, vectors)
		gramKernel(g, avx2, 4, vectors)
	}
	gridKernel512(g)
	gridKernel2(g)
	addInt512(g)
	addInt2(g)
	bounds(g, avx512)
	bounds(g, avx2)
	center(g, avx512)
	center(g, avx2)
	maxBits(g, avx512)
	maxBits(g, avx2)
}

// maxBits emits the greatest bits of |x|, as integers: above those of the largest number there are infinities and NaN.
func maxBits(g *gen, v isa) {
	const unroll = 4
	name := "maxBits" + v.name
	g.begin(name, "func(x *float32, n int) uint32",
		fmt.Sprintf("%s returns the greatest bits of |x[i]|, n being a positive multiple of %d.", name, unroll*v.bytes/4))
	x, n := g.arg("x"), g.arg("n")
	abs, top := g.vec(v), g.vecs(v, unroll)
	g.VBROADCASTSD(g.word("absMask32", 0x7fffffff7fffffff), abs)
	for _, r := range top {
		g.zero(r)
	}
	t := g.vecs(v, unroll)
	g.Label("loop")
	for i, r := range top {
		g.VANDPS(at(x, i*v.bytes), abs, t[i])
		g.VPMAXSD(t[i], r, r)
	}
	g.ADDQ(u(unroll*v.bytes), x)
	g.SUBQ(u(unroll*v.bytes/4), n)
	g.JNZ(operand.LabelRef("loop"))
	for i := 1; i < unroll; i++ {
		g.VPMAXSD(top[i], top[0], top[0])
	}
	most := top[0].(reg.Vec)
	if v.bytes == 64 {
		high := g.YMM()
		g.VEXTRACTF64X4(operand.Imm(1), top[0], high)
		g.VPMAXSD(high, most.AsY(), most.AsY())
	}
	half := g.XMM()
	g.VEXTRACTF128(operand.Imm(1), most.AsY(), half)
	g.VPMAXSD(half, most.AsX(), most.AsX())
	g.VPSHUFD(operand.Imm(0x4e), most.AsX(), half)
	g.VPMAXSD(half, most.AsX(), most.AsX())
	g.VPSHUFD(operand.Imm(0xb1), most.AsX(), half)
	g.VPMAXSD(half, most.AsX(), most.AsX())
	out := g.GP32()
	g.VMOVD(most.AsX(), out)
	g.VZEROUPPER()
	g.Store(out, g.ReturnIndex(0))
	g.RET()
}

// bounds emits the columns' least and greatest values, a strip of columns after another: a strip's bounds stay in registers.
func bounds(g *gen, v isa) {
	const strip = 4
	name := "bounds" + v.name
	g.begin(name, boundsSignature,
		fmt.Sprintf("%s: low[j] = min(low[j], x[i,j]), high[j] likewise, for n ≥ 1 rows and d columns, a positive multiple of %d. NaN is passed over.", name, strip*v.bytes/4))
	lowest, highest, x, ldx, n, d := g.arg("low"), g.arg("high"), g.arg("x"), g.stride("ldx", f32), g.arg("n"), g.arg("d")
	t, low, high := g.vecs(v, strip), g.vecs(v, strip), g.vecs(v, strip)
	p, i := g.GP64(), g.GP64()
	g.Label("strip")
	for s := range strip {
		g.VMOVUPS(at(lowest, s*v.bytes), low[s])
		g.VMOVUPS(at(highest, s*v.bytes), high[s])
	}
	g.MOVQ(x, p)
	g.MOVQ(n, i)
	g.Label("row")
	for s := range strip {
		g.VMOVUPS(at(p, s*v.bytes), t[s])
		g.VMINPS(low[s], t[s], low[s]) // NaN in x gives the second source, the bound so far
		g.VMAXPS(high[s], t[s], high[s])
	}
	g.ADDQ(ldx, p)
	g.DECQ(i)
	g.JNZ(operand.LabelRef("row"))
	for s := range strip {
		g.VMOVUPS(low[s], at(lowest, s*v.bytes))
		g.VMOVUPS(high[s], at(highest, s*v.bytes))
	}
	g.ADDQ(u(strip*v.bytes), x)
	g.ADDQ(u(strip*v.bytes), lowest)
	g.ADDQ(u(strip*v.bytes), highest)
	g.SUBQ(u(strip*v.bytes/4), d)
	g.JNZ(operand.LabelRef("strip"))
	g.end()
}

// center emits rows of float32 less a row of float64.
func center(g *gen, v isa) {
	lanes := v.bytes / 8
	name := "center" + v.name
	g.begin(name, "func(dst *float64, x *float32, center *float64, ld, n, d int)",
		fmt.Sprintf("%s: dst[i,j] = x[i,j] − center[j] for n ≥ 1 rows at a distance of ld values; d is a positive multiple of %d.", name, lanes))
	dst, x, middle, ld, n, d := g.arg("dst"), g.arg("x"), g.arg("center"), g.arg("ld"), g.arg("n"), g.arg("d")
	t, j := g.vec(v), g.GP64()
	g.Label("row")
	g.XORQ(j, j)
	g.Label("col")
	g.VCVTPS2PD(operand.Mem{Base: x, Index: j, Scale: 4}, t)
	g.VSUBPD(operand.Mem{Base: middle, Index: j, Scale: 8}, t, t)
	g.VMOVUPD(t, operand.Mem{Base: dst, Index: j, Scale: 8})
	g.ADDQ(operand.Imm(uint64(lanes)), j)
	g.CMPQ(j, d)
	g.JB(operand.LabelRef("col"))
	g.LEAQ(operand.Mem{Base: x, Index: ld, Scale: 4}, x)
	g.LEAQ(operand.Mem{Base: dst, Index: ld, Scale: 8}, dst)
	g.DECQ(n)
	g.JNZ(operand.LabelRef("row"))
	g.end()
}

// gramPanel is the width of a panel in vectors.
const gramPanel = 3

// gramKernel emits acc += AᵀB for a rows×(vectors·lanes) tile. Both operands are neighbouring columns of panels that are
// three vectors wide; so one packed copy serves as both sides of the product.
// The sums are integers below 2^53 in size, exact in float64, and become int64 on their way out.
func gramKernel(g *gen, v isa, rows, vectors int) {
	name := fmt.Sprintf("gram%sx%d", v.name, vectors)
	width := gramPanel * v.bytes // bytes from row to row
	g.begin(name, gramSignature,
		fmt.Sprintf("%s adds the %dx%d tile of the Gram matrix of n ≥ 1 rows to acc.", name, rows, vectors*v.bytes/8))
	n, a, b := g.arg("n"), g.arg("a"), g.arg("b")
	p, ld := g.arg("acc"), g.stride("ld", f64)
	for i := range rows {
		for j := 0; j < vectors*v.bytes; j += 64 {
			g.PREFETCHT0(at(p, j))
		}
		if i+1 < rows {
			g.ADDQ(ld, p)
		}
	}
	acc := g.vecs(v, rows*vectors)
	for _, r := range acc {
		g.zero(r)
	}
	cols := g.vecs(v, vectors)
	leads := 1
	if v.masks {
		leads = 4
	}
	lead := g.vecs(v, leads)
	const unroll = 4
	step := func(s int) {
		for j, r := range cols {
			g.VMOVUPD(at(b, s*width+j*v.bytes), r)
		}
		for i := range rows {
			t := lead[i%leads]
			g.VBROADCASTSD(at(a, s*width+i*8), t)
			for j, r := range cols {
				g.VFMADD231PD(t, r, acc[i*vectors+j])
			}
		}
	}
	blocks := g.GP64()
	g.MOVQ(n, blocks)
	g.SHRQ(operand.Imm(2), blocks)
	g.JZ(operand.LabelRef("rest"))
	g.Label("loop")
	for s := range unroll {
		step(s)
	}
	g.ADDQ(u(unroll*width), a)
	g.ADDQ(u(unroll*width), b)
	g.DECQ(blocks)
	g.JNZ(operand.LabelRef("loop"))
	g.Label("rest")
	g.ANDQ(operand.Imm(unroll-1), n)
	g.JZ(operand.LabelRef("spill"))
	g.Label("one")
	step(0)
	g.ADDQ(u(width), a)
	g.ADDQ(u(width), b)
	g.DECQ(n)
	g.JNZ(operand.LabelRef("one"))
	g.Label("spill")
	out, ld2 := g.arg("acc"), g.stride("ld", f64)
	if v.masks {
		// All loads before all stores: rows whose distance is a multiple of 4096 bytes would stall each other.
		in := g.GP64()
		g.MOVQ(out, in)
		for i := range rows {
			for j := range vectors {
				r := acc[i*vectors+j]
				g.VCVTTPD2QQ(r, r)
				g.VPADDQ(at(in, j*v.bytes), r, r)
			}
			if i+1 < rows {
				g.ADDQ(ld2, in)
			}
		}
	} else {
		for len(cols) < 3 {
			cols = append(cols, g.vec(v))
		}
		c := g.newIntConst(cols, lead)
		for i := range rows {
			for j := range vectors {
				// Twelve sums, three constants: one register is left, so the tile is spilled vector by vector.
				g.toInt2(c, acc[i*vectors+j], at(out, j*v.bytes))
			}
			if i+1 < rows {
				g.ADDQ(ld2, out)
			}
		}
		g.end()
		return
	}
	for i := range rows {
		for j := range vectors {
			g.VMOVDQU64(acc[i*vectors+j], at(out, j*v.bytes))
		}
		if i+1 < rows {
			g.ADDQ(ld2, out)
		}
	}
	g.end()
}

// intConst are the constants and the scratch of toInt2.
type intConst struct{ down, up, magic, t reg.VecVirtual }

func (g *gen) newIntConst(r []reg.VecVirtual, scratch []reg.VecVirtual) intConst {
	c := intConst{r[0], r[1], r[2], scratch[0]}
	g.VBROADCASTSD(g.word("twoToMinus32", math.Float64bits(0x1p-32)), c.down)
	g.VBROADCASTSD(g.word("twoTo32", math.Float64bits(0x1p32)), c.up)
	g.VBROADCASTSD(g.word("magic", math.Float64bits(0x1.8p52)), c.magic)
	return c
}

// toInt2 adds integer-valued r (|r| < 2^63) to the four int64 at m; r is lost. AVX2 has no such conversion, but
// x + 1.5·2^52 holds the integer x in its low bits when |x| < 2^51: so the halves r = h·2^32 + l go separately.
func (g *gen) toInt2(c intConst, r reg.VecVirtual, m operand.Mem) {
	g.VMULPD(c.down, r, c.t)
	g.VROUNDPD(operand.Imm(0), c.t, c.t) // h
	g.VFNMADD231PD(c.up, c.t, r)         // l = r − h·2^32, |l| ≤ 2^31
	g.VADDPD(c.magic, r, r)              //
	g.VPSUBQ(c.magic, r, r)              // l as int64
	g.VADDPD(c.magic, c.t, c.t)          //
	g.VPSLLQ(operand.Imm(32), c.t, c.t)  // h·2^32; the magic constant has only zeros in its low half
	g.VPADDQ(c.t, r, r)                  //
	g.VPADDQ(m, r, r)                    //
	g.VMOVDQU(r, m)                      //
}

// gridKernel512 emits Grid. The product and the difference stay apart: fused, they would round otherwise than portable code.
func gridKernel512(g *gen) {
	g.begin("gridAVX512", gridSignature, "gridAVX512 is Grid for n, d ≥ 1; outside ≠ 0 when a value left the grid.")
	dst, ldd, x := g.arg("dst"), g.stride("ldd", f64), g.arg("x")
	n, d, scale, origin := g.arg("n"), g.arg("d"), g.arg("scale"), g.arg("origin")
	limit, abs := g.ZMM(), g.ZMM()
	g.VBROADCASTSD(g.gridLimit(), limit)
	g.VBROADCASTSD(g.absMask(), abs)
	rest := g.GP64()
	g.MOVQ(d, rest)
	g.ANDQ(operand.Imm(7), rest)
	tail := g.lowMask(rest)
	bad, now := g.K(), g.K()
	g.KXORW(bad, bad, bad)
	v := g.ZMM()
	body := func(j reg.Register, masked bool) {
		mem := func(b reg.Register, scale uint8) operand.Mem { return operand.Mem{Base: b, Index: j, Scale: scale} }
		if masked {
			s, o := g.ZMM(), g.ZMM()
			g.VCVTPS2PD_Z(mem(x, 4), tail, v)
			g.VMOVUPD_Z(mem(scale, 8), tail, s)
			g.VMOVUPD_Z(mem(origin, 8), tail, o)
			g.VMULPD(s, v, v)
			g.VSUBPD(o, v, v)
		} else {
			g.VCVTPS2PD(mem(x, 4), v)
			g.VMULPD(mem(scale, 8), v, v)
			g.VSUBPD(mem(origin, 8), v, v)
		}
		g.VRNDSCALEPD(operand.Imm(8), v, v)
		if masked {
			g.VMOVUPD(v, tail, mem(dst, 8))
		} else {
			g.VMOVUPD(v, mem(dst, 8))
		}
		g.VANDPD(abs, v, v)
		g.VCMPPD(operand.Imm(6), limit, v, now) // not ≤, true for NaN
		g.KORW(now, bad, bad)
	}
	j, whole, wide := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(d, whole)
	g.SUBQ(rest, whole)
	g.MOVQ(d, wide)
	g.SHLQ(f32.shift(), wide)
	g.Label("row")
	g.XORQ(j, j)
	g.CMPQ(j, whole)
	g.JE(operand.LabelRef("tail"))
	g.Label("col")
	body(j, false)
	g.ADDQ(operand.Imm(8), j)
	g.CMPQ(j, whole)
	g.JB(operand.LabelRef("col"))
	g.Label("tail")
	g.TESTQ(rest, rest)
	g.JZ(operand.LabelRef("next"))
	body(j, true)
	g.Label("next")
	g.ADDQ(wide, x)
	g.ADDQ(ldd, dst)
	g.DECQ(n)
	g.JNZ(operand.LabelRef("row"))
	out := g.GP32()
	g.KMOVW(bad, out)
	g.Store(out.As64(), g.ReturnIndex(0))
	g.end()
}

// gridKernel2 emits the same for whole groups of four columns; the caller does the rest.
func gridKernel2(g *gen) {
	g.begin("gridAVX2", gridWholeSignature,
		"gridAVX2 is Grid for n ≥ 1 and d a positive multiple of 4; outside ≠ 0 when a value left the grid.")
	dst, ldd, x, ldx := g.arg("dst"), g.stride("ldd", f64), g.arg("x"), g.stride("ldx", f32)
	n, d, scale, origin := g.arg("n"), g.arg("d"), g.arg("scale"), g.arg("origin")
	limit, abs, bad, v := g.YMM(), g.YMM(), g.YMM(), g.YMM()
	g.VBROADCASTSD(g.gridLimit(), limit)
	g.VBROADCASTSD(g.absMask(), abs)
	g.VXORPD(bad, bad, bad)
	j := g.GP64()
	mem := func(b reg.Register, scale uint8) operand.Mem { return operand.Mem{Base: b, Index: j, Scale: scale} }
	g.Label("row")
	g.XORQ(j, j)
	g.Label("col")
	g.VCVTPS2PD(mem(x, 4), v)
	g.VMULPD(mem(scale, 8), v, v)
	g.VSUBPD(mem(origin, 8), v, v)
	g.VROUNDPD(operand.Imm(8), v, v)
	g.VMOVUPD(v, mem(dst, 8))
	g.VANDPD(abs, v, v)
	g.VCMPPD(operand.Imm(6), limit, v, v)
	g.VORPD(v, bad, bad)
	g.ADDQ(operand.Imm(4), j)
	g.CMPQ(j, d)
	g.JB(operand.LabelRef("col"))
	g.ADDQ(ldx, x)
	g.ADDQ(ldd, dst)
	g.DECQ(n)
	g.JNZ(operand.LabelRef("row"))
	out := g.GP32()
	g.VMOVMSKPD(bad, out)
	g.Store(out.As64(), g.ReturnIndex(0))
	g.end()
}

func addInt512(g *gen) {
	g.begin("addIntAVX512", addIntSignature, "addIntAVX512 adds integer-valued x to acc; n ≥ 1.")
	acc, x, n := g.arg("acc"), g.arg("x"), g.arg("n")
	v := g.ZMM()
	g.Label("loop")
	g.CMPQ(n, operand.Imm(8))
	g.JB(operand.LabelRef("tail"))
	g.VCVTTPD2QQ(at(x, 0), v)
	g.VPADDQ(at(acc, 0), v, v)
	g.VMOVDQU64(v, at(acc, 0))
	g.ADDQ(operand.Imm(64), x)
	g.ADDQ(operand.Imm(64), acc)
	g.SUBQ(operand.Imm(8), n)
	g.JNZ(operand.LabelRef("loop"))
	g.JMP(operand.LabelRef("done"))
	g.Label("tail")
	k, w := g.lowMask(n), g.ZMM()
	g.VMOVUPD_Z(at(x, 0), k, v)
	g.VCVTTPD2QQ(v, v)
	g.VMOVDQU64_Z(at(acc, 0), k, w)
	g.VPADDQ(w, v, v)
	g.VMOVDQU64(v, k, at(acc, 0))
	g.Label("done")
	g.end()
}

func addInt2(g *gen) {
	g.begin("addIntAVX2", addIntSignature, "addIntAVX2 adds integer-valued x to acc; n is a positive multiple of 4.")
	acc, x, n := g.arg("acc"), g.arg("x"), g.arg("n")
	c := g.newIntConst(g.vecs(avx2, 3), g.vecs(avx2, 1))
	v := g.YMM()
	g.Label("loop")
	g.VMOVUPD(at(x, 0), v)
	g.toInt2(c, v, at(acc, 0))
	g.ADDQ(operand.Imm(32), x)
	g.ADDQ(operand.Imm(32), acc)
	g.SUBQ(operand.Imm(4), n)
	g.JNZ(operand.LabelRef("loop"))
	g.end()
}
