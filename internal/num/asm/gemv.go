package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowLanes is the bytes of partial sums that every path keeps for a row, so that all join the same partial sums.
const rowLanes = 64

func gemvFile(g *gen) {
	for _, v := range []isa{avx512, avx2} {
		for _, e := range []elem{f32, f64} {
			for _, rows := range []int{1, 4} {
				rowKernel(g, v, e, rows, true, false)
				rowKernel(g, v, e, rows, false, true)
			}
		}
		rowKernel(g, v, f64, 4, true, true)
	}
}

// rowKernel emits one pass over a few rows of A: dot products with x, or their multiples added to y, or both.
func rowKernel(g *gen, v isa, e elem, rows int, dots, adds bool) {
	var name, params, doc string
	switch {
	case dots && adds:
		name, params, doc = "dotAdd", "coef *%[1]s, x, y *%[1]s, dst *%[1]s", "does what dot and add do, reading the rows once"
	case dots:
		name, params, doc = "dot", "x *%[1]s, dst *%[1]s", "writes the dot products of rows of A with x to dst"
	default:
		name, params, doc = "add", "coef *%[1]s, y *%[1]s", "adds coef[i]·row i of A to y, first row first"
	}
	name = fmt.Sprintf("%s%s%sx%d", name, e.name, v.name, rows)
	g.begin(name, fmt.Sprintf("func(n int, a *%[1]s, lda int, "+params+")", e.goType), fmt.Sprintf("%s %s: %d rows of n values, n ≥ 1.", name, doc, rows))
	n, lda := g.arg("n"), g.stride("lda", e)
	a := []reg.Register{g.arg("a")}
	for len(a) < rows {
		next := g.GP64()
		g.MOVQ(a[len(a)-1], next)
		g.ADDQ(lda, next)
		a = append(a, next)
	}
	vectors := rowLanes / v.bytes
	var x, y reg.Register
	var acc, coef []reg.VecVirtual
	if dots {
		x = g.arg("x")
		acc = g.vecs(v, rows*vectors)
		for _, r := range acc {
			g.zero(r)
		}
	}
	if adds {
		y = g.arg("y")
		from := g.arg("coef")
		coef = g.vecs(v, rows)
		for i, r := range coef {
			g.broadcast(e, at(from, i*e.bytes), r)
		}
	}
	lanes := rowLanes / e.bytes

	step := func(mask func(j int) (load func(from operand.Op, to reg.VecVirtual), store func(from reg.VecVirtual, to operand.Op))) {
		for j := range vectors {
			load, store := mask(j)
			var xs, ys reg.VecVirtual
			if dots {
				xs = g.vec(v)
				load(at(x, j*v.bytes), xs)
			}
			if adds {
				ys = g.vec(v)
				load(at(y, j*v.bytes), ys)
			}
			for i := range rows {
				as := g.vec(v)
				load(at(a[i], j*v.bytes), as)
				if dots {
					g.fma(e, as, xs, acc[i*vectors+j])
				}
				if adds {
					g.fma(e, as, coef[i], ys)
				}
			}
			if adds {
				store(ys, at(y, j*v.bytes))
			}
		}
	}
	g.SUBQ(u(lanes), n)
	g.JL(operand.LabelRef("tail"))
	g.Label("loop")
	step(func(int) (func(operand.Op, reg.VecVirtual), func(reg.VecVirtual, operand.Op)) {
		return func(from operand.Op, to reg.VecVirtual) { g.move(e, from, to) }, func(from reg.VecVirtual, to operand.Op) { g.move(e, from, to) }
	})
	for _, r := range a {
		g.ADDQ(u(rowLanes), r)
	}
	if dots {
		g.ADDQ(u(rowLanes), x)
	}
	if adds {
		g.ADDQ(u(rowLanes), y)
	}
	g.SUBQ(u(lanes), n)
	g.JGE(operand.LabelRef("loop"))
	g.Label("tail")
	g.ADDQ(u(lanes), n)
	g.JZ(operand.LabelRef("done"))
	if v.masks {
		k := g.lowMask(n)
		step(func(int) (func(operand.Op, reg.VecVirtual), func(reg.VecVirtual, operand.Op)) {
			return func(from operand.Op, to reg.VecVirtual) { g.moveZeroed(e, from, k, to) }, func(from reg.VecVirtual, to operand.Op) { g.moveMasked(e, from, k, to) }
		})
	} else {
		// Lanes from n on see zeros: their sums keep their bits.
		table, back := g.GP64(), g.GP64()
		g.LEAQ(g.maskTable(), table)
		g.MOVQ(n, back)
		g.SHLQ(e.shift(), back)
		g.SUBQ(back, table)
		step(func(j int) (func(operand.Op, reg.VecVirtual), func(reg.VecVirtual, operand.Op)) {
			m := g.vec(v)
			g.VMOVUPS(at(table, rowLanes+j*v.bytes), m)
			load := func(from operand.Op, to reg.VecVirtual) {
				if e.bytes == 4 {
					g.VMASKMOVPS(from, m, to)
				} else {
					g.VMASKMOVPD(from, m, to)
				}
			}
			store := func(from reg.VecVirtual, to operand.Op) {
				if e.bytes == 4 {
					g.VMASKMOVPS(from, m, to)
				} else {
					g.VMASKMOVPD(from, m, to)
				}
			}
			return load, store
		})
	}
	g.Label("done")
	if dots {
		dst := g.arg("dst")
		for i := range rows {
			g.sumLanes(v, e, acc[i*vectors:(i+1)*vectors], at(dst, i*e.bytes))
		}
	}
	g.end()
}

// sumLanes joins a row's partial sums, halves upon halves, and stores the sum.
func (g *gen) sumLanes(v isa, e elem, acc []reg.VecVirtual, to operand.Mem) {
	add := func(x, y operand.Op, dst reg.Register) {
		if e.bytes == 4 {
			g.VADDPS(x, y, dst)
		} else {
			g.VADDPD(x, y, dst)
		}
	}
	sum := acc[0].(reg.Vec)
	if v.bytes == 64 {
		high := g.YMM()
		g.VEXTRACTF64X4(operand.Imm(1), acc[0], high)
		add(high, sum.AsY(), sum.AsY())
	} else {
		add(acc[1], acc[0], acc[0])
	}
	high := g.XMM()
	g.VEXTRACTF128(operand.Imm(1), sum.AsY(), high)
	add(high, sum.AsX(), sum.AsX())
	if e.bytes == 8 {
		swapped := g.XMM()
		g.VUNPCKHPD(sum.AsX(), sum.AsX(), swapped)
		g.VADDSD(swapped, sum.AsX(), sum.AsX())
		g.VMOVSD(sum.AsX(), to)
		return
	}
	upper, odd := g.XMM(), g.XMM()
	g.VUNPCKHPD(sum.AsX(), sum.AsX(), upper)
	g.VADDPS(upper, sum.AsX(), sum.AsX())
	g.VMOVSHDUP(sum.AsX(), odd)
	g.VADDSS(odd, sum.AsX(), sum.AsX())
	g.VMOVSS(sum.AsX(), to)
}

// maskTable is rowLanes bytes of ones, then as many zeros: read n elements before its middle, it masks the first n lanes.
func (g *gen) maskTable() operand.Mem {
	const name = "firstLanes"
	m, ok := g.words[name]
	if !ok {
		m = g.StaticGlobal(name)
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		for i := range 2 * rowLanes / 8 {
			ones := operand.U64(0)
			if i < rowLanes/8 {
				ones = operand.U64(1<<64 - 1)
			}
			g.AddDatum(8*i, ones)
		}
		g.words[name] = m
	}
	return m
}
