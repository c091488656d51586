package num

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// symmetric fills an n×n matrix from its upper triangle.
func symmetric(n int, f func(i, j int) float64) []float64 {
	a := make([]float64, n*n)
	for i := range n {
		for j := i; j < n; j++ {
			a[i*n+j] = f(i, j)
			a[j*n+i] = a[i*n+j]
		}
	}
	return a
}

// withSpectrum returns Q·diag(values)·Qᵀ for a random Q.
func withSpectrum(r *rand.Rand, values []float64) []float64 {
	n := len(values)
	var qr mat.QR
	qr.Factorize(mat.NewDense(n, n, normals[float64](r, n*n)))
	var q mat.Dense
	qr.QTo(&q)
	left, out := slices.Clone(q.RawMatrix().Data), make([]float64, n*n)
	for i := range left {
		left[i] *= values[i%n]
	}
	Gemm(false, true, n, n, n, 1, left, n, q.RawMatrix().Data, n, 0, out, n)
	return symmetric(n, func(i, j int) float64 { return out[i*n+j] })
}

// eigenCases are matrices that eigenvalue routines have failed on.
func eigenCases() map[string][]float64 {
	r := rand.New(rand.NewPCG(23, 1))
	cases := map[string][]float64{"one": {-3}, "two": {1, 2, 2, 1}, "two equal": {2, 0, 0, 2}}
	sizes := []int{3, 25, 64}
	if !raceEnabled {
		sizes = append(sizes, 24, 33, 130, 370) // the last with symv in several chunks
	}
	for _, n := range sizes {
		name := func(s string) string { return fmt.Sprintf("%s %d", s, n) }
		cases[name("normal")] = symmetric(n, func(i, j int) float64 { return r.NormFloat64() })
		cases[name("zero")] = make([]float64, n*n)
		cases[name("identity")] = symmetric(n, func(i, j int) float64 {
			if i == j {
				return 1
			}
			return 0
		})
		cases[name("diagonal")] = symmetric(n, func(i, j int) float64 {
			if i == j {
				return float64(i*7%11) - 4
			}
			return 0
		})
		cases[name("ones")] = symmetric(n, func(i, j int) float64 { return 1 })
		cases[name("wilkinson")] = symmetric(n, func(i, j int) float64 {
			switch j - i {
			case 0:
				return math.Abs(float64(i) - float64(n-1)/2)
			case 1:
				return 1
			}
			return 0
		})
		cases[name("glued wilkinson")] = symmetric(n, func(i, j int) float64 {
			switch {
			case i == j:
				return math.Abs(float64(i%21) - 10)
			case j == i+1 && j%21 == 0:
				return 1e-8
			case j == i+1:
				return 1
			}
			return 0
		})
		cases[name("laplace")] = symmetric(n, func(i, j int) float64 {
			switch j - i {
			case 0:
				return 2
			case 1:
				return -1
			}
			return 0
		})
		cases[name("graded")] = symmetric(n, func(i, j int) float64 { return r.NormFloat64() * math.Pow(10, -float64(i+j)*8/float64(n)) })
		cases[name("tiny")] = symmetric(n, func(i, j int) float64 { return r.NormFloat64() * 1e-300 })
		cases[name("huge")] = symmetric(n, func(i, j int) float64 { return r.NormFloat64() * 1e300 })
		clusters, low := make([]float64, n), make([]float64, n)
		for i := range clusters {
			clusters[i] = float64(i%3) + 1e-13*float64(i)
			if i < 4 {
				low[i] = float64(i + 1)
			}
		}
		cases[name("clusters")] = withSpectrum(r, clusters)
		cases[name("rank four")] = withSpectrum(r, low)
	}
	return cases
}

// checkEigen measures residual and orthogonality in units of n·2⁻⁵³ and fails above a limit. LAPACK's own tests take 30
// to 50 for theirs, which leave out the n.
func checkEigen(t *testing.T, a []float64, n int, values, vectors []float64) {
	t.Helper()
	norm := 0.0
	for _, v := range a {
		norm = math.Max(norm, math.Abs(v))
	}
	norm = max(norm, math.SmallestNonzeroFloat64) // ‖A‖ is at least that and at most n times it
	scaled, lambda := slices.Clone(a), slices.Clone(vectors)
	for i := range scaled {
		scaled[i] /= norm
	}
	residual, gram := make([]float64, n*n), make([]float64, n*n)
	top := 1.0
	for j, v := range values {
		top = max(top, math.Abs(v/norm))
		for i := range n {
			lambda[i*n+j] *= v / norm
		}
	}
	Gemm(false, false, n, n, n, 1, scaled, n, vectors, n, 0, residual, n)
	Gemm(true, false, n, n, n, 1, vectors, n, vectors, n, 0, gram, n)
	worst, off := 0.0, 0.0
	for i := range n {
		for j := range n {
			worst = max(worst, math.Abs(residual[i*n+j]-lambda[i*n+j]))
			g := gram[i*n+j]
			if i == j {
				g--
			}
			off = max(off, math.Abs(g))
			if math.IsNaN(g) || math.IsNaN(residual[i*n+j]) {
				t.Fatal("NaN in the result")
			}
		}
	}
	limit := 4 * (float64(n) + 8) * 0x1p-53
	if worst > limit*top || off > limit {
		t.Errorf("residual %.2g·n·u·‖A‖, orthogonality %.2g·n·u: at most 4", worst/top/float64(n)/0x1p-53, off/float64(n)/0x1p-53)
	}
	if !slices.IsSorted(values) {
		t.Error("eigenvalues are not in ascending order")
	}
	for j := range n {
		large := 0
		for i := range n {
			if math.Abs(vectors[i*n+j]) > math.Abs(vectors[large*n+j]) {
				large = i
			}
		}
		if vectors[large*n+j] < 0 {
			t.Fatalf("vector %d: the component of largest size is negative", j)
		}
	}
}

func TestSymEigen(t *testing.T) {
	cases := eigenCases()
	onEveryPath(t, func(t *testing.T) {
		for name, a := range cases {
			t.Run(name, func(t *testing.T) {
				n := int(math.Sqrt(float64(len(a))))
				if n > 130 && Path() == "portable" {
					t.Skip("slow, and no other code than in small sizes")
				}
				kept := slices.Clone(a)
				values, vectors, ok := SymEigen(a, n)
				if !ok {
					t.Fatal("did not converge")
				}
				if !slices.Equal(a, kept) {
					t.Error("the matrix was changed")
				}
				checkEigen(t, a, n, values, vectors)
			})
		}
	})
}

func TestSymEigenAgreesWithGonum(t *testing.T) {
	for name, a := range eigenCases() {
		n := int(math.Sqrt(float64(len(a))))
		if n > 130 || strings.HasPrefix(name, "tiny") || strings.HasPrefix(name, "huge") {
			continue // gonum 0.17 panics when it scales
		}
		var peer mat.EigenSym
		if !peer.Factorize(mat.NewSymDense(n, a), false) {
			t.Fatalf("%s: gonum does not converge", name)
		}
		values, _, _ := SymEigen(a, n)
		want := peer.Values(nil)
		top := max(math.Abs(want[0]), math.Abs(want[n-1]))
		for i, v := range values {
			if math.Abs(v-want[i]) > 2*float64(n+8)*0x1p-53*top { // both err
				t.Errorf("%s: eigenvalue %d is %v, gonum's %v", name, i, v, want[i])
			}
		}
	}
}

// The eigenvalues of the second difference are known in closed form.
func TestSymEigenOfSecondDifference(t *testing.T) {
	const n = 200
	values, _, _ := SymEigen(eigenLaplace(n), n)
	for k, v := range values {
		s := math.Sin(float64(k+1) * math.Pi / (2 * (n + 1)))
		if math.Abs(v-4*s*s) > 4*n*0x1p-53 {
			t.Errorf("eigenvalue %d is %v, want %v", k, v, 4*s*s)
		}
	}
}

func eigenLaplace(n int) []float64 {
	return symmetric(n, func(i, j int) float64 { return []float64{2, -1}[min(j-i, 1)] * float64(1-max(0, min(j-i-1, 1))) })
}

func TestSymEigenBitsDependOnNoThread(t *testing.T) {
	const n = 420
	if raceEnabled {
		t.Skip("slow here; smaller sizes run under the race detector elsewhere")
	}
	a := symmetric(n, func(i, j int) float64 { return math.Sin(float64(3*i+7*j*j)) + 1/float64(1+j-i) })
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	values, vectors, _ := SymEigen(a, n)
	for _, procs := range []int{2, 3} {
		runtime.GOMAXPROCS(procs)
		v, q, _ := SymEigen(a, n)
		if !slices.Equal(v, values) || !slices.Equal(q, vectors) {
			t.Errorf("GOMAXPROCS %d gave other bits than 1", procs)
		}
	}
}

func TestSymEigenRefusesWhatIsNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		if _, _, ok := SymEigen([]float64{1, v, v, 1}, 2); ok {
			t.Errorf("%v passed", v)
		}
	}
	if values, vectors, ok := SymEigen(nil, 0); !ok || len(values)+len(vectors) > 0 {
		t.Error("an empty matrix has an empty decomposition")
	}
}

func BenchmarkSymEigen(b *testing.B) {
	r := rand.New(rand.NewPCG(23, 9))
	for _, n := range []int{128, 512, 768, 1024} {
		a := symmetric(n, func(i, j int) float64 { return r.NormFloat64() })
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				SymEigen(a, n)
			}
		})
	}
}

func BenchmarkSymEigenGonum(b *testing.B) {
	r := rand.New(rand.NewPCG(23, 9))
	for _, n := range []int{128, 512, 768} {
		a := mat.NewSymDense(n, symmetric(n, func(i, j int) float64 { return r.NormFloat64() }))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				var e mat.EigenSym
				e.Factorize(a, true)
			}
		})
	}
}
