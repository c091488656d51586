package main

import (
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gen is an avo context with the few words that the kernels share.
type gen struct {
	*build.Context
	words map[string]operand.Mem
}

// isa is a vector instruction set.
type isa struct {
	name  string
	bytes int // of a vector
	masks bool
}

var (
	avx512 = isa{"AVX512", 64, true}
	avx2   = isa{"AVX2", 32, false}
)

// elem is an element type.
type elem struct {
	name, goType string
	bytes        int
}

var (
	f32 = elem{"F32", "float32", 4}
	f64 = elem{"F64", "float64", 8}
)

// log2 returns log2 of the element's size.
func (e elem) log2() int { return math.Ilogb(float64(e.bytes)) }

func (e elem) shift() operand.Op { return operand.Imm(uint64(e.log2())) }

// begin opens a function without a stack frame.
func (g *gen) begin(name, signature, doc string) {
	g.Function(name)
	g.Attributes(attr.NOSPLIT)
	g.SignatureExpr(signature)
	g.Doc(doc)
}

// end returns; the upper halves are cleared so that the SSE code of Go's own compiler runs at full speed.
func (g *gen) end() {
	g.VZEROUPPER()
	g.RET()
}

func (g *gen) arg(name string) reg.GPVirtual {
	return g.Load(g.Param(name), g.GP64()).(reg.GPVirtual)
}

// stride loads a stride that Go counts in elements and turns it into bytes.
func (g *gen) stride(name string, e elem) reg.GPVirtual {
	s := g.arg(name)
	g.SHLQ(e.shift(), s)
	return s
}

func (g *gen) vec(v isa) reg.VecVirtual {
	if v.bytes == 64 {
		return g.ZMM()
	}
	return g.YMM()
}

func (g *gen) vecs(v isa, n int) []reg.VecVirtual {
	out := make([]reg.VecVirtual, n)
	for i := range out {
		out[i] = g.vec(v)
	}
	return out
}

// lowMask returns the mask of the lowest n lanes, n in a register, at most 16.
func (g *gen) lowMask(n reg.Register) reg.OpmaskVirtual {
	ones, k := g.GP32(), g.K()
	g.MOVL(operand.U32(0xffff), ones)
	g.BZHIL(n.(reg.GPVirtual).As32(), ones, ones)
	g.KMOVW(ones, k)
	return k
}

func (g *gen) zero(r reg.VecVirtual) { g.VXORPS(r, r, r) }

func (g *gen) move(e elem, from, to operand.Op) {
	if e.bytes == 4 {
		g.VMOVUPS(from, to)
		return
	}
	g.VMOVUPD(from, to)
}

func (g *gen) moveMasked(e elem, from operand.Op, k reg.OpmaskVirtual, to operand.Op) {
	if e.bytes == 4 {
		g.VMOVUPS(from, k, to)
		return
	}
	g.VMOVUPD(from, k, to)
}

func (g *gen) moveZeroed(e elem, from operand.Op, k reg.OpmaskVirtual, to operand.Op) {
	if e.bytes == 4 {
		g.VMOVUPS_Z(from, k, to)
		return
	}
	g.VMOVUPD_Z(from, k, to)
}

func (g *gen) broadcast(e elem, from operand.Op, to reg.VecVirtual) {
	if e.bytes == 4 {
		g.VBROADCASTSS(from, to)
		return
	}
	g.VBROADCASTSD(from, to)
}

// word returns a read-only quadword, made on first use.
func (g *gen) word(name string, bits uint64) operand.Mem {
	m, ok := g.words[name]
	if !ok {
		m = g.StaticGlobal(name)
		g.DataAttributes(attr.RODATA | attr.NOPTR)
		g.AppendDatum(operand.U64(bits))
		g.words[name] = m
	}
	return m
}

func at(base reg.Register, disp int) operand.Mem { return operand.Mem{Base: base, Disp: disp} }

// u is an immediate that always fits.
func u(v int) operand.Op { return operand.U32(uint32(v)) }
