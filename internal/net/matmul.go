package net

import (
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// linear is x·wᵀ + b over the last axis.
type linear struct {
	g          *Graph
	x, w, b, y *Node
	sums       *columnSums
	run        func(lo, hi int)
}

// Linear maps the last axis of x through w [out, in] and adds b [out], which may be nil.
func (g *Graph) Linear(x, w, b *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(w.shape) != 2 || len(x.shape) == 0 || x.width() != w.shape[1] {
		return g.fail("linear: input %v, weight %v", x.shape, w.shape)
	}
	in := []*Node{x, w}
	if b != nil {
		if b.Size() != w.shape[0] {
			return g.fail("linear: weight %v, bias %v", w.shape, b.shape)
		}
		in = append(in, b)
	}
	shape := slices.Clone(x.shape)
	shape[len(shape)-1] = w.shape[0]
	k := &linear{g: g, x: x, w: w, b: b, y: g.node(shape...), sums: g.columnSums()}
	k.run = k.startRange
	// The weight's value stays anyway; only a computed weight has to be kept for the gradient by x.
	return g.add(operation{name: "linear", in: in, out: k.y, keepIn: true}, k)
}

// startRange writes the bias to rows.
func (k *linear) startRange(lo, hi int) {
	b, out := k.b.root.value, k.w.shape[0]
	y := k.y.root.value
	for i := lo; i < hi; i++ {
		copy(y[i*out:i*out+out], b)
	}
}

func (k *linear) forward() {
	out, in := k.w.shape[0], k.w.shape[1]
	rows, beta := k.x.rows(), float32(0)
	if k.b != nil {
		num.Parallel(rows, max(1, elementGrain/out), k.run)
		beta = 1
	}
	num.Gemm(false, true, rows, out, in, 1, k.x.root.value, in, k.w.root.value, in, beta, k.y.root.value, out)
}

func betaOf(add bool) float32 {
	if add {
		return 1
	}
	return 0
}

func (k *linear) backward() {
	out, in := k.w.shape[0], k.w.shape[1]
	rows, dy := k.x.rows(), k.y.root.grad
	if dw, add := k.w.gradient(); dw != nil {
		num.Gemm(true, false, out, in, rows, 1, dy, out, k.x.root.value, in, betaOf(add), dw, in)
	}
	if k.b != nil {
		if db, add := k.b.gradient(); db != nil {
			k.sums.sum(db, dy, rows, out, add)
		}
	}
	if dx, add := k.x.gradient(); dx != nil {
		num.Gemm(false, false, rows, in, out, 1, dy, out, k.w.root.value, in, betaOf(add), dx, in)
	}
}

// matmul is a batch of products.
type matmul struct {
	a, b, y        *Node
	transA, transB bool
	batch, m, n, k int
	shared         bool // one b for all
	run, der       func(lo, hi int)
	da, db         []float32
	addA, addB     bool
}

// MatMul multiplies the matrices of the last two axes: a [..., m, k] by b [..., k, n], each stored the other way round
// where trans says so. Leading axes are alike, or b has none and is used for all.
func (g *Graph) MatMul(a, b *Node, transA, transB bool) *Node {
	if g.err != nil {
		return g.fail("")
	}
	la, lb := len(a.shape), len(b.shape)
	if la < 2 || lb < 2 {
		return g.fail("matmul: shapes %s", shapes(a, b))
	}
	k := &matmul{a: a, b: b, transA: transA, transB: transB, batch: sizeOf(a.shape[:la-2]), shared: lb == 2}
	k.m, k.k = a.shape[la-2], a.shape[la-1]
	if transA {
		k.m, k.k = k.k, k.m
	}
	inner := b.shape[lb-2]
	k.n = b.shape[lb-1]
	if transB {
		inner, k.n = k.n, inner
	}
	if inner != k.k || lb > 2 && !slices.Equal(a.shape[:la-2], b.shape[:lb-2]) {
		return g.fail("matmul: shapes %s, transposed %t and %t", shapes(a, b), transA, transB)
	}
	k.y = g.node(append(slices.Clone(a.shape[:la-2]), k.m, k.n)...)
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: "matmul", in: []*Node{a, b}, out: k.y, keepIn: true}, k)
}

func (k *matmul) each(f func(lo, hi int)) {
	if k.batch == 1 {
		f(0, 1)
		return
	}
	num.Parallel(k.batch, 1, f)
}

// operandB returns b of a batch entry.
func (k *matmul) operandB(v []float32, i int) []float32 {
	if k.shared {
		return v
	}
	return v[i*k.k*k.n : (i+1)*k.k*k.n]
}

func (k *matmul) forward() { k.each(k.run) }

func (k *matmul) forwardRange(lo, hi int) {
	a, b, y := k.a.root.value, k.b.root.value, k.y.root.value
	for i := lo; i < hi; i++ {
		num.Gemm(k.transA, k.transB, k.m, k.n, k.k, 1, a[i*k.m*k.k:(i+1)*k.m*k.k], lead(k.transA, k.m, k.k), k.operandB(b, i), lead(k.transB, k.k, k.n), 0, y[i*k.m*k.n:(i+1)*k.m*k.n], k.n)
	}
}

func lead(trans bool, rows, cols int) int {
	if trans {
		return rows
	}
	return cols
}

func (k *matmul) backward() {
	k.da, k.addA = k.a.gradient()
	k.db, k.addB = k.b.gradient()
	if k.shared {
		// All entries add to one gradient: in order, on one thread each.
		for i := range k.batch {
			k.backwardRange(i, i+1)
			k.addB = true
		}
		return
	}
	k.each(k.der)
}

func (k *matmul) backwardRange(lo, hi int) {
	a, b, dy := k.a.root.value, k.b.root.value, k.y.root.grad
	la, lb := lead(k.transA, k.m, k.k), lead(k.transB, k.k, k.n)
	for i := lo; i < hi; i++ {
		ai, bi, d := a[i*k.m*k.k:(i+1)*k.m*k.k], k.operandB(b, i), dy[i*k.m*k.n:(i+1)*k.m*k.n]
		if k.da != nil {
			to := k.da[i*k.m*k.k : (i+1)*k.m*k.k]
			if k.transA { // aᵀ is stored: d(aᵀ) = b·dyᵀ
				num.Gemm(k.transB, true, k.k, k.m, k.n, 1, bi, lb, d, k.n, betaOf(k.addA), to, la)
			} else {
				num.Gemm(false, !k.transB, k.m, k.k, k.n, 1, d, k.n, bi, lb, betaOf(k.addA), to, la)
			}
		}
		if k.db != nil {
			to := k.operandB(k.db, i)
			if k.transB {
				num.Gemm(true, k.transA, k.n, k.k, k.m, 1, d, k.n, ai, la, betaOf(k.addB), to, lb)
			} else {
				num.Gemm(!k.transA, false, k.k, k.n, k.m, 1, ai, la, d, k.n, betaOf(k.addB), to, lb)
			}
		}
	}
}

// Dense is Linear with parameters name.weight and name.bias of its own.
func (g *Graph) Dense(name string, x *Node, out int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	w := g.Param(joinLayer(name, "weight"), HeNormal, out, x.width())
	return g.Linear(x, w, g.Param(joinLayer(name, "bias"), Constant(0), out))
}
