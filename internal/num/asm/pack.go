package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func packFile(g *gen) {
	copyPanel(g, avx512, f32, 2)
	copyPanel(g, avx512, f64, 2)
	copyPanel(g, avx512, f64, 3)
	copyPanel(g, avx2, f32, 2)
	copyPanel(g, avx2, f64, 2)
	copyPanel(g, avx2, f64, 3)
	transpose32(g)
	transpose64(g)
}

func copyPanelSignature(e elem) string {
	return fmt.Sprintf("func(dst, src *%s, lds, n, w int)", e.goType)
}

func transposeSignature(e elem) string {
	return fmt.Sprintf("func(dst *%[1]s, ldd int, src *%[1]s, lds, k int)", e.goType)
}

// copyPanel emits the copy of n rows of vectors·lanes columns, lds apart, to consecutive rows. With masks the last
// columns, from w on, are written as zeros; without, w must be full.
func copyPanel(g *gen, v isa, e elem, vectors int) {
	name := fmt.Sprintf("copyPanel%s%sx%d", e.name, v.name, vectors)
	g.begin(name, copyPanelSignature(e),
		fmt.Sprintf("%s copies n ≥ 1 rows of w ≤ %d columns to rows of that width.", name, vectors*v.bytes/e.bytes))
	dst, src, lds, n := g.arg("dst"), g.arg("src"), g.stride("lds", e), g.arg("n")
	var masks []reg.OpmaskVirtual
	if v.masks {
		w, left, zero := g.arg("w"), g.GP64(), g.GP64()
		g.XORQ(zero, zero)
		for j := range vectors {
			g.MOVQ(w, left)
			if j > 0 {
				g.SUBQ(u(j*v.bytes/e.bytes), left)
			}
			g.CMOVQLT(zero, left) // BZHI reads eight bits: a negative count must become zero
			masks = append(masks, g.lowMask(left))
		}
	}
	r := g.vecs(v, vectors)
	g.Label("loop")
	for j := range vectors {
		if masks != nil {
			g.moveZeroed(e, at(src, j*v.bytes), masks[j], r[j])
		} else {
			g.move(e, at(src, j*v.bytes), r[j])
		}
	}
	for j := range vectors {
		g.move(e, r[j], at(dst, j*v.bytes))
	}
	g.ADDQ(lds, src)
	g.ADDQ(u(vectors*v.bytes), dst)
	g.DECQ(n)
	g.JNZ(operand.LabelRef("loop"))
	g.end()
}

// transpose32 emits the transposition of 8 rows of a multiple of 8 columns.
func transpose32(g *gen) {
	g.begin("transposeF32AVX2", transposeSignature(f32),
		"transposeF32AVX2 writes 8 rows of k columns, k a positive multiple of 8, as k rows of 8 columns.")
	dst, ldd, src, lds, k := g.arg("dst"), g.stride("ldd", f32), g.arg("src"), g.stride("lds", f32), g.arg("k")
	r := g.vecs(avx2, 8)
	p := g.GP64()
	g.Label("loop")
	g.MOVQ(src, p)
	for i := range 8 {
		g.VMOVUPS(at(p, 0), r[i])
		if i < 7 {
			g.ADDQ(lds, p)
		}
	}
	s := g.vecs(avx2, 8) // pairs of rows interleaved within 128-bit halves
	for i := 0; i < 8; i += 2 {
		g.VUNPCKLPS(r[i+1], r[i], s[i])
		g.VUNPCKHPS(r[i+1], r[i], s[i+1])
	}
	q := g.vecs(avx2, 8) // q[c]: column c (low half) and c+4 (high half) of rows 0..3, then of rows 4..7
	for h := 0; h < 8; h += 4 {
		g.VSHUFPS(operand.Imm(0x44), s[h+2], s[h], q[h])
		g.VSHUFPS(operand.Imm(0xee), s[h+2], s[h], q[h+1])
		g.VSHUFPS(operand.Imm(0x44), s[h+3], s[h+1], q[h+2])
		g.VSHUFPS(operand.Imm(0xee), s[h+3], s[h+1], q[h+3])
	}
	out := g.YMM()
	for c := range 8 {
		half := operand.Imm(0x20)
		if c >= 4 {
			half = operand.Imm(0x31)
		}
		g.VPERM2F128(half, q[c%4+4], q[c%4], out)
		g.VMOVUPS(out, at(dst, 0))
		g.ADDQ(ldd, dst)
	}
	g.ADDQ(u(32), src)
	g.SUBQ(u(8), k)
	g.JNZ(operand.LabelRef("loop"))
	g.end()
}

// transpose64 emits the transposition of 4 rows of a multiple of 4 columns.
func transpose64(g *gen) {
	g.begin("transposeF64AVX2", transposeSignature(f64),
		"transposeF64AVX2 writes 4 rows of k columns, k a positive multiple of 4, as k rows of 4 columns.")
	dst, ldd, src, lds, k := g.arg("dst"), g.stride("ldd", f64), g.arg("src"), g.stride("lds", f64), g.arg("k")
	r := g.vecs(avx2, 4)
	p := g.GP64()
	g.Label("loop")
	g.MOVQ(src, p)
	for i := range 4 {
		g.VMOVUPD(at(p, 0), r[i])
		if i < 3 {
			g.ADDQ(lds, p)
		}
	}
	s := g.vecs(avx2, 4)
	for i := 0; i < 4; i += 2 {
		g.VUNPCKLPD(r[i+1], r[i], s[i])
		g.VUNPCKHPD(r[i+1], r[i], s[i+1])
	}
	out := g.YMM()
	for c := range 4 {
		half := operand.Imm(0x20)
		if c >= 2 {
			half = operand.Imm(0x31)
		}
		g.VPERM2F128(half, s[c%2+2], s[c%2], out)
		g.VMOVUPD(out, at(dst, 0))
		g.ADDQ(ldd, dst)
	}
	g.ADDQ(u(32), src)
	g.SUBQ(u(4), k)
	g.JNZ(operand.LabelRef("loop"))
	g.end()
}
