package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// adamFile emits a step of Adam on lanes of float64. Nothing is fused, so that portable code writes the same bits.
func adamFile(g *gen) {
	for _, v := range []isa{avx512, avx2} {
		g.kernel(v, "adam", "func(theta, gradient, first, second *float32, n int, s *float64)",
			"changes n ≥ 1 parameters by their gradients; s holds the fields of AdamStep in order.", func(e *lanes) {
				e.Pragma("noescape") // s stays on the stack
				theta, gradient, first, second, s := e.arg("theta"), e.arg("gradient"), e.arg("first"), e.arg("second"), e.arg("s")
				fields := e.adamFields(s)
				e.loop(e.arg("n"), e.v.bytes/4, false).run(func(j reg.Register, t *tail) {
					load := func(base reg.Register) []reg.VecVirtual { return e.widen(e.load(item(base, j, f32, 0), t, 0)) }
					store := func(w []reg.VecVirtual, base reg.Register) { e.store(e.narrow(w), item(base, j, f32, 0), t, 0) }
					slope, mean := load(gradient), load(first)
					for i, m := range mean {
						gain := e.new()
						e.VMULPD(fields(0), m, m)
						e.VMULPD(fields(1), slope[i], gain)
						e.VADDPD(gain, m, m)
					}
					store(mean, first)
					square := load(second)
					for i, q := range square {
						gain := e.new()
						e.VMULPD(fields(2), q, q)
						e.VMULPD(fields(3), slope[i], gain)
						e.VMULPD(slope[i], gain, gain)
						e.VADDPD(gain, q, q)
					}
					store(square, second)
					w := load(theta)
					for i, m := range mean {
						q := square[i]
						e.VDIVPD(fields(5), q, q)
						e.VSQRTPD(q, q)
						e.VADDPD(fields(6), q, q)
						e.VDIVPD(fields(4), m, m)
						e.VMULPD(fields(7), m, m)
						e.VDIVPD(q, m, m)
						e.VMULPD(fields(8), w[i], w[i])
						e.VSUBPD(m, w[i], w[i])
					}
					store(w, theta)
				})
			})
	}
}

// adamFields returns how to get a field of s into all lanes: once where registers are many, else at each use.
func (e *lanes) adamFields(s reg.Register) func(i int) operand.Op {
	read := func(i int) reg.VecVirtual {
		r := e.new()
		e.broadcast(f64, at(s, 8*i), r)
		return r
	}
	if !e.v.masks {
		return func(i int) operand.Op { return read(i) }
	}
	var kept []reg.VecVirtual
	for i := range 9 {
		kept = append(kept, read(i))
	}
	return func(i int) operand.Op { return kept[i] }
}
