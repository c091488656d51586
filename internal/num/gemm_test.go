package num

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// onEveryPath runs a test on each path that this machine has.
func onEveryPath(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	before := active
	defer func() { active = before }()
	for _, p := range available {
		active = p
		t.Run(p.name, f)
	}
}

func normals[T Float](r *rand.Rand, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = T(r.NormFloat64())
	}
	return out
}

// gemmCase is one product, its operands stored with room beside the rows.
type gemmCase[T Float] struct {
	transA, transB         bool
	m, n, k, lda, ldb, ldc int
	alpha, beta            T
	a, b, c                []T
}

func newGemmCase[T Float](r *rand.Rand, m, n, k int, transA, transB bool, alpha, beta T, room int) *gemmCase[T] {
	g := &gemmCase[T]{transA: transA, transB: transB, m: m, n: n, k: k, alpha: alpha, beta: beta}
	ra, ca, rb, cb := m, k, k, n
	if transA {
		ra, ca = k, m
	}
	if transB {
		rb, cb = n, k
	}
	g.lda, g.ldb, g.ldc = ca+room, cb+room, n+room
	g.a, g.b, g.c = normals[T](r, ra*g.lda), normals[T](r, rb*g.ldb), normals[T](r, m*g.ldc)
	return g
}

func (g *gemmCase[T]) A(i, p int) T {
	if g.transA {
		i, p = p, i
	}
	return g.a[i*g.lda+p]
}

func (g *gemmCase[T]) B(p, j int) T {
	if g.transB {
		p, j = j, p
	}
	return g.b[p*g.ldb+j]
}

func (g *gemmCase[T]) run() []T {
	c := append([]T(nil), g.c...)
	Gemm(g.transA, g.transB, g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, g.beta, c, g.ldc)
	return c
}

// check compares with a sum in float64. An element's error is below k+2 roundings of the sum of sizes.
func (g *gemmCase[T]) check(t *testing.T, c []T, unit float64) {
	t.Helper()
	for i := range g.m {
		for j := range g.ldc {
			got := float64(c[i*g.ldc+j])
			if j >= g.n {
				if got != float64(g.c[i*g.ldc+j]) {
					t.Fatalf("m %d n %d k %d: value beside row %d was changed", g.m, g.n, g.k, i)
				}
				continue
			}
			var sum, size float64
			for p := range g.k {
				v := float64(g.A(i, p)) * float64(g.B(p, j))
				sum, size = sum+v, size+math.Abs(v)
			}
			sum *= float64(g.alpha)
			size *= math.Abs(float64(g.alpha))
			if g.beta != 0 {
				v := float64(g.beta) * float64(g.c[i*g.ldc+j])
				sum, size = sum+v, size+math.Abs(v)
			}
			if !(math.Abs(got-sum) <= float64(g.k+3)*unit*size) {
				t.Fatalf("%T m %d n %d k %d trans %v %v alpha %v beta %v: C[%d,%d] = %v, want %v", g.alpha, g.m, g.n, g.k, g.transA, g.transB, g.alpha, g.beta, i, j, got, sum)
			}
		}
	}
}

func testGemmSizes[T Float](t *testing.T, unit float64) {
	r := rand.New(rand.NewPCG(1, 2))
	sizes := [][3]int{{1, 1, 1}, {1, 33, 7}, {14, 32, 256}, {15, 33, 257}, {13, 47, 64}, {64, 64, 64}, {70, 90, 300}, {29, 130, 511}, {100, 7, 40}, {3, 16, 513}}
	for m := 1; m <= 17; m++ {
		sizes = append(sizes, [3]int{m, 3*m - 1, 9}, [3]int{2 * m, m, 31})
	}
	for n, s := range sizes {
		if raceEnabled && s[0]*s[1]*s[2] > 10_000 {
			continue // arithmetic alone, and slow here
		}
		for _, trans := range []int{0, 1, 2, 3} {
			alpha, beta := T(1), T(0)
			switch (n + trans) % 4 {
			case 1:
				beta = 1
			case 2:
				alpha, beta = -1.5, 0.25
			case 3:
				alpha, beta = 2, 0
			}
			g := newGemmCase(r, s[0], s[1], s[2], trans&1 != 0, trans&2 != 0, alpha, beta, (n+trans)%3)
			g.check(t, g.run(), unit)
		}
	}
}

func TestGemmAgreesWithFloat64Sums(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		testGemmSizes[float32](t, 0x1p-24)
		testGemmSizes[float64](t, 0x1p-52) // the oracle rounds too
	})
}

func BenchmarkGemm(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range available {
		for _, s := range [][3]int{{64, 64, 64}, {128, 128, 128}, {256, 512, 784}, {1024, 1024, 1024}, {4096, 512, 512}} {
			for _, tr := range []int{0, 2} {
				b.Run(fmt.Sprintf("%s/%dx%dx%d/tr%d", p.name, s[0], s[1], s[2], tr), func(b *testing.B) {
					before := active
					defer func() { active = before }()
					active = p
					g := newGemmCase[float32](r, s[0], s[1], s[2], tr&1 != 0, tr&2 != 0, 1, 0, 0)
					for b.Loop() {
						Gemm(g.transA, g.transB, g.m, g.n, g.k, g.alpha, g.a, g.lda, g.b, g.ldb, g.beta, g.c, g.ldc)
					}
					b.ReportMetric(2*float64(s[0]*s[1]*s[2])*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
				})
			}
		}
	}
}
