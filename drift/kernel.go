package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

const (
	kernelBlock = 512     // rows of a block of the kernel's matrix: the most of it that ever exists, for each thread
	kernelFar   = 1e15    // coordinates, in units of the scale, beyond which a row is unlike every other
	kernelLarge = 1 << 32 // pairs × columns from which products are taken in float32
)

// kernel is a function of two rows' squared distance, measured in units of scale.
type kernel struct {
	scale float64
	of    func(squared float64) float64
}

// gaussian is exp(−‖x−y‖²/2) in units of the bandwidth.
func gaussian(squared float64) float64 { return math.Exp(-squared / 2) }

// between returns the kernel's value for two rows.
func (k kernel) between(a, b []float32) float64 {
	s := 0.0
	for j, v := range a {
		d := (float64(v) - float64(b[j])) / k.scale
		s += d * d
	}
	return k.of(s)
}

// vStatistics returns, for each of the given labels of the pool, the squared distance between the two samples' means in the
// kernel's space: mean k(a,a') + mean k(b,b') − 2 mean k(a,b), each mean over all pairs, a row with itself included.
//
// The kernel's matrix is never held: each of its blocks is made, multiplied with the labels of all relabellings at once
// (u'Ku for a subset u, and 1'Ku, are all that is needed, and by symmetry half of the blocks) and dropped. Memory is one bit a row
// and relabelling, O((n+m)·P/8) bytes; time O((n+m)²·(D+P)).
func (p *pool) vStatistics(ctx context.Context, k kernel, labels []subset) ([]float64, error) {
	n, d := len(p.rows), len(p.rows[0])
	if float64(n)*float64(n)*float64(d) >= kernelLarge {
		return kernelSums[float32](ctx, p, k, labels)
	}
	return kernelSums[float64](ctx, p, k, labels)
}

// kernelWork is what one thread needs.
type kernelWork[T num.Float] struct {
	a, b   []T // block × D
	na, nb []float64
	k      []T // block × block
	u, w   []T // block × (P+1): labels, and the kernel times labels; the last column is all ones
}

func kernelSums[T num.Float](ctx context.Context, p *pool, k kernel, labels []subset) ([]float64, error) {
	n, d, wide := len(p.rows), len(p.rows[0]), len(labels)+1
	blocks := (n + kernelBlock - 1) / kernelBlock
	centre := p.centre()
	// One sum of products for each relabelling and block of rows, joined in order: threads cannot change a bit.
	within, all := make([]float64, blocks*wide), make([]float64, blocks*wide)
	num.Parallel((blocks+1)/2, 1, func(lo, hi int) {
		size := min(kernelBlock, n)
		w := &kernelWork[T]{make([]T, size*d), make([]T, size*d), make([]float64, size), make([]float64, size), make([]T, size*size), make([]T, size*wide), make([]T, size*wide)}
		for i := lo; i < hi; i++ {
			// A row of blocks from the top, which is long, and one from the bottom, which is short.
			for _, row := range []int{i, blocks - 1 - i} {
				for column := row; column < blocks && ctx.Err() == nil; column++ {
					w.block(p, k, centre, labels, row, column, within[row*wide:(row+1)*wide], all[row*wide:(row+1)*wide])
				}
				if blocks-1-i == i {
					break
				}
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make([]float64, len(labels))
	sum := func(parts []float64, c int) (s float64) {
		for b := range blocks {
			s += parts[b*wide+c]
		}
		return s
	}
	total := sum(all, wide-1)
	a, b := float64(p.few), float64(p.other)
	for c := range labels {
		aa, aAll := sum(within, c), sum(all, c)
		ab := aAll - aa
		bb := total - 2*aAll + aa
		out[c] = aa/(a*a) + bb/(b*b) - 2*ab/(a*b)
	}
	return out, nil
}

// load fills one side of a block: rows centred and in units of the scale, and their squared norms.
func (w *kernelWork[T]) load(p *pool, k kernel, centre []float64, first int, x []T, norms []float64) (rows int) {
	d := len(centre)
	rows = min(kernelBlock, len(p.rows)-first)
	for i := range rows {
		norm := 0.0
		for j, v := range p.rows[first+i] {
			z := T(max(-kernelFar, min(kernelFar, (float64(v)-centre[j])/k.scale)))
			x[i*d+j] = z
			norm += float64(z) * float64(z)
		}
		norms[i] = norm
	}
	return rows
}

// block adds what one block of the kernel's matrix, and its mirror image, contribute.
func (w *kernelWork[T]) block(p *pool, k kernel, centre []float64, labels []subset, row, column int, within, all []float64) {
	d, wide := len(centre), len(labels)+1
	rows := w.load(p, k, centre, row*kernelBlock, w.a, w.na)
	columns := w.load(p, k, centre, column*kernelBlock, w.b, w.nb)
	num.Gemm(false, true, rows, columns, d, 1, w.a, d, w.b, d, 0, w.k, columns)
	for i := range rows {
		line := w.k[i*columns : (i+1)*columns]
		for j, dot := range line {
			line[j] = T(k.of(max(w.na[i]+w.nb[j]-2*float64(dot), 0)))
		}
		if row == column {
			line[i] = T(k.of(0))
		}
	}
	fill := func(first, rows int) {
		for i := range rows {
			to := w.u[i*wide : (i+1)*wide]
			for c, s := range labels {
				to[c] = 0
				if s.has(first + i) {
					to[c] = 1
				}
			}
			to[wide-1] = 1
		}
	}
	fill(column*kernelBlock, columns)
	num.Gemm(false, false, rows, wide, columns, 1, w.k, columns, w.u, wide, 0, w.w, wide)
	times := 1.0
	if row != column {
		fill(row*kernelBlock, rows)
		times = 2
	}
	for i := range rows {
		u, v := w.u[i*wide:(i+1)*wide], w.w[i*wide:(i+1)*wide]
		one := v[wide-1]
		for c := range v {
			within[c] += times * float64(u[c]*v[c])
			all[c] += float64(v[c])
			if row != column {
				all[c] += float64(u[c] * one)
			}
		}
	}
}

// effectRows is how many rows of each sample the spread of an effect is estimated from.
const effectRows = 300

// effect returns the squared distance between the samples' means in the kernel's space without the bias of pairing rows with
// themselves, and its 95 % interval: variance 4·(σ²_a/a + σ²_b/b) of the U-statistic's first order terms, taken from up to
// 300 rows of each sample, plus the variance under the null.
func (p *pool) effect(k kernel, observed ranking, statistic float64) metric.Estimate {
	a, b := p.samples()
	thin := func(rows [][]float32) [][]float32 { return (&pool{rows: rows}).sample(effectRows) }
	variance := observed.spread * observed.spread
	own, other := thin(a), thin(b)
	for side := range 2 {
		size := float64(len([][][]float32{a, b}[side]))
		h := make([]float64, len(own))
		num.Parallel(len(own), 16, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				for _, row := range own {
					h[i] += k.between(own[i], row) / float64(len(own))
				}
				for _, row := range other {
					h[i] -= k.between(own[i], row) / float64(len(other))
				}
			}
		})
		mean, square := 0.0, 0.0
		for _, v := range h {
			mean += v / float64(len(h))
		}
		for _, v := range h {
			square += (v - mean) * (v - mean) / float64(len(h))
		}
		variance += 4 * square / size
		own, other = other, own
	}
	return normalInterval(statistic-observed.mean, math.Sqrt(variance))
}

// kernelTest ranks the statistic of the pool's own labels among those of relabelled pools.
func (p *pool) kernelTest(ctx context.Context, k kernel, level float64, permutations int, seed uint64) (*method.Comparison, error) {
	labels, err := p.relabellings(ctx, permutations, seed)
	if err != nil {
		return nil, err
	}
	v, err := p.vStatistics(ctx, k, labels)
	if err != nil {
		return nil, err
	}
	r := rank(v[0], v[1:], level, 1e-12) // kernels are of order one in these units
	return &method.Comparison{
		Drift: r.p <= level, PValue: r.p, Level: level,
		Statistic: max(v[0], 0), Effect: p.effect(k, r, v[0]), Visible: r.visible + r.mean,
	}, nil
}
