package main

import (
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/gimbal-ml/gimbal/internal/num"
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
