package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lanes emits float arithmetic once for both instruction sets. Operands stand in Go's order, the result last; a constant
// may stand first only, where AVX2 reads it from memory. Both sets give the same bits: every operation here rounds the
// same on either, and sums are kept in the same sixteen lanes.
type lanes struct {
	*gen
	v      isa
	hoist  map[uint64]reg.VecVirtual // constants in registers, AVX-512 only
	order  []uint64
	labels int
}

// hoisted is how many constants have a register; the arithmetic needs the others.
const hoisted = 10

// kernel emits a function. What emit asks for as constants is loaded ahead of it where registers are many: a first run
// into a context that is thrown away finds out which they are.
func (g *gen) kernel(v isa, name, signature, doc string, emit func(*lanes)) {
	e := &lanes{gen: g, v: v, hoist: map[uint64]reg.VecVirtual{}}
	if v.masks {
		trial := &lanes{gen: &gen{build.NewContext(), map[string]operand.Mem{}}, v: v, hoist: map[uint64]reg.VecVirtual{}}
		trial.begin(name+v.name, signature, "")
		emit(trial)
		e.order = trial.order
	}
	g.begin(name+v.name, signature, name+v.name+" "+doc)
	for _, bits := range e.order {
		r := g.vec(v)
		if bits>>32 == bits&0xffffffff {
			g.VBROADCASTSS(e.table(bits), r)
		} else {
			g.VBROADCASTSD(e.table(bits), r)
		}
		e.hoist[bits] = r
	}
	emit(e)
	g.end()
}

// table returns a read-only vector of one quadword.
func (g *gen) table(bits uint64) operand.Mem {
	return g.quads(fmt.Sprintf("all%016x", bits), bits, bits, bits, bits, bits, bits, bits, bits)
}

// quads returns read-only quadwords, made on first use.
func (g *gen) quads(name string, values ...uint64) operand.Mem {
	m, ok := g.words[name]
	if !ok {
		m = g.StaticGlobal(name)
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		for _, b := range values {
			g.AppendDatum(operand.U64(b))
		}
		g.words[name] = m
	}
	return m
}

// bits is a constant quadword in all lanes.
func (e *lanes) bits(b uint64) operand.Op {
	r, ok := e.hoist[b]
	if !ok {
		if !e.v.masks || len(e.hoist) == hoisted {
			return e.table(b)
		}
		r = e.vec(e.v)
		e.hoist[b], e.order = r, append(e.order, b)
	}
	return r
}

// f is a float32 constant, d a float64 one, i an int32 one.
func (e *lanes) f(x float64) operand.Op { return e.i(math.Float32bits(float32(x))) }
func (e *lanes) d(x float64) operand.Op { return e.bits(math.Float64bits(x)) }
func (e *lanes) i(x uint32) operand.Op  { return e.bits(uint64(x)<<32 | uint64(x)) }

func (e *lanes) new() reg.VecVirtual { return e.vec(e.v) }

// copyOf returns a register with the same content.
func (e *lanes) copyOf(x operand.Op) reg.VecVirtual {
	r := e.new()
	e.VMOVUPS(x, r)
	return r
}

// label names a place in the function, unlike any other.
func (e *lanes) label(what string) string {
	e.labels++
	return fmt.Sprintf("%s%d", what, e.labels)
}

// horner: p = (…(p·x + c0)·x + …)·x + cn in float32.
func (e *lanes) horner(p, x reg.VecVirtual, c ...float64) {
	for _, v := range c {
		e.VFMADD213PS(e.f(v), x, p)
	}
}

// bySign returns neg where x has a sign bit, pos elsewhere.
func (e *lanes) bySign(x, neg, pos reg.VecVirtual) reg.VecVirtual {
	r := e.new()
	if e.v.masks {
		k := e.K()
		e.VPMOVD2M(x, k)
		e.VBLENDMPS(neg, pos, k, r)
		return r
	}
	e.VBLENDVPS(x, neg, pos, r)
	return r
}

// power is 2^n, as each instruction set multiplies by it.
type power struct{ n, first, second reg.VecVirtual }

// power prepares 2^n for whole n, |n| ≤ 252. AVX2 goes in two steps, the first of which is exact for factors near one.
func (e *lanes) power(n reg.VecVirtual) power {
	if e.v.masks {
		return power{n: n}
	}
	all, half := e.new(), e.new()
	e.VCVTPS2DQ(n, all)
	e.VPSRAD(operand.Imm(1), all, half)
	e.VPSUBD(half, all, all)
	for _, r := range []reg.VecVirtual{half, all} {
		e.VPSLLD(operand.Imm(23), r, r)
		e.VPADDD(e.i(0x3f800000), r, r)
	}
	return power{first: half, second: all}
}

// times: x = x·2^n, rounded once.
func (e *lanes) times(p power, x reg.VecVirtual) {
	if e.v.masks {
		e.VSCALEFPS(p.n, x, x)
		return
	}
	e.VMULPS(p.first, x, x)
	e.VMULPS(p.second, x, x)
}

// A tail tells which lanes of the last group of 16 float32 are within the row.
type tail struct {
	k, high reg.OpmaskVirtual // lanes 0 to 15; 8 to 15 as the lowest
	single  reg.GPVirtual     // AVX2: where its 32-bit masks begin
	double  reg.GPVirtual     // and its 64-bit masks, if wanted
}

// tail makes the masks of the lowest rest lanes, rest below 16 in a register; wide says whether for float64 as well.
func (e *lanes) tail(rest reg.GPVirtual, wide bool) *tail {
	t := new(tail)
	if e.v.masks {
		t.k = e.lowMask(rest)
		if wide {
			t.high = e.K()
			e.KSHIFTRW(operand.Imm(8), t.k, t.high)
		}
		return t
	}
	const ones = math.MaxUint64
	locate := func(name string, size int) reg.GPVirtual {
		values := make([]uint64, 2*16*size/8)
		for i := range values[:len(values)/2] {
			values[i] = ones
		}
		p, skip := e.GP64(), e.GP64()
		e.LEAQ(e.quads(name, values...), p)
		e.MOVQ(rest, skip)
		e.NEGQ(skip)
		e.LEAQ(operand.Mem{Base: p, Index: skip, Scale: uint8(size), Disp: 16 * size}, p)
		return p
	}
	t.single = locate("lowSingles", 4)
	if wide {
		t.double = locate("lowDoubles", 8)
	}
	return t
}

// load reads a vector; lanes beyond the tail read as zero. half counts the vectors of a group.
func (e *lanes) load(m operand.Mem, t *tail, half int) reg.VecVirtual {
	r := e.new()
	switch {
	case t == nil:
		e.VMOVUPS(m, r)
	case e.v.masks:
		e.VMOVUPS_Z(m, t.k, r)
	default:
		mask := e.new()
		e.VMOVUPS(at(t.single, 32*half), mask)
		e.VMASKMOVPS(m, mask, r)
	}
	return r
}

// loadLow reads a vector; lanes beyond the tail read as −Inf.
func (e *lanes) loadLow(m operand.Mem, t *tail, half int) reg.VecVirtual {
	switch low := e.f(math.Inf(-1)); {
	case t == nil:
		return e.load(m, nil, half)
	case e.v.masks:
		r := e.copyOf(low)
		e.VMOVUPS(m, t.k, r)
		return r
	default:
		r, mask, fill := e.new(), e.new(), e.copyOf(low)
		e.VMOVUPS(at(t.single, 32*half), mask)
		e.VMASKMOVPS(m, mask, r)
		e.VBLENDVPS(mask, r, fill, r)
		return r
	}
}

// store writes a vector, the lanes within the tail only.
func (e *lanes) store(r reg.VecVirtual, m operand.Mem, t *tail, half int) {
	switch {
	case t == nil:
		e.VMOVUPS(r, m)
	case e.v.masks:
		e.VMOVUPS(r, t.k, m)
	default:
		mask := e.new()
		e.VMOVUPS(at(t.single, 32*half), mask)
		e.VMASKMOVPS(r, mask, m)
	}
}

// halves is the number of vectors in a group of 16 float32; wide vectors of float64 are twice as many.
func (e *lanes) halves() int { return 64 / e.v.bytes }

// scalar reads a float parameter into all lanes.
func (e *lanes) scalar(name string, el elem) reg.VecVirtual {
	param, err := e.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := e.new()
	e.broadcast(el, param.Addr, r)
	return r
}

// loop runs body over a row of n values in steps, then once more over what is left. body gets the offset register, in
// elements, and the tail, nil for full steps.
type loop struct {
	e           *lanes
	j           reg.GPVirtual
	whole, rest reg.GPVirtual
	step        int
	tail        *tail
}

// loop splits n, in a register, for rows that are all n long.
func (e *lanes) loop(n reg.GPVirtual, step int, wide bool) *loop {
	l := &loop{e: e, j: e.GP64(), whole: e.GP64(), rest: e.GP64(), step: step}
	e.MOVQ(n, l.rest)
	e.ANDQ(u(step-1), l.rest)
	e.MOVQ(n, l.whole)
	e.SUBQ(l.rest, l.whole)
	l.tail = e.tail(l.rest, wide)
	return l
}

func (l *loop) run(body func(j reg.Register, t *tail)) {
	e := l.e
	again, left, done := e.label("loop"), e.label("left"), e.label("done")
	e.XORQ(l.j, l.j)
	e.TESTQ(l.whole, l.whole)
	e.JZ(operand.LabelRef(left))
	e.Label(again)
	body(l.j, nil)
	e.ADDQ(u(l.step), l.j)
	e.CMPQ(l.j, l.whole)
	e.JB(operand.LabelRef(again))
	e.Label(left)
	e.TESTQ(l.rest, l.rest)
	e.JZ(operand.LabelRef(done))
	body(l.j, l.tail)
	e.Label(done)
}

// item is element j of an array of float32 or float64, disp bytes further on.
func item(base, j reg.Register, el elem, disp int) operand.Mem {
	return operand.Mem{Base: base, Index: j, Scale: uint8(el.bytes), Disp: disp}
}
