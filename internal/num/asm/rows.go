package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsFile emits the functions of whole rows: statistics of a row first, then its values.
func rowsFile(g *gen) {
	for _, v := range []isa{avx512, avx2} {
		softmaxRows(g, v)
		softmaxRowsGradient(g, v)
		expSum(g, v)
		lower(g, v)
		layerNormRows(g, v)
		layerNormRowsGradient(g, v)
		columnSums(g, v)
	}
}

// eachRow runs body rows times; it moves the pointers of float32 arrays on by a row, those of float64 arrays by a value.
func (e *lanes) eachRow(rows, cols reg.GPVirtual, single, double []reg.GPVirtual, body func()) {
	again := e.label("row")
	e.Label(again)
	body()
	for _, p := range single {
		e.LEAQ(operand.Mem{Base: p, Index: cols, Scale: 4}, p)
	}
	for _, p := range double {
		e.ADDQ(u(8), p)
	}
	e.DECQ(rows)
	e.JNZ(operand.LabelRef(again))
}

// groups calls f for each vector of a group of 16 float32, at the offset of its bytes.
func (e *lanes) groups(f func(h, disp int)) {
	for h := range e.halves() {
		f(h, h*e.v.bytes)
	}
}

// difference returns x − top in two parts, their sum exact. Below −150, −Inf included, exponentials have vanished: the
// low part becomes zero there.
func (e *lanes) difference(x, top reg.VecVirtual) (high, low reg.VecVirtual) {
	high, low = e.new(), e.new()
	a, b := e.new(), e.new()
	e.VSUBPS(top, x, high)
	e.VSUBPS(x, high, b) // −top as it was felt
	e.VSUBPS(b, high, a) // x as it was felt
	e.VSUBPS(a, x, low)
	e.VADDPS(top, b, b)
	e.VSUBPS(b, low, low)
	if e.v.masks {
		k := e.K()
		e.VCMPPS(operand.Imm(2), high, e.copyOf(e.f(-150)), k) // −150 ≤ high
		e.VMOVAPS_Z(low, k, low)
		return high, low
	}
	e.VCMPPS(operand.Imm(2), high, e.copyOf(e.f(-150)), a)
	e.VANDPS(a, low, low)
	return high, low
}

// addWide adds a vector's values to lanes of float64; half names the vector's place in its group.
func (e *lanes) addWide(acc []reg.VecVirtual, half int, r reg.VecVirtual) {
	for i, w := range e.widen(r) {
		e.VADDPD(w, acc[2*half+i], acc[2*half+i])
	}
}

func softmaxRows(g *gen, v isa) {
	g.kernel(v, "softmaxRows", "func(dst, x *float32, rows, cols int)", "writes exp(x)/Σexp(x) of each row; rows, cols ≥ 1.", func(e *lanes) {
		dst, x, rows, cols := e.arg("dst"), e.arg("x"), e.arg("rows"), e.arg("cols")
		l := e.loop(cols, 16, false)
		e.eachRow(rows, cols, []reg.GPVirtual{dst, x}, nil, func() {
			best := e.lowestLanes(e.f(negInf))
			l.run(func(j reg.Register, t *tail) {
				e.groups(func(h, disp int) { e.VMAXPS(best[h], e.loadLow(item(x, j, f32, disp), t, h), best[h]) })
			})
			top := e.new()
			e.VBROADCASTSS(lowest(e.joinedMax(best)), top)
			acc := e.zeros(2 * e.halves())
			l.run(func(j reg.Register, t *tail) {
				e.groups(func(h, disp int) {
					p := e.exp(e.difference(e.loadLow(item(x, j, f32, disp), t, h), top))
					e.store(p, item(dst, j, f32, disp), t, h)
					e.addWide(acc, h, p)
				})
			})
			sum, one, inverse := e.joined(acc), e.XMM(), e.new()
			e.VMOVSD(e.table(oneBits), one)
			e.VDIVSD(lowest(sum), one, one)
			e.VCVTSD2SS(one, one, one)
			e.VBROADCASTSS(one, inverse)
			l.run(func(j reg.Register, t *tail) {
				e.groups(func(h, disp int) {
					r := e.load(item(dst, j, f32, disp), t, h)
					e.VMULPS(inverse, r, r)
					e.store(r, item(dst, j, f32, disp), t, h)
				})
			})
		})
	})
}

const oneBits = 0x3ff0000000000000

func expSum(g *gen, v isa) {
	g.kernel(v, "expSum", "func(x *float32, n int, top float32) float64", "sums exp(x − top) over n ≥ 1 values, none of them above top.", func(e *lanes) {
		x, top, acc := e.arg("x"), e.scalar("top", f32), e.zeros(2*e.halves())
		e.loop(e.arg("n"), 16, false).run(func(j reg.Register, t *tail) {
			e.groups(func(h, disp int) {
				e.addWide(acc, h, e.exp(e.difference(e.loadLow(item(x, j, f32, disp), t, h), top)))
			})
		})
		e.Store(lowest(e.joined(acc)), e.ReturnIndex(0))
	})
}

func lower(g *gen, v isa) {
	g.kernel(v, "lower", "func(dst, x *float32, n int, a, b float64)", "writes (x − a) − b for n ≥ 1 values, rounded once.", func(e *lanes) {
		dst, x, a, b := e.arg("dst"), e.arg("x"), e.scalar("a", f64), e.scalar("b", f64)
		e.loop(e.arg("n"), e.v.bytes/4, false).run(func(j reg.Register, t *tail) {
			w := e.widen(e.load(item(x, j, f32, 0), t, 0))
			for _, r := range w {
				e.VSUBPD(a, r, r)
				e.VSUBPD(b, r, r)
			}
			e.store(e.narrow(w), item(dst, j, f32, 0), t, 0)
		})
	})
}

func softmaxRowsGradient(g *gen, v isa) {
	g.kernel(v, "softmaxRowsGradient", "func(dst, y, dy *float32, rows, cols int)", "writes y·(dy − Σ y·dy) of each row; rows, cols ≥ 1.", func(e *lanes) {
		dst, y, dy, rows, cols := e.arg("dst"), e.arg("y"), e.arg("dy"), e.arg("rows"), e.arg("cols")
		l := e.loop(cols, 16, false)
		e.eachRow(rows, cols, []reg.GPVirtual{dst, y, dy}, nil, func() {
			acc := e.zeros(2 * e.halves())
			l.run(func(j reg.Register, t *tail) {
				p, d := e.loadWide(y, j, t), e.loadWide(dy, j, t)
				for i := range p {
					e.VFMADD231PD(p[i], d[i], acc[i]) // exact products
				}
			})
			sum := e.new()
			e.VBROADCASTSD(lowest(e.joined(acc)), sum)
			l.run(func(j reg.Register, t *tail) {
				e.groups(func(h, disp int) {
					p := e.widen(e.load(item(y, j, f32, disp), t, h))
					d := e.widen(e.load(item(dy, j, f32, disp), t, h))
					for i := range p {
						e.VSUBPD(sum, d[i], d[i])
						e.VMULPD(p[i], d[i], d[i])
					}
					e.store(e.narrow(d), item(dst, j, f32, disp), t, h)
				})
			})
		})
	})
}

// mean divides the joined lanes by n and returns the quotient in all lanes.
func (e *lanes) mean(acc []reg.VecVirtual, n reg.Register) (low reg.Register, all reg.VecVirtual) {
	s := lowest(e.joined(acc))
	e.VDIVSD(n, s, s)
	all = e.new()
	e.VBROADCASTSD(s, all)
	return s, all
}

// within clears the lanes of a group of 16 float64 that lie beyond the tail; i counts its vectors.
func (e *lanes) within(r reg.VecVirtual, t *tail, i int) {
	switch {
	case t == nil:
	case e.v.masks && i == 0:
		e.VMOVAPD_Z(r, t.k, r)
	case e.v.masks:
		e.VMOVAPD_Z(r, t.high, r)
	default:
		e.VANDPD(at(t.double, 32*i), r, r)
	}
}

func layerNormRows(g *gen, v isa) {
	g.kernel(v, "layerNormRows", "func(dst, x, gain, shift *float32, mean, inverse *float64, rows, cols int, epsilon float64)",
		"normalises each row; rows, cols ≥ 1.", func(e *lanes) {
			dst, x, gain, shift := e.arg("dst"), e.arg("x"), e.arg("gain"), e.arg("shift")
			mean, inverse, rows, cols := e.arg("mean"), e.arg("inverse"), e.arg("rows"), e.arg("cols")
			epsilon, count := e.XMM(), e.XMM()
			e.Load(e.Param("epsilon"), epsilon)
			e.VCVTSI2SDQ(cols, epsilon, count)
			l := e.loop(cols, 16, true)
			e.eachRow(rows, cols, []reg.GPVirtual{dst, x}, []reg.GPVirtual{mean, inverse}, func() {
				acc := e.zeros(2 * e.halves())
				l.run(func(j reg.Register, t *tail) {
					for i, r := range e.loadWide(x, j, t) {
						e.VADDPD(r, acc[i], acc[i])
					}
				})
				low, m := e.mean(acc, count)
				e.VMOVSD(low, at(mean, 0))
				acc = e.zeros(2 * e.halves())
				l.run(func(j reg.Register, t *tail) {
					for i, r := range e.loadWide(x, j, t) {
						e.VSUBPD(m, r, r)
						e.within(r, t, i)
						e.VMULPD(r, r, r)
						e.VADDPD(r, acc[i], acc[i])
					}
				})
				low, _ = e.mean(acc, count)
				one, all := e.XMM(), e.new()
				e.VADDSD(epsilon, low, low)
				e.VSQRTSD(low, low, low)
				e.VMOVSD(e.table(oneBits), one)
				e.VDIVSD(low, one, one)
				e.VMOVSD(one, at(inverse, 0))
				e.VBROADCASTSD(one, all)
				l.run(func(j reg.Register, t *tail) {
					e.groups(func(h, disp int) {
						w := e.widen(e.load(item(x, j, f32, disp), t, h))
						for _, r := range w {
							e.VSUBPD(m, r, r)
							e.VMULPD(all, r, r)
						}
						z := e.narrow(w)
						e.VMULPS(e.load(item(gain, j, f32, disp), t, h), z, z)
						e.VADDPS(e.load(item(shift, j, f32, disp), t, h), z, z)
						e.store(z, item(dst, j, f32, disp), t, h)
					})
				})
			})
		})
}

func layerNormRowsGradient(g *gen, v isa) {
	g.kernel(v, "layerNormRowsGradient", "func(dx *float32, dgain, dshift *float64, dy, x, gain *float32, mean, inverse *float64, rows, cols int)",
		"writes dx of each row and adds to dgain and dshift, which end on whole groups of 16; rows, cols ≥ 1.", func(e *lanes) {
			dx, dgain, dshift, dy, x, gain := e.arg("dx"), e.arg("dgain"), e.arg("dshift"), e.arg("dy"), e.arg("x"), e.arg("gain")
			mean, inverse, cols := e.arg("mean"), e.arg("inverse"), e.arg("cols")
			count := e.XMM()
			e.VXORPS(count, count, count)
			e.VCVTSI2SDQ(cols, count, count)
			l := e.loop(cols, 16, false)
			end := e.arg("rows") // of mean
			e.LEAQ(operand.Mem{Base: mean, Index: end, Scale: 8}, end)
			again := e.label("row")
			e.Label(again)
			// scaled returns dy and dy·gain of a vector; normal returns (x−mean)/deviation. Mean and inverse are read anew each
			// time: with AVX2, sums take the registers.
			scaled := func(j reg.Register, t *tail, h, disp int) (d, a []reg.VecVirtual) {
				d = e.widen(e.load(item(dy, j, f32, disp), t, h))
				a = e.widen(e.load(item(gain, j, f32, disp), t, h))
				for i := range d {
					e.VMULPD(d[i], a[i], a[i])
				}
				return d, a
			}
			normal := func(j reg.Register, t *tail, h, disp int) []reg.VecVirtual {
				z := e.widen(e.load(item(x, j, f32, disp), t, h))
				m, r := e.new(), e.new()
				e.VBROADCASTSD(at(mean, 0), m)
				e.VBROADCASTSD(at(inverse, 0), r)
				for i := range z {
					e.VSUBPD(m, z[i], z[i])
					e.VMULPD(r, z[i], z[i])
				}
				return z
			}
			first, second := e.zeros(2*e.halves()), e.zeros(2*e.halves())
			l.run(func(j reg.Register, t *tail) {
				e.groups(func(h, disp int) {
					_, a := scaled(j, t, h, disp)
					for i := range a {
						e.VADDPD(a[i], first[2*h+i], first[2*h+i])
					}
					z := normal(j, t, h, disp)
					for i := range z {
						e.VMULPD(a[i], z[i], z[i])
						e.VADDPD(z[i], second[2*h+i], second[2*h+i])
					}
				})
			})
			_, a0 := e.mean(first, count)
			_, a1 := e.mean(second, count)
			r := e.new()
			e.VBROADCASTSD(at(inverse, 0), r)
			l.run(func(j reg.Register, t *tail) {
				e.groups(func(h, disp int) {
					d, a := scaled(j, t, h, disp)
					for i := range d {
						sum, shifts := e.new(), item(dshift, j, f64, 2*disp+i*e.v.bytes)
						e.VADDPD(shifts, d[i], sum)
						e.VMOVUPD(sum, shifts)
						e.VSUBPD(a0, a[i], a[i])
					}
					z := normal(j, t, h, disp)
					for i := range z {
						gains := item(dgain, j, f64, 2*disp+i*e.v.bytes)
						e.VMULPD(z[i], d[i], d[i])
						e.VADDPD(gains, d[i], d[i])
						e.VMOVUPD(d[i], gains)
						e.VMULPD(a1, z[i], z[i])
						e.VSUBPD(z[i], a[i], a[i])
						e.VMULPD(r, a[i], a[i])
					}
					e.store(e.narrow(a), item(dx, j, f32, disp), t, h)
				})
			})
			for _, p := range []reg.GPVirtual{dx, dy, x} {
				e.LEAQ(operand.Mem{Base: p, Index: cols, Scale: 4}, p)
			}
			e.ADDQ(u(8), mean)
			e.ADDQ(u(8), inverse)
			e.CMPQ(mean, end)
			e.JB(operand.LabelRef(again))
		})
}

func columnSums(g *gen, v isa) {
	g.kernel(v, "columnSums", "func(sums *float64, x *float32, rows, cols int)",
		"adds each row to sums, which end on a whole group of 16; rows, cols ≥ 1.", func(e *lanes) {
			sums, x, rows, cols := e.arg("sums"), e.arg("x"), e.arg("rows"), e.arg("cols")
			l := e.loop(cols, 16, false)
			e.eachRow(rows, cols, []reg.GPVirtual{x}, nil, func() {
				l.run(func(j reg.Register, t *tail) {
					for i, r := range e.loadWide(x, j, t) {
						m := item(sums, j, f64, i*e.v.bytes)
						e.VADDPD(m, r, r)
						e.VMOVUPD(r, m)
					}
				})
			})
		})
}
