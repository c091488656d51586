package num

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// testGemmBits checks the law of Gemm: an element's bits depend on its row, its column and k, on nothing else.
func testGemmBits[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	for _, s := range [][3]int{{33, 70, 300}, {64, 64, 64}, {130, 45, 2100}, {90, 530, 270}} {
		m, n, k := s[0], s[1], s[2]
		for _, trans := range []int{0, 1, 2, 3} {
			g := newGemmCase[T](r, m, n, k, trans&1 != 0, trans&2 != 0, 1.25, 0.5, 1)
			whole := g.run()
			for range 12 {
				i0, j0 := r.IntN(m), r.IntN(n)
				h, w := 1+r.IntN(m-i0), 1+r.IntN(n-j0)
				if r.IntN(3) == 0 {
					h, w = 1, n-j0
				}
				a, b := g.a[i0*g.lda:], g.b[j0:]
				if g.transA {
					a = g.a[i0:]
				}
				if g.transB {
					b = g.b[j0*g.ldb:]
				}
				c := slices.Clone(g.c[i0*g.ldc+j0:])
				Gemm(g.transA, g.transB, h, w, k, g.alpha, a, g.lda, b, g.ldb, g.beta, c, g.ldc)
				for i := range h {
					for j := range w {
						if c[i*g.ldc+j] != whole[(i0+i)*g.ldc+j0+j] {
							t.Fatalf("%T %v trans %d: C[%d,%d] is %v in a batch and %v in a part of %d×%d", g.alpha, s, trans, i0+i, j0+j, whole[(i0+i)*g.ldc+j0+j], c[i*g.ldc+j], h, w)
						}
					}
				}
			}
		}
	}
}

func TestGemmBitsDependOnNoNeighbour(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		testGemmBits[float32](t)
		testGemmBits[float64](t)
	})
}

func TestGemmBitsDependOnNoThread(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 12))
	const m, n, k = 300, 310, 290
	if m*n*k < gemmGrain {
		t.Fatal("the product is too small to be shared out")
	}
	onEveryPath(t, func(t *testing.T) {
		for _, trans := range []int{0, 1, 2, 3} {
			g := newGemmCase[float32](r, m, n, k, trans&1 != 0, trans&2 != 0, 1, 0, 0)
			if trans == 3 { // few rows: columns are cut
				g = newGemmCase[float32](r, 20, 6000, k, false, true, 1, 1, 0)
			}
			before := runtime.GOMAXPROCS(1)
			want := g.run()
			for _, procs := range []int{2, 3, 8} {
				runtime.GOMAXPROCS(procs)
				if !slices.Equal(g.run(), want) {
					t.Errorf("trans %d: GOMAXPROCS %d gave other bits than 1", trans, procs)
				}
			}
			runtime.GOMAXPROCS(before)
		}
	})
}

func TestVectorPathsAgreeInEveryBit(t *testing.T) {
	if len(available) < 3 {
		t.Skip("needs AVX-512 and AVX2")
	}
	before := active
	defer func() { active = before }()
	r := rand.New(rand.NewPCG(13, 13))
	for _, s := range [][3]int{{5, 7, 3}, {40, 90, 600}, {200, 128, 64}} {
		g := newGemmCase[float32](r, s[0], s[1], s[2], false, true, 1.5, 0.75, 2)
		h := newGemmCase[float64](r, s[0], s[1], s[2], true, false, 1.5, 0.75, 2)
		active = available[0]
		g0, h0 := g.run(), h.run()
		active = available[1]
		if !slices.Equal(g0, g.run()) || !slices.Equal(h0, h.run()) {
			t.Errorf("%v: %s and %s differ", s, available[0].name, available[1].name)
		}
	}
}

// fusedMultiplyAdd rounds x·y + z once.
func fusedMultiplyAdd[T Float](x, y, z T) T {
	if _, double := any(z).(float64); double {
		return T(math.FMA(float64(x), float64(y), float64(z)))
	}
	// The product of two float32 is exact in float64. The sum is rounded to odd there, so that rounding it again to
	// float32 gives what one rounding would.
	product, z64 := float64(x)*float64(y), float64(z)
	sum := product + z64
	part := sum - product
	lost := (product - (sum - part)) + (z64 - part)
	if lost != 0 && math.Float64bits(sum)&1 == 0 {
		away := math.Inf(1)
		if lost < 0 {
			away = math.Inf(-1)
		}
		sum = math.Nextafter(sum, away)
	}
	return T(sum)
}

// TestGemmIsAChainOfFusedMultiplyAdds holds the vector paths of all machines to the same bits.
func TestGemmIsAChainOfFusedMultiplyAdds(t *testing.T) {
	if got := fusedMultiplyAdd[float32](1+0x1p-12, 1-0x1p-12, -1); got != -0x1p-24 {
		t.Fatalf("the oracle gives %v, want -2⁻²⁴", got)
	}
	// 2⁻⁵⁴ below halfway between two float32: rounded to float64 first, it would be a tie and go up.
	if got := fusedMultiplyAdd[float32](0x1p-24+0x1p-39, 1-0x1p-15, 1+0x1p-23); got != 1+0x1p-23 {
		t.Fatalf("the oracle gives %v, want 1+2⁻²³", got)
	}
	onEveryPath(t, func(t *testing.T) {
		if active == &portable {
			t.Skip("what portable code fuses is the compiler's choice")
		}
		testGemmChain[float32](t)
		testGemmChain[float64](t)
	})
}

func testGemmChain[T Float](t *testing.T) {
	r := rand.New(rand.NewPCG(14, 14))
	for _, s := range [][3]int{{1, 37, 300}, {7, 9, 3}, {13, 30, 70}, {31, 50, 600}} {
		for _, trans := range []int{0, 1, 2, 3} {
			g := newGemmCase[T](r, s[0], s[1], s[2], trans&1 != 0, trans&2 != 0, 1.375, T(trans%2), 1)
			c := g.run()
			for i := range g.m {
				for j := range g.n {
					want := g.c[i*g.ldc+j]
					for from := 0; from < g.k; from += gemmDepth {
						var chain T
						for p := from; p < min(from+gemmDepth, g.k); p++ {
							chain = fusedMultiplyAdd(g.A(i, p), g.B(p, j), chain)
						}
						if from == 0 && g.beta == 0 {
							want = g.alpha * chain
						} else {
							want = fusedMultiplyAdd(g.alpha, chain, want)
						}
					}
					if got := c[i*g.ldc+j]; got != want {
						t.Fatalf("%T %v trans %d: C[%d,%d] = %v, a chain of fused multiply-adds gives %v", g.alpha, s, trans, i, j, got, want)
					}
				}
			}
		}
	}
}

func TestGemmScales(t *testing.T) {
	nan := float32(0)
	nan /= nan
	onEveryPath(t, func(t *testing.T) {
		c := []float32{nan, nan, 7}
		Gemm(false, false, 1, 2, 1, 1, []float32{2}, 1, []float32{3, 4}, 2, 0, c, 3)
		if c[0] != 6 || c[1] != 8 || c[2] != 7 {
			t.Errorf("beta 0 over NaN gave %v, want [6 8 7]", c)
		}
		Gemm(false, false, 1, 2, 0, 1, nil, 0, nil, 2, 0.5, c, 3)
		if c[0] != 3 || c[1] != 4 {
			t.Errorf("k 0 with beta 0.5 gave %v, want [3 4 7]", c)
		}
		Gemm(false, false, 1, 2, 1, 0, []float32{nan}, 1, []float32{nan, nan}, 2, 0, c, 3)
		if c[0] != 0 || c[1] != 0 {
			t.Errorf("alpha 0 and beta 0 gave %v, want zeros", c)
		}
	})
}

func TestGemmRefusesShortSlices(t *testing.T) {
	for name, f := range map[string]func(){
		"A": func() {
			Gemm(false, false, 2, 2, 2, 1, make([]float32, 3), 2, make([]float32, 4), 2, 0, make([]float32, 4), 2)
		},
		"B": func() {
			Gemm(false, true, 2, 2, 2, 1, make([]float32, 4), 2, make([]float32, 3), 2, 0, make([]float32, 4), 2)
		},
		"C": func() {
			Gemm(false, false, 2, 2, 2, 1, make([]float32, 4), 2, make([]float32, 4), 2, 0, make([]float32, 3), 2)
		},
		"ldc": func() {
			Gemm(false, false, 2, 2, 2, 1, make([]float32, 4), 2, make([]float32, 4), 2, 0, make([]float32, 4), 1)
		},
		"k":   func() { GramInt(make([]int64, 4), make([]float64, 3), 2, 2, 2) },
		"acc": func() { GramInt(make([]int64, 3), make([]float64, 4), 2, 2, 2) },
		"dst": func() { Grid(make([]float64, 3), 2, make([]float32, 4), 2, 2, make([]float64, 2), make([]float64, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s too short: no panic", name)
				}
			}()
			f()
		}()
	}
}
