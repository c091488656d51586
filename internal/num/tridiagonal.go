package num

import "math"

const (
	reducePanel = 32      // columns that are reduced before the rest is updated
	symvChunk   = 1 << 16 // values of a triangle that are a task
)

// tridiagonal is the reduction QᵀAQ = T of a symmetric matrix, whose upper triangle is read.
type tridiagonal struct {
	n       int
	a       []float64 // n×n; row j becomes reflection j, right of the diagonal, its leading one left out
	d, e    []float64 // T's diagonal and, n−1 values, what lies beside it
	tau     []float64 // of the reflections I − tau·v·vᵀ, n−1 of them
	workers int

	rows *rowPath[float64]
	part []float64 // partial sums of symv
}

func newTridiagonal(a []float64, n, workers int) *tridiagonal {
	return &tridiagonal{
		n: n, a: a, workers: workers, rows: &active.rows64,
		d: make([]float64, n), e: make([]float64, max(n-1, 0)), tau: make([]float64, max(n-1, 0)),
		part: make([]float64, symvChunks(n)*n),
	}
}

// reduce finds T and the reflections. A panel's columns are reduced one by one, each with one product of the matrix and
// a vector; the rest is updated by one product of matrices, A −= VᵀW + WᵀV.
func (t *tridiagonal) reduce() {
	n, a := t.n, t.a
	both := make([]float64, 4*reducePanel*n) // V over W, and W over V
	temp := make([]float64, 2*reducePanel)
	for from := 0; from < n; from += reducePanel {
		k := min(reducePanel, n-from)
		v, w := both[:k*n], both[k*n:2*k*n]
		for i := range k {
			j := from + i
			row := a[j*n : (j+1)*n]
			for p := range i {
				temp[p], temp[k+p] = -v[p*n+j], -w[p*n+j]
			}
			t.rows.adds(i, n-j, w[j:], n, temp, row[j:])
			t.rows.adds(i, n-j, v[j:], n, temp[k:], row[j:])
			t.d[j] = row[j]
			if j+1 == n {
				break
			}
			x := row[j+1:]
			t.e[j], t.tau[j] = reflection(x)
			vi, wi := v[i*n:(i+1)*n], w[i*n:(i+1)*n]
			clear(vi[:j+1])
			copy(vi[j+1:], x)
			vi[j+1] = 1
			// w = tau·(A − VᵀW − WᵀV)·v, then w −= (tau/2)(w·v)·v
			vj, wj, m := vi[j+1:], wi[j+1:], n-j-1
			clear(wi[:j+1])
			if t.tau[j] == 0 {
				clear(wj)
				continue
			}
			t.symv(j+1, vj, wj)
			t.rows.dots(i, m, w[j+1:], n, vj, temp)
			t.rows.dots(i, m, v[j+1:], n, vj, temp[k:])
			for p := range 2 * k {
				temp[p] = -temp[p]
			}
			t.rows.adds(i, m, v[j+1:], n, temp, wj)
			t.rows.adds(i, m, w[j+1:], n, temp[k:], wj)
			for p := range wj {
				wj[p] *= t.tau[j]
			}
			half := -t.tau[j] / 2 * t.rows.dot1(wj, vj)
			addScaled(half, vj, wj)
		}
		next := from + k
		if next >= n {
			break
		}
		swapped := both[2*k*n : 4*k*n]
		copy(swapped, w)
		copy(swapped[k*n:], v)
		m := n - next
		gemmPart(&active.f64, t.workers, upper, true, false, m, m, 2*k, -1, both[next:], n, swapped[next:], n, true, a[next*n+next:], n)
	}
}

// addScaled: y += c·x.
func addScaled(c float64, x, y []float64) { active.rows64.add(len(x), &x[0], 0, &c, &y[0]) }

func symvChunks(m int) int { return max(1, m*m/2/symvChunk) }

// symv writes the product of the matrix's part from row and column at on with x to y. It reads the upper triangle once;
// chunks of rows, the same for any thread count, have sums of their own.
func (t *tridiagonal) symv(at int, x, y []float64) {
	m, n := t.n-at, t.n
	chunks := symvChunks(m)
	// Rows up to r hold a share 1 − (1 − r/m)² of the triangle.
	bound := func(c int) int {
		if c == chunks {
			return m
		}
		return int(float64(m)*(1-math.Sqrt(1-float64(c)/float64(chunks)))) &^ 3
	}
	crew(min(t.workers, chunks), 1, func(int) int { return chunks }, func(_, _, c int) {
		lo, hi := bound(c), bound(c+1)
		sum := y
		if c > 0 {
			sum = t.part[c*n : c*n+m]
		}
		clear(sum[lo:])
		if c == 0 {
			clear(y)
		}
		t.symvRows(at, lo, hi, x, sum)
	})
	for c := 1; c < chunks; c++ {
		lo := bound(c)
		addScaled(1, t.part[c*n+lo:c*n+m], y[lo:])
	}
}

// symvRows adds what rows lo to hi−1 of the triangle bring to the product.
func (t *tridiagonal) symvRows(at, lo, hi int, x, y []float64) {
	n, m := t.n, t.n-at
	var dots [4]float64
	for r := lo; r < hi; r += 4 {
		h := min(4, hi-r)
		for i := r; i < r+h; i++ {
			row := t.a[(at+i)*n+at : (at+i)*n+at+r+h]
			y[i] += float64(row[i] * x[i])
			for j := i + 1; j < r+h; j++ {
				y[i] += float64(row[j] * x[j])
				y[j] += float64(row[j] * x[i])
			}
		}
		if rest := m - r - h; rest > 0 {
			first := &t.a[(at+r)*n+at+r+h]
			if h == 4 {
				t.rows.dotAdd4(rest, first, n, &x[r], &x[r+h], &y[r+h], &dots[0])
			} else {
				for i := range h {
					row := t.a[(at+r+i)*n+at+r+h:][:rest]
					dots[i] = t.rows.dot1(row, x[r+h:])
					addScaled(x[r+i], row, y[r+h:])
				}
			}
			for i := range h {
				y[r+i] += dots[i]
			}
		}
	}
}

// reflections are those of QᵀAQ = T.
func (t *tridiagonal) reflections() *reflections {
	return &reflections{count: t.n - 1, width: t.n, shift: 1, a: t.a, lda: t.n, tau: t.tau, workers: t.workers}
}
