package main

import "fmt"

func neonGemmFile(a *neon) {
	for _, e := range []elem{f32, f64} {
		for vectors := 1; vectors <= 4; vectors++ {
			for _, rows := range []int{1, 2, 4, 6} {
				neonGemm(a, e, rows, vectors)
			}
		}
	}
}

// neonGemm emits the same as gemmKernel, but wants each column of A's tile in one piece: rowA is 1 and not read. So a
// step loads a column as it lies and multiplies by its elements, which spares the loads that would spread them.
// Registers: sums V0 to V23, a row of B V24 to V27, a column of A V28 to V30.
func neonGemm(a *neon, e elem, rows, vectors int) {
	name := fmt.Sprintf("gemm%sNEONx%dx%d", e.name, rows, vectors)
	a.begin(name, gemmSignature(e), fmt.Sprintf("%s multiplies %d rows of A, elements 1 and stepA apart, into a tile of %d columns.", name, rows, vectors*16/e.bytes))
	k, lead, stepA := a.arg("k", 0), a.arg("a", 1), a.stride("stepA", e, 2)
	b, stepB, next := a.arg("b", 3), a.stride("stepB", e, 4), a.arg("next", 5)
	c, rowC, p := a.arg("c", 6), a.stride("rowC", e, 7), 8
	a.op("MOVD R%d, R%d", c, p)
	for i := range rows {
		a.op("PRFM (R%d), PLDL1KEEP", p)
		if i+1 < rows {
			a.op("ADD R%d, R%d, R%d", rowC, p, p)
		}
	}
	const cols, column = 24, 28
	a.zero(0, rows*vectors)
	a.label("loop")
	a.load(b, 0, cols, vectors)
	a.loadElements(e, lead, column, rows)
	a.op("ADD R%d, R%d, R%d", stepB, b, b)
	a.op("ADD R%d, R%d, R%d", stepA, lead, lead)
	a.op("PRFM (R%d), PLDL2KEEP", next)
	a.op("ADD $%d, R%d, R%d", gemmAhead, next, next)
	lanes := 16 / e.bytes
	for i := range rows {
		for j := range vectors {
			a.fmlaBy(e, i*vectors+j, cols+j, column+i/lanes, i%lanes)
		}
	}
	a.op("SUB $1, R%d, R%d", k, k)
	a.op("CBNZ R%d, loop", k)

	alpha, add := column, 9
	a.op("%s %s, F%d", map[int]string{4: "FMOVS", 8: "FMOVD"}[e.bytes], a.at("alpha"), alpha)
	a.arg("add", add)
	a.op("CBZ R%d, scale", add)
	for i := range rows {
		a.load(c, 0, cols, vectors)
		for j := range vectors {
			a.fmlaBy(e, cols+j, i*vectors+j, alpha, 0)
		}
		a.store(cols, vectors, c, 0)
		if i+1 < rows {
			a.op("ADD R%d, R%d, R%d", rowC, c, c)
		}
	}
	a.end()
	a.label("scale")
	for i := range rows {
		for j := range vectors {
			a.fmulBy(e, i*vectors+j, i*vectors+j, alpha, 0)
		}
		a.store(i*vectors, vectors, c, 0)
		if i+1 < rows {
			a.op("ADD R%d, R%d, R%d", rowC, c, c)
		}
	}
	a.end()
}

// loadElements loads n neighbouring elements and reads nothing beyond them.
func (a *neon) loadElements(e elem, r, first, n int) {
	bytes := n * e.bytes
	a.load(r, 0, first, bytes/16)
	switch at := bytes &^ 15; bytes & 15 {
	case 8:
		a.op("FMOVD %d(R%d), F%d", at, r, first+at/16)
	case 4:
		a.op("FMOVS %d(R%d), F%d", at, r, first+at/16)
	}
}

func neonPackFile(a *neon) {
	neonCopyPanel(a, f32, 4)
	neonCopyPanel(a, f64, 4)
	neonCopyPanel(a, f64, 2*gramPanel)
	for _, e := range []elem{f32, f64} {
		for _, rows := range []int{4, 6} {
			neonTranspose(a, e, rows)
		}
	}
}

// neonCopyPanel emits the copy of n rows of whole vectors, lds apart, to consecutive rows.
func neonCopyPanel(a *neon, e elem, vectors int) {
	name := fmt.Sprintf("copyPanel%sNEONx%d", e.name, vectors)
	a.begin(name, copyPanelSignature(e), fmt.Sprintf("%s copies n ≥ 1 rows of w = %d columns to rows of that width.", name, vectors*16/e.bytes))
	dst, src, lds, n := a.arg("dst", 0), a.arg("src", 1), a.stride("lds", e, 2), a.arg("n", 3)
	a.label("loop")
	a.load(src, 0, 0, vectors)
	a.op("ADD R%d, R%d, R%d", lds, src, src)
	a.store(0, vectors, dst, 0)
	a.op("ADD $%d, R%d, R%d", vectors*16, dst, dst)
	a.op("SUB $1, R%d, R%d", n, n)
	a.op("CBNZ R%d, loop", n)
	a.end()
}

// neonTranspose emits the transposition of 4 or 6 rows of a multiple of 4 columns.
func neonTranspose(a *neon, e elem, rows int) {
	name := fmt.Sprintf("transpose%sNEONx%d", e.name, rows)
	a.begin(name, transposeSignature(e), fmt.Sprintf("%s writes %[2]d rows of k columns, k a positive multiple of 4, as k rows of %[2]d columns.", name, rows))
	dst, ldd, src, lds, k := a.arg("dst", 0), a.stride("ldd", e, 1), a.arg("src", 2), a.stride("lds", e, 3), a.arg("k", 4)
	const row = 5 // R5 to R10 are the rows' addresses
	a.op("MOVD R%d, R%d", src, row)
	for i := 1; i < rows; i++ {
		a.op("ADD R%d, R%d, R%d", lds, row+i-1, row+i)
	}
	lanes := 16 / e.bytes
	a.label("loop")
	for range 4 / lanes {
		for i := range rows {
			a.op("FMOVQ.P 16(R%d), F%d", row+i, i)
		}
		if e.bytes == 8 {
			for i := 0; i < rows; i += 2 {
				a.pair("VZIP1", "D2", 8+i/2, i, i+1)
				a.pair("VZIP2", "D2", 12+i/2, i, i+1)
			}
			for c := range lanes {
				a.store(8+4*c, rows/2, dst, 0)
				a.op("ADD R%d, R%d, R%d", ldd, dst, dst)
			}
			continue
		}
		for i := 0; i < 4; i += 2 { // V8, V10: columns 0 and 2 of two rows; V9, V11: 1 and 3
			a.pair("VTRN1", "S4", 8+i, i, i+1)
			a.pair("VTRN2", "S4", 9+i, i, i+1)
		}
		for c := range 4 {
			a.pair(fmt.Sprintf("VTRN%d", 1+c/2), "D2", 16+c, 8+c%2, 10+c%2)
		}
		if rows == 6 {
			a.pair("VZIP1", "S4", 20, 4, 5) // columns 0 and 1 of rows 4 and 5
			a.pair("VZIP2", "S4", 22, 4, 5)
			a.op("VDUP V20.D[1], V21.D2")
			a.op("VDUP V22.D[1], V23.D2")
		}
		for c := range 4 {
			a.store(16+c, 1, dst, 0)
			if rows == 6 {
				a.op("FMOVD F%d, 16(R%d)", 20+c, dst)
			}
			a.op("ADD R%d, R%d, R%d", ldd, dst, dst)
		}
	}
	a.op("SUB $4, R%d, R%d", k, k)
	a.op("CBNZ R%d, loop", k)
	a.end()
}

// pair writes d = name(n, m) in the order of the architecture; Go's assembler names m first.
func (a *neon) pair(name, lanes string, d, n, m int) {
	a.op("%s V%d.%[3]s, V%[4]d.%[3]s, V%[5]d.%[3]s", name, m, lanes, n, d)
}

func neonExactFile(a *neon) {
	for vectors := 1; vectors <= gramPanel; vectors++ {
		neonGram(a, vectors)
	}
	neonGrid(a)
	neonAddInt(a)
	neonBounds(a)
}

// neonGram emits the same as gramKernel with lanes = 4, two registers each: a tile of 4 rows fills all 32 registers,
// with the sums in V0 to V23, a row of B in V24 to V29 and four columns of A in V30 and V31.
func neonGram(a *neon, vectors int) {
	const rows, width, cols, lead, unroll = 4, gramPanel * 32, 24, 30, 4
	wide := 2 * vectors // registers across
	name := fmt.Sprintf("gramNEONx%d", vectors)
	a.begin(name, gramSignature, fmt.Sprintf("%s adds the %dx%d tile of the Gram matrix of n ≥ 1 rows to acc.", name, rows, 4*vectors))
	n, left, b := a.arg("n", 0), a.arg("a", 1), a.arg("b", 2)
	out, ld, p, blocks := a.arg("acc", 3), a.stride("ld", f64, 4), 5, 6
	a.op("MOVD R%d, R%d", out, p)
	for i := range rows {
		for j := 0; j < 32*vectors; j += 64 {
			a.op("PRFM %d(R%d), PLDL1KEEP", j, p)
		}
		if i+1 < rows {
			a.op("ADD R%d, R%d, R%d", ld, p, p)
		}
	}
	a.zero(0, rows*wide)
	step := func(s int) {
		a.load(b, s*width, cols, wide)
		a.load(left, s*width, lead, 2)
		for i := range rows {
			for j := range wide {
				a.fmlaBy(f64, i*wide+j, cols+j, lead+i/2, i%2)
			}
		}
	}
	a.op("LSR $2, R%d, R%d", n, blocks)
	a.op("CBZ R%d, rest", blocks)
	a.label("loop")
	for s := range unroll {
		step(s)
	}
	a.op("ADD $%d, R%d, R%d", unroll*width, left, left)
	a.op("ADD $%d, R%d, R%d", unroll*width, b, b)
	a.op("SUB $1, R%d, R%d", blocks, blocks)
	a.op("CBNZ R%d, loop", blocks)
	a.label("rest")
	a.op("AND $%d, R%d, R%d", unroll-1, n, n)
	a.op("CBZ R%d, spill", n)
	a.label("one")
	step(0)
	a.op("ADD $%d, R%d, R%d", width, left, left)
	a.op("ADD $%d, R%d, R%d", width, b, b)
	a.op("SUB $1, R%d, R%d", n, n)
	a.op("CBNZ R%d, one", n)
	a.label("spill")
	for i := range rows {
		a.load(out, 0, cols, wide)
		for j := range wide {
			r := i*wide + j
			a.two("fcvtzs", f64, r, r)
			a.op("VADD V%d.D2, V%d.D2, V%d.D2", cols+j, r, r)
		}
		a.store(i*wide, wide, out, 0)
		if i+1 < rows {
			a.op("ADD R%d, R%d, R%d", ld, out, out)
		}
	}
	a.end()
}

// neonGrid emits Grid for whole groups of four columns. Product and difference stay apart, as in gridKernel512.
func neonGrid(a *neon) {
	a.begin("gridNEON", gridWholeSignature, "gridNEON is Grid for n ≥ 1 and d a positive multiple of 4; outside ≠ 0 when a value left the grid.")
	dst, ldd, x, ldx := a.arg("dst", 0), a.stride("ldd", f64, 1), a.arg("x", 2), a.stride("ldx", f32, 3)
	n, d, scale, origin := a.arg("n", 4), a.arg("d", 5), a.arg("scale", 6), a.arg("origin", 7)
	to, from, s, o, left, inside := 8, 9, 10, 11, 12, 13
	const limit, good = 30, 31
	a.constant(limit, gridLimitBits)
	a.constant(good, ^uint64(0))
	a.label("row")
	for _, copied := range [][2]int{{dst, to}, {x, from}, {scale, s}, {origin, o}, {d, left}} {
		a.op("MOVD R%d, R%d", copied[0], copied[1])
	}
	a.label("col")
	a.op("FMOVQ.P 16(R%d), F0", from)
	a.op("FLDPQ.P 32(R%d), (F4, F5)", s)
	a.op("FLDPQ.P 32(R%d), (F6, F7)", o)
	a.widen(2, 0)
	for i := range 2 {
		a.three("fmul", f64, 2+i, 2+i, 4+i)
		a.three("fsub", f64, 2+i, 2+i, 6+i)
		a.two("frintn", f64, 2+i, 2+i)
		a.three("facge", f64, 4+i, limit, 2+i) // false for NaN
		a.op("VAND V%d.B16, V%d.B16, V%d.B16", 4+i, good, good)
	}
	a.op("FSTPQ.P (F2, F3), 32(R%d)", to)
	a.op("SUB $4, R%d, R%d", left, left)
	a.op("CBNZ R%d, col", left)
	a.op("ADD R%d, R%d, R%d", ldx, x, x)
	a.op("ADD R%d, R%d, R%d", ldd, dst, dst)
	a.op("SUB $1, R%d, R%d", n, n)
	a.op("CBNZ R%d, row", n)
	a.op("VMOV V%d.D[0], R%d", good, inside)
	a.op("VMOV V%d.D[1], R%d", good, left)
	a.op("AND R%d, R%d, R%d", left, inside, inside)
	a.op("MVN R%d, R%d", inside, inside)
	a.op("MOVD R%d, %s", inside, a.at("outside"))
	a.end()
}

// constant fills a vector with a quadword.
func (a *neon) constant(v int, bits uint64) {
	const scratch = 15
	a.op("MOVD $0x%016x, R%d", bits, scratch)
	a.op("VDUP R%d, V%d.D2", scratch, v)
}

func neonAddInt(a *neon) {
	a.begin("addIntNEON", addIntSignature, "addIntNEON adds integer-valued x to acc; n is a positive multiple of 4.")
	acc, x, n := a.arg("acc", 0), a.arg("x", 1), a.arg("n", 2)
	a.label("loop")
	a.op("FLDPQ.P 32(R%d), (F0, F1)", x)
	a.op("FLDPQ (R%d), (F2, F3)", acc)
	for i := range 2 {
		a.two("fcvtzs", f64, i, i)
		a.op("VADD V%d.D2, V%d.D2, V%d.D2", i, 2+i, 2+i)
	}
	a.op("FSTPQ.P (F2, F3), 32(R%d)", acc)
	a.op("SUB $4, R%d, R%d", n, n)
	a.op("CBNZ R%d, loop", n)
	a.end()
}

// neonBounds emits the same as bounds. A comparison chooses, for the minimum and maximum instructions hand some NaN on.
func neonBounds(a *neon) {
	const strip = 4
	a.begin("boundsNEON", boundsSignature, fmt.Sprintf("boundsNEON: low[j] = min(low[j], x[i,j]), high[j] likewise, for n ≥ 1 rows and d columns, a positive multiple of %d. NaN is passed over.", strip*4))
	low, high, x, ldx, n, d := a.arg("low", 0), a.arg("high", 1), a.arg("x", 2), a.stride("ldx", f32, 3), a.arg("n", 4), a.arg("d", 5)
	p, i := 6, 7
	a.label("strip")
	a.load(low, 0, 0, strip)
	a.load(high, 0, 4, strip)
	a.op("MOVD R%d, R%d", x, p)
	a.op("MOVD R%d, R%d", n, i)
	a.label("row")
	a.load(p, 0, 8, strip)
	a.op("ADD R%d, R%d, R%d", ldx, p, p)
	for s := range strip {
		a.three("fcmgt", f32, 12+s, s, 8+s)
		a.op("VBIT V%d.B16, V%d.B16, V%d.B16", 12+s, 8+s, s)
		a.three("fcmgt", f32, 12+s, 8+s, 4+s)
		a.op("VBIT V%d.B16, V%d.B16, V%d.B16", 12+s, 8+s, 4+s)
	}
	a.op("SUB $1, R%d, R%d", i, i)
	a.op("CBNZ R%d, row", i)
	a.store(0, strip, low, 0)
	a.store(4, strip, high, 0)
	a.op("ADD $%d, R%d, R%d", strip*16, low, low)
	a.op("ADD $%d, R%d, R%d", strip*16, high, high)
	a.op("ADD $%d, R%d, R%d", strip*16, x, x)
	a.op("SUB $%d, R%d, R%d", strip*4, d, d)
	a.op("CBNZ R%d, strip", d)
	a.end()
}

func neonNearestFile(a *neon) {
	neonSquaredDistance(a)
	neonBelow(a)
}

// neonSquaredDistance emits Σ(x−y)² of float32 rows in float64: four accumulators, joined in a fixed order.
func neonSquaredDistance(a *neon) {
	a.begin("squaredDistanceNEON", squaredDistanceSignature, "squaredDistanceNEON sums (x−y)² in float64; n is a positive multiple of 8.")
	x, y, n := a.arg("x", 0), a.arg("y", 1), a.arg("n", 2)
	a.zero(0, 4)
	a.label("loop")
	a.op("FLDPQ.P 32(R%d), (F4, F5)", x)
	a.op("FLDPQ.P 32(R%d), (F6, F7)", y)
	for i := range 2 {
		a.widen(16+2*i, 4+i)
		a.widen(20+2*i, 6+i)
	}
	for i := range 4 {
		a.three("fsub", f64, 16+i, 16+i, 20+i)
		a.op("VFMLA V%d.D2, V%d.D2, V%d.D2", 16+i, 16+i, i)
	}
	a.op("SUB $8, R%d, R%d", n, n)
	a.op("CBNZ R%d, loop", n)
	a.three("fadd", f64, 0, 0, 1)
	a.three("fadd", f64, 2, 2, 3)
	a.three("fadd", f64, 0, 0, 2)
	a.addPair(0, 0)
	a.op("FMOVD F0, %s", a.at("ret"))
	a.end()
}

// neonBelow emits the search for norm − 2·dot ≤ limit, one bit a value; NaN counts as below.
func neonBelow(a *neon) {
	a.begin("belowNEON", belowSignature, "belowNEON sets bit i where norm[i] − 2·dot[i] is not above limit; n is a positive multiple of 16.")
	bits, dot, norm, n := a.arg("bits", 0), a.arg("dot", 1), a.arg("norm", 2), a.arg("n", 3)
	const limit, two, weight = 16, 17, 18
	a.op("FMOVS %s, F%d", a.at("limit"), limit)
	a.op("VDUP V%d.S[0], V%d.S4", limit, limit)
	a.constant(two, 0x4000000040000000)
	a.constant(weight, 0x8040201008040201) // a byte's bit
	a.label("loop")
	a.load(norm, 0, 0, 4)
	a.load(dot, 0, 4, 4)
	for i := range 4 {
		a.op("VFMLS V%d.S4, V%d.S4, V%d.S4", two, 4+i, i)
		a.three("fcmgt", f32, i, i, limit)
	}
	a.pair("VUZP1", "H8", 0, 0, 1)
	a.pair("VUZP1", "H8", 2, 2, 3)
	a.pair("VUZP1", "B16", 0, 0, 2)
	a.bic(0, weight, 0)
	for range 3 {
		a.pair("VADDP", "B16", 0, 0, 0)
	}
	a.op("VMOV V0.H[0], R4")
	a.op("MOVH.P R4, 2(R%d)", bits)
	a.op("ADD $64, R%d, R%d", dot, dot)
	a.op("ADD $64, R%d, R%d", norm, norm)
	a.op("SUB $16, R%d, R%d", n, n)
	a.op("CBNZ R%d, loop", n)
	a.end()
}
