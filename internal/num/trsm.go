package num

const (
	trsmLeaf  = 32 // unknowns that are eliminated one by one
	trsmStrip = 64 // columns (or rows) of right-hand sides that are at least a task
)

// Trsm overwrites B (m×n) with the solution X of op(A)·X = B when left, where A is m×m, or else of X·op(A) = B, where A
// is n×n. A is lower triangular, or upper; op(A) is its transpose when trans; nothing beyond the triangle is read. The
// bits of one solution depend neither on the other right-hand sides nor on the thread count, except that a single column
// (left, n = 1) is solved in an order of its own. A zero on the diagonal gives Inf or NaN.
func Trsm[T Float](left, lowerA, trans bool, m, n int, a []T, lda int, b []T, ldb int) {
	if m <= 0 || n <= 0 {
		return
	}
	size, sides := m, n
	if !left {
		size, sides = n, m
	}
	checkMatrix("Trsm", "A", len(a), size, size, lda)
	checkMatrix("Trsm", "B", len(b), m, n, ldb)
	s := &trsm[T]{gemmOf[T](), rowPathOf[T](), lowerA, trans, a, lda, ldb}
	if left && n == 1 {
		s.column(m, b)
		return
	}
	workers := 1
	if size*size/2*sides >= stepGrain {
		workers = hire()
		defer dismiss(workers)
	}
	s.run(workers, left, m, n, b)
}

// trsm is one call of Trsm.
type trsm[T Float] struct {
	*gemmPath[T]
	rows           *rowPath[T]
	lowerA, transA bool
	a              []T
	lda, ldb       int
}

// run gives every worker some of the right-hand sides, which do not know of each other.
func (s *trsm[T]) run(workers int, left bool, m, n int, b []T) {
	sides := n
	if !left {
		sides = m
	}
	strip := sides
	if workers > 1 {
		strip = max(trsmStrip, (sides/(4*workers)+15)&^15)
	}
	crew(workers, 1, func(int) int { return (sides + strip - 1) / strip }, func(_, _, i int) {
		lo, hi := i*strip, min((i+1)*strip, sides)
		if left {
			s.left(0, m, hi-lo, b[lo:])
		} else {
			s.right(0, n, hi-lo, b[lo*s.ldb:])
		}
	})
}

// forward tells whether unknowns are found first to last when A stands on the left.
func (s *trsm[T]) forward() bool { return s.lowerA != s.transA }

// block returns op(A)[i:, j:] as it is stored.
func (s *trsm[T]) block(i, j int) []T {
	if s.transA {
		i, j = j, i
	}
	return s.a[i*s.lda+j:]
}

// left solves for unknowns lo to hi−1 of n columns, rows of b.
func (s *trsm[T]) left(lo, hi, n int, b []T) {
	if hi-lo <= trsmLeaf {
		s.eliminate(lo, hi, n, b, s.ldb)
		return
	}
	mid := lo + ((hi-lo)/2+trsmLeaf-1)/trsmLeaf*trsmLeaf
	first, second := [2]int{lo, mid}, [2]int{mid, hi}
	if !s.forward() {
		first, second = second, first
	}
	s.left(first[0], first[1], n, b)
	gemmRun(s.gemmPath, 1, s.transA, false, second[1]-second[0], n, first[1]-first[0], -1,
		s.block(second[0], first[0]), s.lda, b[first[0]*s.ldb:], s.ldb, true, b[second[0]*s.ldb:], s.ldb)
	s.left(second[0], second[1], n, b)
}

// right solves for unknowns lo to hi−1 of m rows, columns of b.
func (s *trsm[T]) right(lo, hi, m int, b []T) {
	if hi-lo <= trsmLeaf {
		// Turned over, the rows are columns, which a vector holds many of.
		flipped := trsm[T]{s.gemmPath, s.rows, s.lowerA, !s.transA, s.a, s.lda, s.ldb}
		space, columns := scratch[T](hi * trsmStrip)
		defer space.release()
		for i := 0; i < m; i += trsmStrip {
			h := min(trsmStrip, m-i)
			part := b[i*s.ldb+lo:]
			transposed(columns[lo*trsmStrip:], trsmStrip, part, s.ldb, h, hi-lo)
			flipped.eliminate(lo, hi, h, columns, trsmStrip)
			transposed(part, s.ldb, columns[lo*trsmStrip:], trsmStrip, hi-lo, h)
		}
		return
	}
	mid := lo + ((hi-lo)/2+trsmLeaf-1)/trsmLeaf*trsmLeaf
	first, second := [2]int{lo, mid}, [2]int{mid, hi}
	if s.forward() {
		first, second = second, first
	}
	s.right(first[0], first[1], m, b)
	gemmRun(s.gemmPath, 1, false, s.transA, m, second[1]-second[0], first[1]-first[0], -1,
		b[first[0]:], s.ldb, s.block(first[0], second[0]), s.lda, true, b[second[0]:], s.ldb)
	s.right(second[0], second[1], m, b)
}

// eliminate is left for few unknowns, one by one, a vector of right-hand sides at a time.
func (s *trsm[T]) eliminate(lo, hi, n int, b []T, ldb int) {
	space, held := scratch[T](n)
	defer space.release()
	var coef [trsmLeaf]T
	for step := range hi - lo {
		i, from, to := lo+step, lo, lo+step
		if !s.forward() {
			i = hi - 1 - step
			from, to = i+1, hi
		}
		row := b[i*ldb : i*ldb+n]
		for p := from; p < to; p++ {
			coef[p-from] = -s.block(i, p)[0]
		}
		if from < to {
			s.rows.adds(to-from, n, b[from*ldb:], ldb, coef[:], row)
		}
		inverse := 1 / s.block(i, i)[0]
		copy(held, row)
		clear(row)
		s.rows.add(n, &held[0], 0, &inverse, &row[0])
	}
}

// column solves for one right-hand side, whose values lie ldb apart: it reads A by rows, once.
func (s *trsm[T]) column(m int, b []T) {
	space, x := scratch[T](m)
	defer space.release()
	for i := range x {
		x[i] = b[i*s.ldb]
	}
	for step := range m {
		i := step
		if !s.forward() {
			i = m - 1 - step
		}
		row, known := s.a[i*s.lda:i*s.lda+m], x[:i]
		diagonal := row[i]
		if s.lowerA {
			row = row[:i]
		} else {
			row, known = row[i+1:], x[i+1:]
		}
		if s.transA { // row i of A is column i of op(A)
			x[i] /= diagonal
			if c := -x[i]; len(row) > 0 {
				s.rows.add(len(row), &row[0], 0, &c, &known[0])
			}
			continue
		}
		x[i] = (x[i] - s.rows.dot1(row, known)) / diagonal
	}
	for i, v := range x {
		b[i*s.ldb] = v
	}
}
