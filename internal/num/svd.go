package num

import (
	"math"
	"slices"
	"sync/atomic"
)

const (
	svdLevel  = 1e-3    // share of the largest singular value below which others are found apart
	svdSweeps = 40      // far more than any matrix has taken
	svdShare  = 1 << 11 // rotations from which a sweep takes more than one thread

	svdNothing = 0x1p-60 // share of the largest singular value below which others are rounding of rounding: none
)

// SVD returns the thin decomposition A = U·diag(s)·Vᵀ of A (m×n): with k = min(m, n), U is m×k and V n×k, both with
// orthonormal columns, and s has k values in descending order. Each column of V has a positive component of largest size,
// the first of equals; columns that belong to zeros complete the basis. It reports false when A holds
// NaN or Inf, or when the iteration does not converge.
//
// Singular values, and A less its factors' product, err by a small multiple of 2⁻⁵³·n·s₀, as with any method that starts
// by mixing columns: smaller singular values are found to that absolute accuracy, so that of those below it only their
// smallness is known; below 2⁻⁶⁰·s₀ they are given as zero. U and V are orthogonal to working precision in all columns.
//
// A is reduced to triangular R; eigenvectors of RᵀR, level by level of size, make its columns almost orthogonal, and
// one-sided Jacobi rotations make them so to the last digit (Hestenes 1958; Drmač and Veselić 2008 for the idea of a
// start from which few rotations are left). The bits do not depend on the thread count.
func SVD(a []float64, m, n int) (u, s, v []float64, ok bool) {
	if m < n {
		if m > 0 {
			checkMatrix("SVD", "A", len(a), m, n, n)
		}
		flipped := make([]float64, max(m, 0)*n)
		transposed(flipped, max(m, 1), a, n, max(m, 0), n)
		v, s, u, ok = svdTall(flipped, n, m)
	} else {
		u, s, v, ok = svdTall(slices.Clone(a[:max(m*n, 0)]), m, n)
	}
	if !ok {
		return nil, nil, nil, false
	}
	// Rows so far; signs by V.
	k := len(s)
	for j := range k {
		if largest(v[j*n:(j+1)*n]) < 0 {
			negate(v[j*n : (j+1)*n])
			negate(u[j*m : (j+1)*m])
		}
	}
	columnsU, columnsV := make([]float64, m*k), make([]float64, n*k)
	transposed(columnsU, max(k, 1), u, m, k, m)
	transposed(columnsV, max(k, 1), v, n, k, n)
	return columnsU, s, columnsV, true
}

// svdTall is SVD for m ≥ n, singular vectors in rows: n×m and n×n. It overwrites a.
func svdTall(a []float64, m, n int) (u, s, v []float64, ok bool) {
	if n <= 0 {
		return []float64{}, []float64{}, []float64{}, true
	}
	top := 0.0
	for _, x := range a {
		if !(math.Abs(x) <= math.MaxFloat64) {
			return nil, nil, nil, false
		}
		top = max(top, math.Abs(x))
	}
	exp := powerScale(a, top)
	workers := 1
	if m*n*n >= stepGrain {
		workers = hire()
		defer dismiss(workers)
	}
	f := newFactored(a, m, n, workers)
	j := &jacobi{n: n, workers: workers, w: make([]float64, n*n), v: make([]float64, n*n)}
	for i := range n { // column i of R and of V
		copy(j.w[i*n:], f.a[i*m:i*m+i+1])
		j.v[i*n+i] = 1
	}
	if !j.start() || !j.rotateAll() {
		return nil, nil, nil, false
	}

	s = make([]float64, n)
	SquaredNorms(s, j.w, n, n)
	order := ascending(s)
	slices.Reverse(order)
	sortedRows(j.w, n, order)
	sortedRows(j.v, n, order)
	rank := 0
	for i := range n {
		row := j.w[i*n : (i+1)*n]
		square := active.rows64.dot1(row, row)
		if square <= j.nothing { // what rounding left of parallel columns, here and in all shorter rows
			break
		}
		length := math.Sqrt(square)
		s[i], rank = math.Ldexp(length, exp), i+1
		for c := range row {
			row[c] /= length
		}
	}
	clear(s[rank:])
	complete(j.w, rank, n, n, workers)
	u = make([]float64, n*m)
	for i := range n {
		copy(u[i*m:i*m+n], j.w[i*n:])
	}
	f.apply(true, u, m, n)
	return u, s, j.v, true
}

// powerScale divides x by the power of two that brings its greatest size, top, near one, and returns the exponent: then
// squares neither overflow nor, where it counts, vanish.
func powerScale(x []float64, top float64) int {
	_, exp := math.Frexp(top)
	half, rest := math.Ldexp(1, -exp/2), math.Ldexp(1, -exp+exp/2)
	for i, v := range x {
		x[i] = v * half * rest
	}
	return exp
}

// jacobi makes the rows of w orthogonal by turning rows of w and v alike.
type jacobi struct {
	n, workers int
	w, v       []float64 // n×n
	nothing    float64   // squared length of a row that counts as zero
}

// start turns rows by the eigenvectors of their Gram matrix. Those of small size are known only roughly from it, so that
// the turning is repeated among them, level by level.
func (j *jacobi) start() bool {
	n := j.n
	gram, turned := make([]float64, n*n), make([]float64, n*n)
	for from := 0; from < n; {
		k := n - from
		w, v := j.w[from*n:], j.v[from*n:]
		gemmPart(&active.f64, j.workers, upper, false, true, k, k, n, 1, w, n, w, n, false, gram, k)
		values, vectors, ok := symEigen(gram[:k*k], k, j.workers)
		if !ok {
			return false
		}
		if from == 0 {
			j.nothing = svdNothing * svdNothing * values[k-1]
		}
		if !(values[k-1] > j.nothing) {
			clear(w)
			break
		}
		for i := range k { // in descending order
			slices.Reverse(vectors[i*k : (i+1)*k])
		}
		for _, rows := range [][]float64{w, v} {
			gemmRun(&active.f64, j.workers, true, false, k, n, k, 1, vectors, k, rows, n, false, turned, n)
			copy(rows, turned[:k*n])
		}
		done := 1
		for done < k && values[k-1-done] > svdLevel*svdLevel*values[k-1] {
			done++
		}
		from += done
		// What later rows have of these is rounding of the size of the largest one: it may go.
		if rest := n - from; rest > 0 {
			j.clean(from-done, from, turned)
		}
	}
	return true
}

// clean takes from rows from on what they have of the directions of rows first to from−1.
func (j *jacobi) clean(first, from int, room []float64) {
	n, k := j.n, from-first
	unit := make([]float64, k*n)
	for i := range k {
		row := j.w[(first+i)*n : (first+i+1)*n]
		length := math.Sqrt(active.rows64.dot1(row, row))
		for c, v := range row {
			unit[i*n+c] = v / length
		}
	}
	rest := j.w[from*n:]
	dots := room[:(n-from)*k]
	gemmRun(&active.f64, j.workers, false, true, n-from, k, n, 1, rest, n, unit, n, false, dots, k)
	gemmRun(&active.f64, j.workers, false, false, n-from, n, k, -1, dots, k, unit, n, true, rest, n)
}

// rotateAll sweeps until all rows are orthogonal to working precision. A product of matrices finds the pairs that are
// not; a sweep goes through them in rounds of pairs that share no row. It reports false when svdSweeps are not enough.
func (j *jacobi) rotateAll() bool {
	n := j.n
	tolerance := 4 * math.Sqrt(float64(n)) * unit
	gram := make([]float64, n*n)
	players := n + n%2 // of a tournament in which everyone meets everyone
	rounds := make([][][2]int, max(players-1, 1))
	for range svdSweeps {
		gemmPart(&active.f64, j.workers, lower, false, true, n, n, n, 1, j.w, n, j.w, n, false, gram, n)
		pairs := 0
		for r := range rounds {
			rounds[r] = rounds[r][:0]
		}
		for p := range n {
			for q := range p {
				if a, b := gram[p*n+p], gram[q*n+q]; min(a, b) <= j.nothing || !(math.Abs(gram[p*n+q]) > tolerance*math.Sqrt(a)*math.Sqrt(b)) {
					continue
				}
				round := (p + q) % (players - 1)
				if p == players-1 { // this one stays, the others move around
					round = 2 * q % (players - 1)
				}
				rounds[round] = append(rounds[round], [2]int{q, p})
				pairs++
			}
		}
		if pairs == 0 {
			return true
		}
		workers := j.workers
		if pairs < svdShare {
			workers = 1
		}
		var turns atomic.Int64
		crew(workers, len(rounds), func(round int) int { return min(len(rounds[round]), 1) * workers }, func(round, _, part int) {
			list := rounds[round]
			for _, pair := range list[part*len(list)/workers : (part+1)*len(list)/workers] {
				if j.turn(pair[0], pair[1], tolerance/2) {
					turns.Add(1)
				}
			}
		})
		if turns.Load() == 0 {
			return true
		}
	}
	return false
}

// turn makes rows p and q orthogonal; it reports whether they were not.
func (j *jacobi) turn(p, q int, tolerance float64) bool {
	n := j.n
	x, y := j.w[p*n:(p+1)*n], j.w[q*n:(q+1)*n]
	rows := &active.rows64
	a, b, c := rows.dot1(x, x), rows.dot1(y, y), rows.dot1(x, y)
	if !(math.Abs(c) > tolerance*math.Sqrt(a)*math.Sqrt(b)) || min(a, b) <= j.nothing {
		return false
	}
	zeta := (b - a) / (2 * c)
	t := 1 / (math.Abs(zeta) + math.Hypot(1, zeta))
	t = math.Copysign(t, zeta)
	cos := 1 / math.Hypot(1, t)
	rotate(x, y, cos, -cos*t)
	rotate(j.v[p*n:(p+1)*n], j.v[q*n:(q+1)*n], cos, -cos*t)
	return true
}
