package num

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// gemvOracle is alpha·op(A)·x + beta·y by the definition, and the sum of sizes that its rounding is measured by.
func gemvOracle[T Float](trans bool, m, n int, alpha T, a []T, lda int, x []T, beta T, y []T) (want, size []float64) {
	in, out := n, m
	if trans {
		in, out = m, n
	}
	want, size = make([]float64, out), make([]float64, out)
	for i := range out {
		for p := range in {
			at := i*lda + p
			if trans {
				at = p*lda + i
			}
			v := float64(alpha) * float64(a[at]) * float64(x[p])
			want[i], size[i] = want[i]+v, size[i]+math.Abs(v)
		}
		if beta != 0 {
			v := float64(beta) * float64(y[i])
			want[i], size[i] = want[i]+v, size[i]+math.Abs(v)
		}
	}
	return want, size
}

func testGemv[T Float](t *testing.T, unit float64) {
	r := rand.New(rand.NewPCG(21, 1))
	sizes := [][2]int{{1, 1}, {0, 3}, {3, 0}, {5, 700}, {1100, 9}, {66, 515}, {2050, 33}}
	for m := 1; m <= 18; m++ {
		sizes = append(sizes, [2]int{m, 2*m + 1}, [2]int{3, m})
	}
	for c, s := range sizes {
		m, n := s[0], s[1]
		for _, trans := range []bool{false, true} {
			in, out := n, m
			if trans {
				in, out = m, n
			}
			lda := n + c%3
			a, x, y := normals[T](r, m*lda), normals[T](r, in), normals[T](r, out)
			alpha, beta := T(1), T(0)
			if c%2 == 1 {
				alpha, beta = -1.5, 0.75
			}
			want, size := gemvOracle(trans, m, n, alpha, a, lda, x, beta, y)
			if beta == 0 {
				for i := range y {
					y[i] = T(math.NaN()) // must not be read
				}
			}
			Gemv(trans, m, n, alpha, a, lda, x, beta, y)
			for i, v := range y {
				if !(math.Abs(float64(v)-want[i]) <= float64(in+4)*unit*size[i]) {
					t.Fatalf("%T %d×%d trans %v: y[%d] = %v, want %v", alpha, m, n, trans, i, v, want[i])
				}
			}
		}
	}
}

func TestGemvAgreesWithDefinition(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		testGemv[float32](t, 0x1p-24)
		testGemv[float64](t, 0x1p-52)
	})
}

func TestGemvBitsDependOnNoThreadNorNeighbour(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 2))
	const m, n = 1500, 600
	if m*n < gemvGrain {
		t.Fatal("the product is too small to be shared out")
	}
	a, x, y := normals[float64](r, m*n), normals[float64](r, m), make([]float64, m)
	onEveryPath(t, func(t *testing.T) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		for _, trans := range []bool{false, true} {
			out := m
			if trans {
				out = n
			}
			runtime.GOMAXPROCS(1)
			Gemv(trans, m, n, 1, a, n, x, 0, y)
			want := slices.Clone(y[:out])
			for _, procs := range []int{2, 3} {
				runtime.GOMAXPROCS(procs)
				Gemv(trans, m, n, 1, a, n, x, 0, y)
				if !slices.Equal(y[:out], want) {
					t.Errorf("trans %v: GOMAXPROCS %d gave other bits than 1", trans, procs)
				}
			}
			if trans {
				Gemv(true, m, 3, 1, a[7:], n, x, 0, y)
			} else {
				Gemv(false, 3, n, 1, a[7*n:], n, x, 0, y)
			}
			if !slices.Equal(y[:3], want[7:10]) {
				t.Errorf("trans %v: a part of the product has other bits than the whole", trans)
			}
		}
	})
}

func TestRowKernelsOfVectorPathsAgreeInEveryBit(t *testing.T) {
	if len(available) < 3 {
		t.Skip("needs AVX-512 and AVX2")
	}
	r := rand.New(rand.NewPCG(21, 3))
	p, q := available[0], available[1]
	for n := 1; n < 70; n++ {
		testRowKernels(t, r, n, &p.rows32, &q.rows32)
		testRowKernels(t, r, n, &p.rows64, &q.rows64)
		a, x, coef := normals[float64](r, 4*n+8), normals[float64](r, n), normals[float64](r, 4)
		y := normals[float64](r, n)
		y1, y2, d1, d2 := slices.Clone(y), slices.Clone(y), make([]float64, 4), make([]float64, 4)
		p.rows64.dotAdd4(n, &a[0], n+2, &coef[0], &x[0], &y1[0], &d1[0])
		q.rows64.dotAdd4(n, &a[0], n+2, &coef[0], &x[0], &y2[0], &d2[0])
		q.rows64.dot4(n, &a[0], n+2, &x[0], &coef[0]) // coef is no longer needed
		if !slices.Equal(y1, y2) || !slices.Equal(d1, d2) || !slices.Equal(d1, coef) {
			t.Fatalf("n %d: dotAdd4 differs between paths, or from dot4", n)
		}
	}
}

func testRowKernels[T Float](t *testing.T, r *rand.Rand, n int, p, q *rowPath[T]) {
	t.Helper()
	a, x, coef, y := normals[T](r, 5*(n+2)), normals[T](r, n), normals[T](r, 5), normals[T](r, n)
	y1, y2, d1, d2 := slices.Clone(y), slices.Clone(y), make([]T, 5), make([]T, 5)
	p.dots(5, n, a, n+2, x, d1)
	q.dots(5, n, a, n+2, x, d2)
	p.adds(5, n, a, n+2, coef, y1)
	q.adds(5, n, a, n+2, coef, y2)
	if !slices.Equal(d1, d2) || !slices.Equal(y1, y2) {
		t.Fatalf("%T n %d: paths differ", x[0], n)
	}
}

func BenchmarkGemv(b *testing.B) {
	r := rand.New(rand.NewPCG(21, 4))
	for _, s := range [][2]int{{256, 256}, {1024, 1024}, {20000, 512}} {
		for _, trans := range []bool{false, true} {
			b.Run(fmt.Sprintf("%dx%d/trans=%v", s[0], s[1], trans), func(b *testing.B) {
				a, x, y := normals[float64](r, s[0]*s[1]), normals[float64](r, max(s[0], s[1])), make([]float64, max(s[0], s[1]))
				b.SetBytes(int64(8 * s[0] * s[1]))
				for b.Loop() {
					Gemv(trans, s[0], s[1], 1, a, s[1], x, 0, y)
				}
			})
		}
	}
}
