package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Mask says which keys a query may look at.
type Mask struct {
	Causal  bool  // only those at its own place or before; with more keys than queries the last ones are at the same place
	Lengths *Ints // of each entry of the batch: how many of its keys count; nil: all
}

// Attention works on tiles of queries and keys: what it holds grows with the sequence, never with its square. Source of
// the tiling: Dao et al. (2022), algorithm 1; of its gradient: Dao (2023), algorithm 2.
const (
	tileQueries = 64
	tileKeys    = 256
)

// operandOf is a part of the last axis of a tensor [batch, steps, …].
type operandOf struct {
	node *Node
	from int // first column
}

// attention is softmax(q·kᵀ/√width)·v of each head.
type attention struct {
	g                    *Graph
	q, k, v              operandOf
	y                    *Node
	heads, width         int // of one head
	batch, queries, keys int
	mask                 Mask
	scale                float32
	logSum               *Node // log Σ exp of each query's scores: [batch, heads, queries]
	run, der             func(lo, hi int)
	dq, dk, dv           []float32
}

// Attention returns softmax(q·kᵀ/√(D/heads))·v for each of heads parts of the last axis: q [B, S, D], k and v [B, T, D]
// give [B, S, D]. A query without keys gets zeros.
func (g *Graph) Attention(q, k, v *Node, heads int, mask Mask) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(q.shape) != 3 || len(k.shape) != 3 || len(v.shape) != 3 || q.shape[0] != k.shape[0] || q.width() != k.width() || shapes(k) != shapes(v) {
		return g.fail("attention: queries, keys and values %s", shapes(q, k, v))
	}
	return g.attention(operandOf{q, 0}, operandOf{k, 0}, operandOf{v, 0}, q.width(), heads, mask, []*Node{q, k, v})
}

// SelfAttention is Attention of queries, keys and values side by side in one tensor [B, S, 3·D].
func (g *Graph) SelfAttention(qkv *Node, heads int, mask Mask) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(qkv.shape) != 3 || qkv.width()%3 != 0 {
		return g.fail("attention: %v is not three times [batch, steps, width]", qkv.shape)
	}
	d := qkv.width() / 3
	return g.attention(operandOf{qkv, 0}, operandOf{qkv, d}, operandOf{qkv, 2 * d}, d, heads, mask, []*Node{qkv})
}

func (g *Graph) attention(q, k, v operandOf, d, heads int, mask Mask, in []*Node) *Node {
	batch, queries, keys := q.node.shape[0], q.node.shape[1], k.node.shape[1]
	switch {
	case heads < 1 || d%heads != 0:
		return g.fail("attention: %d heads of width %d", heads, d)
	case mask.Lengths != nil && len(mask.Lengths.Values) != batch:
		return g.fail("attention: %d lengths for a batch of %d", len(mask.Lengths.Values), batch)
	}
	a := &attention{g: g, q: q, k: k, v: v, y: g.node(batch, queries, d), heads: heads, width: d / heads, batch: batch, queries: queries, keys: keys, mask: mask}
	a.scale = float32(1 / math.Sqrt(float64(a.width)))
	a.logSum = g.node(batch, heads, queries)
	a.run, a.der = a.forwardRange, a.backwardRange
	return g.add(operation{name: "attention", in: in, out: a.y, keepIn: true, keepOut: true, saved: []*Node{a.logSum}}, a)
}

// at returns the part of values that begins at a step of a head, and its leading dimension.
func (a *attention) at(o operandOf, values []float32, entry, head, step int) ([]float32, int) {
	lead := o.node.width()
	return values[(entry*o.node.shape[1]+step)*lead+o.from+head*a.width:], lead
}

// counted is how many keys of an entry count.
func (a *attention) counted(entry int) int {
	if a.mask.Lengths == nil {
		return a.keys
	}
	return max(0, min(int(a.mask.Lengths.Values[entry]), a.keys))
}

// seen is how many of n keys a query may look at.
func (a *attention) seen(query, n int) int {
	if a.mask.Causal {
		n = max(0, min(n, query+1+a.keys-a.queries))
	}
	return n
}

func (a *attention) forward() { num.Parallel(a.batch*a.heads, 1, a.run) }

func (a *attention) forwardRange(lo, hi int) {
	room := a.g.scratch.take(tileQueries*tileKeys + tileQueries)
	defer a.g.scratch.give(room)
	turned := a.g.scratch.take(a.width * tileKeys)
	defer a.g.scratch.give(turned)
	scores, top := room.values[:tileQueries*tileKeys], room.values[tileQueries*tileKeys:]
	out := operandOf{a.y, 0}
	for i := lo; i < hi; i++ {
		entry, head := i/a.heads, i%a.heads
		n := a.counted(entry)
		if a.oneTile(n) {
			a.forwardTile(entry, head, n, scores, turned.values)
			continue
		}
		for q0 := 0; q0 < a.queries; q0 += tileQueries {
			rows := min(tileQueries, a.queries-q0)
			sums := a.logSum.root.value[i*a.queries+q0:][:rows] // of exponentials until the end
			y, ldy := a.at(out, a.y.root.value, entry, head, q0)
			for r := range rows {
				clear(y[r*ldy : r*ldy+a.width])
			}
			fill(top[:rows], float32(math.Inf(-1)))
			clear(sums)
			q, ldq := a.at(a.q, a.q.node.root.value, entry, head, q0)
			for k0 := 0; k0 < a.seen(q0+rows-1, n); k0 += tileKeys {
				cols := min(tileKeys, n-k0)
				k, ldk := a.at(a.k, a.k.node.root.value, entry, head, k0)
				v, ldv := a.at(a.v, a.v.node.root.value, entry, head, k0)
				num.Gemm(false, true, rows, cols, a.width, a.scale, q, ldq, k, ldk, 0, scores, tileKeys)
				for r := range rows {
					row := scores[r*tileKeys : r*tileKeys+cols]
					seen := min(cols, max(0, a.seen(q0+r, n)-k0))
					clear(row[seen:])
					if seen == 0 {
						continue
					}
					best := top[r]
					for _, s := range row[:seen] {
						best = max(best, s)
					}
					if best > top[r] {
						if sums[r] > 0 {
							shrink := exp32(top[r] - best)
							sums[r] *= shrink
							for j, o := range y[r*ldy : r*ldy+a.width] {
								y[r*ldy+j] = o * shrink
							}
						}
						top[r] = best
					}
					sums[r] += expRow(row[:seen], best)
				}
				num.Gemm(false, false, rows, a.width, cols, 1, scores, tileKeys, v, ldv, 1, y, ldy)
			}
			for r, s := range sums {
				if s == 0 {
					sums[r] = float32(math.Inf(1)) // all probabilities are zero
					continue
				}
				row, inverse := y[r*ldy:r*ldy+a.width], 1/s
				for j := range row {
					row[j] *= inverse
				}
				sums[r] = top[r] + float32(math.Log(float64(s)))
			}
		}
	}
}

// expRow replaces a row by exp(row − top) and returns the sum.
func expRow(row []float32, top float32) float32 {
	for i := range row {
		row[i] -= top
	}
	num.Exp(row, row)
	return float32(num.Sum(row))
}

// oneTile reports whether n keys fit a tile and every query sees one of them: then softmax needs no second look.
func (a *attention) oneTile(n int) bool { return n <= tileKeys && a.seen(0, n) > 0 }

// probabilities computes a tile's, rows close together, from query q0 on; turned holds the keys as [width, n].
func (a *attention) probabilities(p []float32, entry, head, q0, rows, n int, turned []float32) {
	q, ldq := a.at(a.q, a.q.node.root.value, entry, head, q0)
	num.Gemm(false, false, rows, n, a.width, a.scale, q, ldq, turned, n, 0, p, n)
	if a.mask.Causal {
		for r := range rows {
			fill(p[r*n+a.seen(q0+r, n):(r+1)*n], float32(math.Inf(-1)))
		}
	}
	num.SoftmaxRows(p[:rows*n], p[:rows*n], n)
}

func (a *attention) forwardTile(entry, head, n int, p, turned []float32) {
	k, ldk := a.at(a.k, a.k.node.root.value, entry, head, 0)
	num.Transpose(turned, k, ldk, n, a.width) // once for all queries
	v, ldv := a.at(a.v, a.v.node.root.value, entry, head, 0)
	for q0 := 0; q0 < a.queries; q0 += tileQueries {
		rows := min(tileQueries, a.queries-q0)
		a.probabilities(p, entry, head, q0, rows, n, turned)
		y, ldy := a.at(operandOf{a.y, 0}, a.y.root.value, entry, head, q0)
		num.Gemm(false, false, rows, a.width, n, 1, p, n, v, ldv, 0, y, ldy)
	}
}

func (a *attention) backwardTile(entry, head, n int, p, dp, turned, turnedV []float32) {
	k, ldk := a.at(a.k, a.k.node.root.value, entry, head, 0)
	v, ldv := a.at(a.v, a.v.node.root.value, entry, head, 0)
	num.Transpose(turned, k, ldk, n, a.width)
	num.Transpose(turnedV, v, ldv, n, a.width)
	for q0 := 0; q0 < a.queries; q0 += tileQueries {
		rows := min(tileQueries, a.queries-q0)
		a.probabilities(p, entry, head, q0, rows, n, turned)
		d, ldy := a.at(operandOf{a.y, 0}, a.y.root.grad, entry, head, q0)
		num.Gemm(false, false, rows, n, a.width, 1, d, ldy, turnedV, n, 0, dp, n)
		a.gradients(entry, head, q0, 0, rows, n, p, dp, n, d, ldy, k, ldk, ldv, nil)
	}
}

// gradients adds a tile's part of the gradients; p holds its probabilities, dp the products of d and the values, along each
// query's Σ p·dp or nil when the tile has all keys.
func (a *attention) gradients(entry, head, q0, k0, rows, cols int, p, dp []float32, lead int, d []float32, ldy int, k []float32, ldk, ldv int, along []float32) {
	if a.dv != nil {
		dv, _ := a.at(a.v, a.dv, entry, head, k0)
		num.Gemm(true, false, cols, a.width, rows, 1, p, lead, d, ldy, 1, dv, ldv)
	}
	if along == nil {
		num.SoftmaxRowsGradient(dp[:rows*cols], p[:rows*cols], dp[:rows*cols], cols)
	} else {
		for r := range rows {
			row, e, s := p[r*lead:r*lead+cols], dp[r*lead:r*lead+cols], along[r]
			for j, w := range row {
				e[j] = w * (e[j] - s)
			}
		}
	}
	q, ldq := a.at(a.q, a.q.node.root.value, entry, head, q0)
	if a.dq != nil {
		dq, _ := a.at(a.q, a.dq, entry, head, q0)
		num.Gemm(false, false, rows, a.width, cols, a.scale, dp, lead, k, ldk, 1, dq, ldq)
	}
	if a.dk != nil {
		dk, _ := a.at(a.k, a.dk, entry, head, k0)
		num.Gemm(true, false, cols, a.width, rows, a.scale, dp, lead, q, ldq, 1, dk, ldk)
	}
}

func (a *attention) backward() {
	a.dq, a.dk, a.dv = begin(a.q.node), begin(a.k.node), begin(a.v.node)
	num.Parallel(a.batch*a.heads, 1, a.der)
}

// begin returns the gradient to add to, zero if nothing is there; a node that begins twice is cleared once.
func begin(n *Node) []float32 {
	d, add := n.gradient()
	if !add {
		clear(d)
	}
	return d
}

func (a *attention) backwardRange(lo, hi int) {
	room := a.g.scratch.take(2*tileQueries*tileKeys + a.queries)
	defer a.g.scratch.give(room)
	turned := a.g.scratch.take(2 * a.width * tileKeys) // keys and values
	defer a.g.scratch.give(turned)
	p, dp, along := room.values[:tileQueries*tileKeys], room.values[tileQueries*tileKeys:2*tileQueries*tileKeys], room.values[2*tileQueries*tileKeys:]
	out := operandOf{a.y, 0}
	for i := lo; i < hi; i++ {
		entry, head := i/a.heads, i%a.heads
		n := a.counted(entry)
		if a.oneTile(n) {
			a.backwardTile(entry, head, n, p, dp, turned.values[:a.width*tileKeys], turned.values[a.width*tileKeys:])
			continue
		}
		y, ldy := a.at(out, a.y.root.value, entry, head, 0)
		dy, _ := a.at(out, a.y.root.grad, entry, head, 0)
		for r := range a.queries { // Σ over keys of p·dp is the product of output and its gradient
			along[r] = float32(num.Dot(y[r*ldy:r*ldy+a.width], dy[r*ldy:r*ldy+a.width]))
		}
		for k0 := 0; k0 < n; k0 += tileKeys {
			cols := min(tileKeys, n-k0)
			k, ldk := a.at(a.k, a.k.node.root.value, entry, head, k0)
			v, ldv := a.at(a.v, a.v.node.root.value, entry, head, k0)
			for q0 := 0; q0 < a.queries; q0 += tileQueries {
				rows := min(tileQueries, a.queries-q0)
				if a.seen(q0+rows-1, n) <= k0 {
					continue
				}
				q, ldq := a.at(a.q, a.q.node.root.value, entry, head, q0)
				d := dy[q0*ldy:]
				num.Gemm(false, true, rows, cols, a.width, a.scale, q, ldq, k, ldk, 0, p, tileKeys)
				for r := range rows {
					row := p[r*tileKeys : r*tileKeys+cols]
					seen := min(cols, max(0, a.seen(q0+r, n)-k0))
					clear(row[seen:])
					expRow(row[:seen], a.logSum.root.value[i*a.queries+q0+r])
				}
				num.Gemm(false, true, rows, cols, a.width, 1, d, ldy, v, ldv, 0, dp, tileKeys)
				a.gradients(entry, head, q0, k0, rows, cols, p, dp, tileKeys, d, ldy, k, ldk, ldv, along[q0:q0+rows])
			}
		}
	}
}
