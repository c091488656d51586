package num

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

func testSyrk[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(22, 1))
	for c, s := range [][2]int{{1, 1}, {7, 3}, {96, 10}, {97, 33}, {200, 40}, {130, 300}, {20, 0}} {
		n, k := s[0], s[1]
		for _, trans := range []bool{false, true} {
			lda, rows := k+c%2, n
			if trans {
				lda, rows = n+c%2, k
			}
			alpha, beta := T(1), T(0)
			if c%2 == 1 {
				alpha, beta = -0.5, 2
			}
			a, ldc := normals[T](r, rows*lda), n+c%3
			out := normals[T](r, n*ldc)
			for i := range n {
				for j := range i {
					out[j*ldc+i] = T(math.NaN()) // must not be read
				}
				if beta == 0 {
					for j := range n {
						out[i*ldc+j] = T(math.NaN())
					}
				}
			}
			want := slices.Clone(out)
			Gemm(trans, !trans, n, n, k, alpha, a, lda, a, lda, beta, want, ldc)
			Syrk(trans, n, k, alpha, a, lda, beta, out, ldc)
			for i := range n {
				for j := range ldc {
					w := want[i*ldc+j]
					if j > i && j < n {
						w = want[j*ldc+i]
					}
					if out[i*ldc+j] != w {
						t.Fatalf("%T n %d k %d trans %v: C[%d,%d] = %v, Gemm gives %v", alpha, n, k, trans, i, j, out[i*ldc+j], w)
					}
				}
			}
		}
	}
}

func TestSyrkIsGemmInEveryBit(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		testSyrk[float32](t)
		testSyrk[float64](t)
	})
}

func TestSyrkBitsDependOnNoThread(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 2))
	const n, k = 500, 260
	if n*n/2*k < gemmGrain {
		t.Fatal("the product is too small to be shared out")
	}
	a := normals[float64](r, n*k)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want, got := make([]float64, n*n), make([]float64, n*n)
	Syrk(true, n, k, 1, a, n, 0, want, n)
	runtime.GOMAXPROCS(2)
	Syrk(true, n, k, 1, a, n, 0, got, n)
	if !slices.Equal(got, want) {
		t.Error("GOMAXPROCS 2 gave other bits than 1")
	}
}

func TestGemmBatchIsGemmInEveryBit(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 3))
	onEveryPath(t, func(t *testing.T) {
		for _, s := range [][4]int{{1, 5, 6, 7}, {40, 8, 8, 8}, {300, 64, 48, 32}, {9, 33, 1, 20}} {
			batch, m, n, k := s[0], s[1], s[2], s[3]
			a, b := normals[float32](r, batch*m*k), normals[float32](r, k*n)
			c := normals[float32](r, batch*(m*n+3))
			want := slices.Clone(c)
			for i := range batch {
				Gemm(false, true, m, n, k, 2, a[i*m*k:], k, b, k, 0.5, want[i*(m*n+3):], n)
			}
			GemmBatch(batch, false, true, m, n, k, 2, a, k, m*k, b, k, 0, 0.5, c, n, m*n+3)
			if !slices.Equal(c, want) {
				t.Errorf("%v: not the products one by one", s)
			}
		}
	})
}

func BenchmarkSyrk(b *testing.B) {
	r := rand.New(rand.NewPCG(22, 4))
	const n = 1024
	a, c := normals[float64](r, n*n), make([]float64, n*n)
	for b.Loop() {
		Syrk(true, n, n, 1, a, n, 0, c, n)
	}
	b.ReportMetric(n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}

func BenchmarkGemmFloat64(b *testing.B) {
	r := rand.New(rand.NewPCG(22, 5))
	const n = 1024
	g := newGemmCase[float64](r, n, n, n, true, false, 1, 0, 0)
	for b.Loop() {
		Gemm(true, false, n, n, n, 1, g.a, n, g.b, n, 0, g.c, n)
	}
	b.ReportMetric(2*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}

func BenchmarkGemmBatch(b *testing.B) {
	r := rand.New(rand.NewPCG(22, 6))
	const batch, n = 256, 64
	x, c := normals[float32](r, batch*n*n), make([]float32, batch*n*n)
	for b.Loop() {
		GemmBatch(batch, false, true, n, n, n, 1, x, n, n*n, x, n, n*n, 0, c, n, n*n)
	}
	b.ReportMetric(2*batch*n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}

func TestTranspose(t *testing.T) {
	r := rand.New(rand.NewPCG(81, 81))
	onEveryPath(t, func(t *testing.T) {
		for _, size := range [][2]int{{1, 1}, {3, 17}, {16, 27}, {64, 8}, {33, 40}} {
			m, n := size[0], size[1]
			lda := n + 3
			a, b := normals[float32](r, m*lda), make([]float32, m*n)
			Transpose(b, a, lda, m, n)
			for i := range m {
				for j := range n {
					if b[j*m+i] != a[i*lda+j] {
						t.Fatalf("%d×%d: element (%d, %d) is %v, want %v", m, n, j, i, b[j*m+i], a[i*lda+j])
					}
				}
			}
		}
	})
}
