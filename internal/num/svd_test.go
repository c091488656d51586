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

// checkColumns fails unless the n columns of q (m×n) are orthonormal to limit.
func checkColumns(t *testing.T, name string, q []float64, m, n int, limit float64) {
	t.Helper()
	for i := range n {
		for j := range i + 1 {
			s := 0.0
			for r := range m {
				s += q[r*n+i] * q[r*n+j]
			}
			if i == j {
				s--
			}
			if !(math.Abs(s) <= limit) {
				t.Fatalf("%s %d×%d: columns %d and %d are off orthonormal by %.2g, at most %.2g", name, m, n, i, j, s, limit)
			}
		}
	}
}

func TestQR(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 1))
	onEveryPath(t, func(t *testing.T) {
		for _, s := range [][2]int{{1, 1}, {5, 3}, {3, 5}, {40, 40}, {130, 70}, {33, 100}, {90, 65}} {
			m, n := s[0], s[1]
			k := min(m, n)
			a := normals[float64](r, m*n)
			if n > 2 {
				for i := range m { // one column twice, one of zeros
					a[i*n+1], a[i*n+2] = a[i*n], 0
				}
			}
			q, u := QR(a, m, n)
			limit := 4 * float64(max(m, n)+8) * 0x1p-53
			checkColumns(t, "Q", q, m, k, limit)
			back := make([]float64, m*n)
			Gemm(false, false, m, n, k, 1, q, k, u, n, 0, back, n)
			for i, v := range back {
				if math.Abs(v-a[i]) > limit*math.Sqrt(float64(m))*5 { // a column's length, normal values below 5
					t.Fatalf("%v: QR differs from A by %g", s, v-a[i])
				}
			}
			for i := range k {
				if u[i*n+i] < 0 {
					t.Errorf("%v: R[%d,%d] is negative", s, i, i)
				}
				for j := range min(i, n) {
					if u[i*n+j] != 0 {
						t.Fatalf("%v: R is not upper triangular", s)
					}
				}
			}
		}
	})
}

// svdCases are matrices by name, each m×n.
func svdCases() map[string]struct {
	m, n int
	a    []float64
} {
	type one = struct {
		m, n int
		a    []float64
	}
	r := rand.New(rand.NewPCG(25, 2))
	cases := map[string]one{"one": {1, 1, []float64{-2}}, "row": {1, 4, []float64{3, 0, 4, 0}}, "column": {4, 1, []float64{0, 0, 0, -5}}}
	for _, s := range [][2]int{{7, 5}, {40, 40}, {30, 90}, {150, 60}} {
		m, n := s[0], s[1]
		if raceEnabled && m*n > 2000 {
			continue
		}
		name := func(k string) string { return fmt.Sprintf("%s %d×%d", k, m, n) }
		cases[name("normal")] = one{m, n, normals[float64](r, m*n)}
		cases[name("zero")] = one{m, n, make([]float64, m*n)}
		cases[name("ones")] = one{m, n, slices.Repeat([]float64{1}, m*n)}
		graded, low, equal, huge := normals[float64](r, m*n), make([]float64, m*n), make([]float64, m*n), normals[float64](r, m*n)
		for i := range m {
			for j := range n {
				graded[i*n+j] *= math.Pow(10, -20*float64(j)/float64(n))
				huge[i*n+j] *= 1e300
				if i == j {
					equal[i*n+j] = 3
				}
			}
		}
		Gemm(false, false, m, n, 3, 1, normals[float64](r, m*3), 3, normals[float64](r, 3*n), n, 0, low, n)
		cases[name("graded")] = one{m, n, graded}
		cases[name("rank three")] = one{m, n, low}
		cases[name("equal")] = one{m, n, equal}
		cases[name("huge")] = one{m, n, huge}
	}
	return cases
}

func TestSVD(t *testing.T) {
	cases := svdCases()
	onEveryPath(t, func(t *testing.T) {
		for name, c := range cases {
			m, n, a := c.m, c.n, c.a
			k := min(m, n)
			kept := slices.Clone(a)
			u, s, v, ok := SVD(a, m, n)
			if !ok {
				t.Fatalf("%s: did not converge", name)
			}
			if !slices.Equal(a, kept) {
				t.Errorf("%s: the matrix was changed", name)
			}
			limit := 8 * float64(max(m, n)+8) * 0x1p-53
			checkColumns(t, name+": U", u, m, k, limit)
			checkColumns(t, name+": V", v, n, k, limit)
			for i := range m {
				for j := range n {
					sum := 0.0
					for p := range k {
						sum += u[i*k+p] * (s[p] / max(s[0], 1)) * v[j*k+p]
					}
					if !(math.Abs(sum-a[i*n+j]/max(s[0], 1)) <= limit) {
						t.Fatalf("%s: USVᵀ differs from A by %g of s₀ at %d,%d", name, sum-a[i*n+j]/max(s[0], 1), i, j)
					}
				}
			}
			for p := range k {
				if p > 0 && s[p] > s[p-1] || s[p] < 0 {
					t.Errorf("%s: singular values are not in descending order", name)
				}
				column := make([]float64, n)
				for j := range column {
					column[j] = v[j*k+p]
				}
				if largest(column) < 0 {
					t.Errorf("%s: V's column %d has a negative component of largest size", name, p)
				}
			}
		}
	})
}

func TestSVDAgreesWithGonum(t *testing.T) {
	for name, c := range svdCases() {
		var peer mat.SVD
		if !peer.Factorize(mat.NewDense(c.m, c.n, slices.Clone(c.a)), mat.SVDNone) {
			t.Fatalf("%s: gonum does not converge", name)
		}
		want := peer.Values(nil)
		_, s, _, _ := SVD(c.a, c.m, c.n)
		for i, v := range s {
			if !(math.Abs(v-want[i]) <= 4*float64(c.n+8)*0x1p-53*want[0]) {
				t.Errorf("%s: s[%d] = %v, gonum's %v", name, i, v, want[i])
			}
		}
	}
}

// Singular values ten orders of magnitude apart are known to be s₀·10⁻ʲ.
func TestSVDFindsSmallSingularValues(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 3))
	const m, n = 80, 60
	left, _ := QR(normals[float64](r, m*n), m, n)
	right, _ := QR(normals[float64](r, n*n), n, n)
	a, want := make([]float64, m*n), make([]float64, n)
	for j := range n {
		want[j] = math.Pow(10, -10*float64(j)/(n-1))
		for i := range m {
			left[i*n+j] *= want[j]
		}
	}
	Gemm(false, true, m, n, n, 1, left, n, right, n, 0, a, n)
	_, s, _, _ := SVD(a, m, n)
	for j, v := range s {
		if math.Abs(v-want[j]) > 4*n*0x1p-53 {
			t.Errorf("s[%d] = %v, want %v", j, v, want[j])
		}
	}
}

func TestSVDBitsDependOnNoThread(t *testing.T) {
	if raceEnabled {
		t.Skip("slow here")
	}
	r := rand.New(rand.NewPCG(25, 4))
	const m, n = 420, 300
	a := normals[float64](r, m*n)
	for i := range m {
		for j := range n {
			a[i*n+j] *= math.Pow(10, -12*float64(j)/n)
		}
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	u, s, v, _ := SVD(a, m, n)
	q, x := QR(a, m, n)
	runtime.GOMAXPROCS(2)
	u2, s2, v2, _ := SVD(a, m, n)
	q2, x2 := QR(a, m, n)
	if !slices.Equal(u, u2) || !slices.Equal(s, s2) || !slices.Equal(v, v2) || !slices.Equal(q, q2) || !slices.Equal(x, x2) {
		t.Error("GOMAXPROCS 2 gave other bits than 1")
	}
}

func TestSVDRefusesWhatIsNotFinite(t *testing.T) {
	if _, _, _, ok := SVD([]float64{1, math.NaN()}, 2, 1); ok {
		t.Error("NaN passed")
	}
	for _, s := range [][2]int{{0, 3}, {3, 0}} {
		if u, d, v, ok := SVD(nil, s[0], s[1]); !ok || len(u)+len(d)+len(v) > 0 {
			t.Errorf("%v: an empty matrix has an empty decomposition", s)
		}
	}
}

func BenchmarkSVD(b *testing.B) {
	r := rand.New(rand.NewPCG(25, 5))
	for _, s := range [][2]int{{2000, 256}, {512, 512}} {
		a := normals[float64](r, s[0]*s[1])
		b.Run(fmt.Sprintf("%dx%d", s[0], s[1]), func(b *testing.B) {
			for b.Loop() {
				SVD(a, s[0], s[1])
			}
		})
	}
}

func BenchmarkSVDGonum(b *testing.B) {
	r := rand.New(rand.NewPCG(25, 5))
	a := mat.NewDense(512, 512, normals[float64](r, 512*512))
	for b.Loop() {
		var d mat.SVD
		d.Factorize(a, mat.SVDThin)
	}
}
