package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/gimbal-ml/gimbal/internal/num"
)

const (
	momentRows, momentDim, momentClasses = 200_000, 512, 100
	scoreRows                            = 100_000
	nearRows, nearQueries, nearDim       = 100_000, 20_000, 256
	nearK                                = 50
)

func rows() []*row {
	var out []*row
	for _, s := range []struct {
		m, n, k int
		goal    float64
	}{{1024, 1024, 1024, 0.95}, {4096, 512, 512, 0.95}, {256, 512, 784, 0.8}, {64, 64, 64, 0.8}} {
		out = append(out, product[float32]("sgemm", s.m, s.n, s.k, s.goal))
	}
	out = append(out, product[float64]("dgemm", 1024, 1024, 1024, 0.95))
	fitted := fmt.Sprintf("%d %d %d", momentRows, momentDim, momentClasses)
	scatter := float64(momentRows) * momentDim * (momentDim + 1)
	for _, p := range []struct {
		label, request string
		goal           float64
		double         bool
	}{
		{"numpy float64: cast, XᵀX, mean, class sums", "moments64", 1.5, true},
		{"numpy float32 XᵀX alone, inexact", "gram32", 0.5, false},
		{"scikit-learn EmpiricalCovariance and class means", "covariance", 2, false},
	} {
		out = append(out, &row{name: "exact moments 200,000×512, 100 classes", threads: []int{1, 2}, peer: "python", label: p.label,
			request: func(int) string { return p.request + " " + fitted }, flops: scatter, double: true, peerDouble: p.double, goal: p.goal, prepare: moments})
	}
	scored := fmt.Sprintf("%d %d %d", scoreRows, momentDim, momentClasses)
	score := 2 * float64(scoreRows) * momentDim * (momentDim + momentClasses)
	out = append(out,
		&row{name: "Mahalanobis 100,000×512, 100 classes", threads: []int{1, 2}, peer: "python", label: "numpy, whitened product in float32",
			request: func(int) string { return "mahalanobis_white " + scored }, flops: score, goal: 1, prepare: mahalanobis},
		&row{name: "Mahalanobis 100,000×512, 100 classes, by class", threads: []int{2}, peer: "python", label: "numpy, a quadratic form for each class",
			request: func(int) string { return "mahalanobis_class " + scored }, flops: score, goal: 50, prepare: mahalanobis},
		&row{name: "nearest 50, 20,000 queries × 100,000×256", threads: []int{2}, peer: "python", label: "scikit-learn, brute force",
			request: func(int) string { return fmt.Sprintf("neighbours %d %d %d %d", nearRows, nearDim, nearK, nearQueries) },
			flops:   2 * float64(nearRows) * nearQueries * nearDim, goal: 3, prepare: nearest},
	)
	return append(out, vectors()...)
}

// vectors are functions of 10⁷ float32 values, in rows where they have rows.
func vectors() (out []*row) {
	const n, d = 10_000, 1_000
	x, dst := sync.OnceValue(func() []float32 { return normals[float32](n * d) }), sync.OnceValue(func() []float32 { return make([]float32, n*d) })
	for _, f := range []struct {
		name, request string
		run           func(dst, x []float32)
	}{
		{"exp", "exp", num.Exp},
		{"tanh", "tanh", num.Tanh},
		{"GELU, tanh form", "gelu", num.GELUTanh},
		{"GELU, exact", "gelu_torch", num.GELU},
		{"softmax", "softmax", func(dst, x []float32) { num.SoftmaxRows(dst, x, d) }},
		{"LayerNorm", "layernorm", func(dst, x []float32) {
			mean, inverse := make([]float64, n), make([]float64, n)
			num.LayerNormRows(dst, x, x[:d], x[d:2*d], mean, inverse, d, 1e-5)
		}},
	} {
		peers := []struct {
			peer, label, request string
			goal                 float64
		}{{"python", "numpy", f.request, 1.5}, {"torch", "PyTorch", f.request + "_torch", 1}}
		switch f.request { // numpy has no erf; PyTorch's own form is the exact one
		case "gelu":
			peers = peers[:1]
		case "gelu_torch":
			peers = peers[1:]
			peers[0].request = f.request
		}
		for _, p := range peers {
			out = append(out, &row{name: fmt.Sprintf("%s, %d×%d float32", f.name, n, d), threads: []int{1, 2}, peer: p.peer, label: p.label, goal: p.goal,
				request: func(int) string { return fmt.Sprintf("%s %d %d 1", p.request, n, d) },
				prepare: func() func() { return func() { f.run(dst(), x()) } },
			})
		}
	}
	return out
}

func product[T num.Float](name string, m, n, k int, goal float64) *row {
	return &row{
		name: fmt.Sprintf("%s %d×%d×%d", name, m, n, k), threads: []int{1, 2}, peer: "openblas", label: "OpenBLAS", goal: goal,
		request: func(reps int) string { return fmt.Sprintf("%s %d %d %d 0 %d", name, m, n, k, reps) },
		flops:   2 * float64(m) * float64(n) * float64(k),
		double:  name == "dgemm", peerDouble: name == "dgemm",
		prepare: func() func() {
			a, b, c := normals[T](m*k), normals[T](k*n), make([]T, m*n)
			return func() { num.Gemm(false, false, m, n, k, 1, a, k, b, n, 0, c, n) }
		},
	}
}

func normals[T num.Float](n int) []T {
	r := rand.New(rand.NewPCG(1, 1))
	out := make([]T, n)
	for i := range out {
		out[i] = T(r.NormFloat64())
	}
	return out
}

// moments is what an exact fit does with its kernels: the columns' greatest sizes give the grid, then block by block
// the rows go on the grid, and into the scatter and their class's sum.
func moments() func() {
	const n, d = momentRows, momentDim
	x, label := normals[float32](n*d), make([]int, n)
	r := rand.New(rand.NewPCG(2, 2))
	for i := range label {
		label[i] = r.IntN(momentClasses)
	}
	return func() {
		var lock sync.Mutex
		top := make([]float32, d)
		num.Parallel(n, 4096, func(lo, hi int) {
			part := make([]float32, d)
			num.MaxAbs(part, x[lo*d:hi*d], hi-lo, d)
			lock.Lock()
			num.MaxAbs(top, part, 1, d)
			lock.Unlock()
		})
		scale, origin := make([]float64, d), make([]float64, d)
		for j, v := range top {
			_, e := math.Frexp(float64(v))
			scale[j] = math.Ldexp(1, num.GridBits-e)
		}
		scatter, sums := make([]int64, d*d), make([]int64, momentClasses*d)
		blocks := (n + num.GramRows - 1) / num.GramRows
		num.Parallel(blocks, 1, func(lo, hi int) {
			k, gram, sum := make([]float64, num.GramRows*d), make([]int64, d*d), make([]int64, momentClasses*d)
			for b := lo; b < hi; b++ {
				from := b * num.GramRows
				rows := min(num.GramRows, n-from)
				if !num.Grid(k, d, x[from*d:(from+rows)*d], rows, d, scale, origin) {
					panic("bench: a value lies outside the grid")
				}
				num.GramInt(gram, k, rows, d, d)
				for i := range rows {
					c := label[from+i]
					num.AddInt(sum[c*d:c*d+d], k[i*d:i*d+d])
				}
			}
			lock.Lock()
			defer lock.Unlock()
			for i, v := range gram { // fewer than 1023 blocks: int64 holds them
				scatter[i] += v
			}
			for i, v := range sum {
				sums[i] += v
			}
		})
	}
}

// mahalanobis scores rows by the nearest class mean: whitened, one product with the means, the least distance.
func mahalanobis() func() {
	const n, d, classes = scoreRows, momentDim, momentClasses
	x, white, means := normals[float32](n*d), normals[float32](d*d), normals[float32](classes*d)
	length := make([]float32, classes)
	for c := range length {
		length[c] = float32(num.SquaredNorm(means[c*d : c*d+d]))
	}
	score := make([]float64, n)
	return func() {
		num.Parallel(n, 512, func(lo, hi int) {
			z, dot := make([]float32, 512*d), make([]float32, 512*classes)
			for from := lo; from < hi; from += 512 {
				rows := min(512, hi-from)
				num.Gemm(false, false, rows, d, d, 1, x[from*d:], d, white, d, 0, z, d)
				num.Gemm(false, true, rows, classes, d, -2, z, d, means, d, 0, dot, classes)
				for i := range rows {
					least := float32(math.Inf(1))
					for c, v := range dot[i*classes : (i+1)*classes] {
						least = min(least, v+length[c])
					}
					score[from+i] = num.SquaredNorm(z[i*d:i*d+d]) + float64(least)
				}
			}
		})
	}
}

func nearest() func() {
	ref, query := normals[float32](nearRows*nearDim), normals[float32](nearQueries*nearDim)
	dist, index := make([]float64, nearQueries*nearK), make([]int32, nearQueries*nearK)
	return func() {
		num.Nearest(dist, index, query, nearQueries, ref, nearRows, nearDim, nearK)
	}
}
