package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemmAhead is how far a step's prefetch moves on; internal/num has the same number.
const gemmAhead = 32

func gemmFile(g *gen) {
	for _, e := range []elem{f32, f64} {
		for _, vectors := range []int{1, 2} {
			for _, rows := range []int{1, 2, 4, 8, 14} {
				gemmKernel(g, avx512, e, rows, vectors)
			}
			for _, rows := range []int{1, 2, 4, 6} {
				gemmKernel(g, avx2, e, rows, vectors)
			}
		}
	}
}

func gemmSignature(e elem) string {
	return fmt.Sprintf("func(k int, a *%[1]s, rowA, stepA int, b *%[1]s, stepB int, c *%[1]s, rowC int, n int, alpha %[1]s, add int, next uintptr)", e.goType)
}

// gemmKernel emits C = alpha·A·B (+ C when add ≠ 0) for a tile of fixed rows and of n columns, n at most vectors·lanes.
// Every element is one chain of fused multiply-adds over k, started at zero, whatever the tile's shape: that is why
// an element's bits cannot depend on the tile it falls into. Without masks n must be full. Each step also fetches the
// next gemmAhead bytes from next on, which may point anywhere, into the cache.
func gemmKernel(g *gen, v isa, e elem, rows, vectors int) {
	name := fmt.Sprintf("gemm%s%sx%dx%d", e.name, v.name, rows, vectors)
	g.begin(name, gemmSignature(e), fmt.Sprintf("%s multiplies %d rows of A, elements rowA and stepA apart, into a tile of %d columns.", name, rows, vectors*v.bytes/e.bytes))

	var mask reg.OpmaskVirtual
	if v.masks {
		n := g.arg("n")
		if vectors > 1 {
			g.SUBQ(u((vectors-1)*v.bytes/e.bytes), n)
		}
		mask = g.lowMask(n)
	}
	k, rowA, stepA := g.arg("k"), g.stride("rowA", e), g.stride("stepA", e)
	// A base register serves three rows, by the index scales 0, 1 and 2.
	bases := []reg.Register{g.arg("a")}
	for len(bases)*3 < rows {
		next := g.GP64()
		g.LEAQ(operand.Mem{Base: bases[len(bases)-1], Index: rowA, Scale: 2}, next)
		g.ADDQ(rowA, next)
		bases = append(bases, next)
	}
	elemA := func(i int) operand.Mem {
		if i%3 == 0 {
			return operand.Mem{Base: bases[i/3]}
		}
		return operand.Mem{Base: bases[i/3], Index: rowA, Scale: uint8(i % 3)}
	}
	b, stepB, next := g.arg("b"), g.stride("stepB", e), g.arg("next")

	// C is wanted only after the loop: by then the prefetches have brought it in.
	p, rowC := g.arg("c"), g.stride("rowC", e)
	for i := range rows {
		for j := range vectors {
			if j*v.bytes%64 == 0 {
				g.PREFETCHT0(at(p, j*v.bytes))
			}
		}
		if i+1 < rows {
			g.ADDQ(rowC, p)
		}
	}

	acc := g.vecs(v, rows*vectors)
	for _, r := range acc {
		g.zero(r)
	}
	cols, lead := g.vecs(v, vectors), g.vecs(v, 2)
	g.Label("loop")
	for j, r := range cols {
		if mask != nil && j == vectors-1 {
			g.moveZeroed(e, at(b, j*v.bytes), mask, r)
		} else {
			g.move(e, at(b, j*v.bytes), r)
		}
	}
	g.ADDQ(stepB, b)
	g.PREFETCHT1(at(next, 0))
	g.ADDQ(u(gemmAhead), next)
	for i := range rows {
		t := lead[i%2]
		g.broadcast(e, elemA(i), t)
		for j, r := range cols {
			g.fma(e, t, r, acc[i*vectors+j])
		}
	}
	for _, base := range bases {
		g.ADDQ(stepA, base)
	}
	g.DECQ(k)
	g.JNZ(operand.LabelRef("loop"))

	alpha := lead[0]
	param, err := g.Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	g.broadcast(e, param.Addr, alpha)
	c, rowC2 := g.arg("c"), g.stride("rowC", e)
	p2 := g.GP64()
	g.MOVQ(c, p2)
	add := g.arg("add")
	g.TESTQ(add, add)
	g.JZ(operand.LabelRef("scale"))
	for i := range rows {
		for j := range vectors {
			r := acc[i*vectors+j]
			if mask != nil && j == vectors-1 {
				g.fmaAddMasked(e, at(p2, j*v.bytes), alpha, mask, r)
			} else {
				g.fmaAdd(e, at(p2, j*v.bytes), alpha, r)
			}
		}
		g.ADDQ(rowC2, p2)
	}
	g.JMP(operand.LabelRef("store"))
	g.Label("scale")
	for _, r := range acc {
		if e.bytes == 4 {
			g.VMULPS(r, alpha, r)
		} else {
			g.VMULPD(r, alpha, r)
		}
	}
	g.Label("store")
	for i := range rows {
		for j := range vectors {
			r := acc[i*vectors+j]
			if mask != nil && j == vectors-1 {
				g.moveMasked(e, r, mask, at(c, j*v.bytes))
			} else {
				g.move(e, r, at(c, j*v.bytes))
			}
		}
		if i+1 < rows {
			g.ADDQ(rowC2, c)
		}
	}
	g.end()
}

// fma: acc += x·y.
func (g *gen) fma(e elem, x, y operand.Op, acc reg.VecVirtual) {
	if e.bytes == 4 {
		g.VFMADD231PS(x, y, acc)
		return
	}
	g.VFMADD231PD(x, y, acc)
}

// fmaAdd: r = r·x + add.
func (g *gen) fmaAdd(e elem, add operand.Op, x, r reg.VecVirtual) {
	if e.bytes == 4 {
		g.VFMADD213PS(add, x, r)
		return
	}
	g.VFMADD213PD(add, x, r)
}

func (g *gen) fmaAddMasked(e elem, add operand.Op, x reg.VecVirtual, k reg.OpmaskVirtual, r reg.VecVirtual) {
	if e.bytes == 4 {
		g.VFMADD213PS(add, x, k, r)
		return
	}
	g.VFMADD213PD(add, x, k, r)
}
