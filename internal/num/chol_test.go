package num

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// triangleOf fills an n×n triangle, well conditioned, with NaN beyond it: that must not be read.
func triangleOf[T Float](r *rand.Rand, n, lda int, low bool) []T {
	a := make([]T, n*lda)
	for i := range n {
		for j := range lda {
			v := T(math.NaN())
			switch {
			case j >= n:
			case i == j:
				v = T(1 + r.Float64())
			case (j < i) == low:
				v = T(r.NormFloat64() / float64(n))
			}
			a[i*lda+j] = v
		}
	}
	return a
}

func testTrsm[T Float](t *testing.T, rounding float64) {
	r := rand.New(rand.NewPCG(24, 1))
	for c, s := range [][2]int{{1, 1}, {2, 3}, {31, 1}, {32, 70}, {33, 5}, {70, 1}, {100, 65}, {129, 20}} {
		if raceEnabled && s[0] > 70 {
			continue
		}
		size, sides := s[0], s[1]
		for mode := range 8 {
			left, low, trans := mode&1 != 0, mode&2 != 0, mode&4 != 0
			m, n := size, sides
			if !left {
				m, n = sides, size
			}
			lda, ldb := size+c%2, n+c%3
			a, b := triangleOf[T](r, size, lda, low), normals[T](r, m*ldb)
			x := slices.Clone(b)
			Trsm(left, low, trans, m, n, a, lda, x, ldb)
			at := func(i, j int) float64 {
				if trans {
					i, j = j, i
				}
				if i != j && (j < i) != low {
					return 0
				}
				return float64(a[i*lda+j])
			}
			for i := range m {
				for j := range ldb {
					if j >= n {
						if x[i*ldb+j] != b[i*ldb+j] {
							t.Fatalf("%v mode %d: value beside row %d was changed", s, mode, i)
						}
						continue
					}
					sum, size := -float64(b[i*ldb+j]), math.Abs(float64(b[i*ldb+j]))
					for p := range s[0] {
						v := 0.0
						if left {
							v = at(i, p) * float64(x[p*ldb+j])
						} else {
							v = float64(x[i*ldb+p]) * at(p, j)
						}
						sum, size = sum+v, size+math.Abs(v)
					}
					// The solution is that of a matrix whose elements differ by (size+3) roundings.
					if !(math.Abs(sum) <= float64(s[0]+4)*rounding*size) {
						t.Fatalf("%T %v left %v lower %v trans %v: residual %g at %d,%d", rounding, s, left, low, trans, sum, i, j)
					}
				}
			}
		}
	}
}

func TestTrsmSolves(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		testTrsm[float32](t, 0x1p-24)
		testTrsm[float64](t, 0x1p-52)
	})
}

func TestTrsmAndCholeskyBitsDependOnNoThread(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 2))
	const n, sides = 440, 300
	if n*n/2*sides < stepGrain || n*n/3*n < stepGrain {
		t.Fatal("too small to be shared out")
	}
	a := definite(r, n)
	b := normals[float64](r, n*sides)
	run := func(procs int) (l, left, right []float64) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		c, ok := NewChol(a, n)
		if !ok {
			t.Fatal("not positive definite")
		}
		left, right = slices.Clone(b), slices.Clone(b)
		Trsm(true, true, true, n, sides, c.l, n, left, sides)
		Trsm(false, true, true, sides, n, c.l, n, right, n)
		return c.l, left, right
	}
	l, left, right := run(1)
	for _, procs := range []int{2, 3} {
		l2, left2, right2 := run(procs)
		if !slices.Equal(l, l2) || !slices.Equal(left, left2) || !slices.Equal(right, right2) {
			t.Errorf("GOMAXPROCS %d gave other bits than 1", procs)
		}
	}
}

// definite returns XᵀX/m + 0.1·I for 2n random rows.
func definite(r *rand.Rand, n int) []float64 {
	x, a := normals[float64](r, 2*n*n), make([]float64, n*n)
	for i := range n {
		a[i*n+i] = 0.1
	}
	Syrk(true, n, 2*n, 1/float64(2*n), x, n, 1, a, n)
	return a
}

func TestCholeskyFactors(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 3))
	onEveryPath(t, func(t *testing.T) {
		for _, n := range []int{0, 1, 2, 47, 48, 49, 100, 200} {
			a := definite(r, n)
			c, ok := NewChol(a, n)
			if !ok {
				t.Fatalf("n %d: refused", n)
			}
			for i := range n {
				for j := range n {
					sum := 0.0
					for k := range n {
						sum += c.l[i*n+k] * c.l[j*n+k]
					}
					if math.Abs(sum-a[i*n+j]) > float64(n+2)*0x1p-53*math.Sqrt(a[i*n+i]*a[j*n+j]) { // Higham 2002, theorem 10.3
						t.Fatalf("n %d: (LLᵀ)[%d,%d] = %v, want %v", n, i, j, sum, a[i*n+j])
					}
				}
			}
			single := make([]float32, n*n)
			for i, v := range a {
				single[i] = float32(v)
			}
			if !Cholesky(single, n, n) {
				t.Fatalf("n %d: refused in float32", n)
			}
			for i := range n {
				for j := range i + 1 {
					if math.Abs(float64(single[i*n+j])-c.l[i*n+j]) > 100*float64(n)*0x1p-24 { // the condition is below 100
						t.Fatalf("n %d: L[%d,%d] is %v in float32, %v in float64", n, i, j, single[i*n+j], c.l[i*n+j])
					}
				}
			}
		}
	})
}

func TestCholeskyRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 4))
	const n = 120
	for name, spoil := range map[string]func(a []float64){
		"negative": func(a []float64) { a[100*n+100] = -1 },
		"zero":     func(a []float64) { clear(a) },
		"NaN":      func(a []float64) { a[70*n+3] = math.NaN() },
		"Inf":      func(a []float64) { a[0] = math.Inf(1) },
		"indefinite": func(a []float64) {
			a[110*n+2] = 10
		},
	} {
		a := definite(r, n)
		spoil(a)
		if _, ok := NewChol(a, n); ok {
			t.Errorf("%s: factored", name)
		}
	}
}

func TestCholSolvesAndInverts(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 5))
	for _, n := range []int{1, 5, 60, 150} {
		a := definite(r, n)
		c, _ := NewChol(a, n)
		var peer mat.Cholesky
		peer.Factorize(mat.NewSymDense(n, a))
		var want mat.SymDense
		if err := peer.InverseTo(&want); err != nil {
			t.Fatal(err)
		}
		got, w := c.Inverse(), c.Whitener()
		const tolerance = 1e-11 // condition below 100, 150 values
		for i := range n {
			for j := range n {
				if math.Abs(got[i*n+j]-want.At(i, j)) > tolerance {
					t.Fatalf("n %d: inverse[%d,%d] = %v, gonum's %v", n, i, j, got[i*n+j], want.At(i, j))
				}
				if i > j && w[i*n+j] != 0 {
					t.Fatalf("n %d: the whitener is not upper triangular", n)
				}
			}
		}
		if math.Abs(c.LogDet()-peer.LogDet()) > 1e-10 {
			t.Errorf("n %d: log det %v, gonum's %v", n, c.LogDet(), peer.LogDet())
		}
		for _, m := range []int{1, 7} {
			b := normals[float64](r, n*m)
			x := slices.Clone(b)
			c.Solve(x, m)
			back := make([]float64, n*m)
			Gemm(false, false, n, m, n, 1, a, n, x, m, 0, back, m)
			for i, v := range back {
				if math.Abs(v-b[i]) > tolerance {
					t.Fatalf("n %d m %d: A·x differs from b by %g", n, m, v-b[i])
				}
			}
		}
		lambda, _, _ := SymEigen(a, n)
		one, most := c.Condition(), lambda[n-1]/lambda[0]
		exact := norm1(a, n) * norm1(got, n)
		if !(one <= exact*(1+1e-9) && one >= exact/9) { // two estimates, each within three
			t.Errorf("n %d: condition estimate %g, exact %g (in the 2-norm %g)", n, one, exact, most)
		}
	}
}

func norm1(a []float64, n int) (most float64) {
	for j := range n {
		s := 0.0
		for i := range n {
			s += math.Abs(a[i*n+j])
		}
		most = max(most, s)
	}
	return most
}

func TestCholUpdatesAgreeWithFactoringAnew(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 6))
	for _, n := range []int{1, 2, 30, 90} {
		const k = 3
		a, x := definite(r, n), normals[float64](r, k*n)
		c, _ := NewChol(a, n)
		before := slices.Clone(c.L())
		grown := slices.Clone(a)
		Syrk(true, n, k, 1, x, n, 1, grown, n)
		want, _ := NewChol(grown, n)
		if !c.Update(x, k) {
			t.Fatalf("n %d: update refused", n)
		}
		const tolerance = 1e-11 // condition below 1e4
		for i, v := range c.L() {
			if math.Abs(v-want.L()[i]) > tolerance {
				t.Fatalf("n %d: updated L[%d] = %v, factored anew %v", n, i, v, want.L()[i])
			}
		}
		if !c.Downdate(x, k) {
			t.Fatalf("n %d: downdate refused", n)
		}
		for i, v := range c.L() {
			if math.Abs(v-before[i]) > tolerance {
				t.Fatalf("n %d: L[%d] = %v after update and downdate, %v before", n, i, v, before[i])
			}
		}
	}
}

func TestCholDowndateRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(24, 7))
	const n = 20
	a := definite(r, n)
	c, _ := NewChol(a, n)
	before := slices.Clone(c.L())
	x := normals[float64](r, 2*n)
	for i := range n { // the first row may go, the second one is too long
		x[i] /= 1e3
		x[n+i] *= 1e3
	}
	// And one that leaves the matrix exactly singular: a column of L itself.
	column := make([]float64, n)
	for i := range n {
		column[i] = c.L()[i*n]
	}
	nan := slices.Repeat([]float64{math.NaN()}, n)
	if c.Downdate(x, 2) || c.Downdate(column, 1) || c.Downdate(nan, 1) || c.Update(nan, 1) {
		t.Error("accepted what leaves no positive definite matrix")
	}
	if !slices.Equal(c.L(), before) {
		t.Error("a refused change was half written")
	}
}

func BenchmarkCholesky(b *testing.B) {
	r := rand.New(rand.NewPCG(24, 8))
	for _, n := range []int{256, 1024} {
		a := definite(r, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				NewChol(a, n)
			}
			b.ReportMetric(float64(n*n*n)/3*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
	}
}

func BenchmarkTrsm(b *testing.B) {
	r := rand.New(rand.NewPCG(24, 9))
	const n = 1024
	c, _ := NewChol(definite(r, n), n)
	x := normals[float64](r, n*n)
	for _, left := range []bool{true, false} {
		b.Run(fmt.Sprintf("left=%v", left), func(b *testing.B) {
			for b.Loop() {
				Trsm(left, true, true, n, n, c.l, n, x, n)
			}
			b.ReportMetric(n*n*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
		})
	}
}

func BenchmarkCholUpdate(b *testing.B) {
	r := rand.New(rand.NewPCG(24, 10))
	const n = 768
	c, _ := NewChol(definite(r, n), n)
	x := normals[float64](r, n)
	for b.Loop() {
		c.Update(x, 1)
		c.Downdate(x, 1)
	}
}
