package num

import (
	"math"
	"sync/atomic"
)

const (
	conquerLeaf  = 24      // size up to which a tridiagonal matrix is not divided
	conquerAlone = 1 << 17 // squared size from which a merge takes more than one thread
	unit         = 0x1p-53
)

// conquest finds the eigenvalues and eigenvectors of a tridiagonal matrix by divide and conquer: two halves, less what
// joins them, are solved; the whole is their sum with one rank-one matrix, whose eigenvalues are the roots of a secular
// equation. Source: Cuppen 1981; Gu and Eisenstat 1995 for vectors that are orthogonal to the last digit.
type conquest struct {
	n, workers int
	d, e       []float64 // d becomes the eigenvalues, in no order; e is kept
	q          []float64 // n×n, rows are eigenvectors
	kept       []float64 // n×n of room for the rows of q that are multiplied
	roots      []float64 // n×n of room for the eigenvectors of rank-one changes
}

// span is a part of the matrix, rows lo to hi−1, cut at mid.
type span struct{ lo, mid, hi int }

// run reports whether all eigenvalues converged.
func (c *conquest) run() bool {
	var leaves []span
	var levels [][]span
	for parts := []span{{0, 0, c.n}}; len(parts) > 0; {
		var level, next []span
		for _, p := range parts {
			if p.hi-p.lo <= conquerLeaf {
				leaves = append(leaves, p)
				continue
			}
			p.mid = (p.lo + p.hi) / 2
			joint := math.Abs(c.e[p.mid-1])
			c.d[p.mid-1] -= joint
			c.d[p.mid] -= joint
			level = append(level, p)
			next = append(next, span{lo: p.lo, hi: p.mid}, span{lo: p.mid, hi: p.hi})
		}
		levels, parts = append(levels, level), next
	}
	var failed atomic.Bool
	crew(c.workers, 1, func(int) int { return len(leaves) }, func(_, _, i int) {
		p := leaves[i]
		for r := p.lo; r < p.hi; r++ {
			c.q[r*c.n+r] = 1
		}
		if !implicitQL(c.d[p.lo:p.hi], c.e[p.lo:max(p.hi-1, p.lo)], c.q[p.lo*c.n+p.lo:], c.n) {
			failed.Store(true)
		}
	})
	if failed.Load() {
		return false
	}
	for l := len(levels) - 1; l >= 0; l-- {
		level := levels[l]
		if len(level) > 0 && (level[0].hi-level[0].lo)*(level[0].hi-level[0].lo) >= conquerAlone || len(level) == 1 {
			for _, p := range level {
				c.merge(p, c.workers)
			}
			continue
		}
		crew(c.workers, 1, func(int) int { return len(level) }, func(_, _, i int) { c.merge(level[i], 1) })
	}
	return true
}

// merge joins the two halves of p.
func (c *conquest) merge(p span, workers int) {
	n, m, n1 := c.n, p.hi-p.lo, p.mid-p.lo
	d, q := c.d[p.lo:p.hi], c.q[p.lo*n+p.lo:]
	joint := c.e[p.mid-1]
	// The matrix is diag(d) + rho·z·zᵀ in the halves' eigenvectors; z has length one.
	rho, z := 2*math.Abs(joint), make([]float64, m)
	for i := range m {
		if i < n1 {
			z[i] = q[i*n+n1-1] * math.Sqrt2 / 2
		} else {
			z[i] = math.Copysign(q[i*n+n1], q[i*n+n1]*joint) * math.Sqrt2 / 2
		}
	}
	s := deflate(d, z, rho, q, n, n1)
	k := len(s.d)

	// Rows of the upper half, of both and of the lower half lie together; what is zero in them takes no part.
	order, c1, c2, c3 := s.grouped()
	top := c.kept[p.lo*n:]
	bottom := top[(c1+c2)*n1:]
	rest := bottom[(c2+c3)*(m-n1):]
	for i, g := range order {
		row := q[s.row[g]*n:]
		if i < c1+c2 {
			copy(top[i*n1:(i+1)*n1], row)
		}
		if i >= c1 {
			copy(bottom[(i-c1)*(m-n1):(i-c1+1)*(m-n1)], row[n1:m])
		}
	}
	values := make([]float64, 0, m)
	for i, r := range s.deflated {
		copy(rest[i*m:(i+1)*m], q[r*n:r*n+m])
		values = append(values, d[r])
	}
	if k > 0 {
		vectors := c.roots[p.lo*n:][:k*k]
		copy(d, s.solve(rho, vectors, order, workers))
		multiply := func(cols, inner int, a, b []float64, dst []float64) {
			if inner > 0 {
				gemmRun(&active.f64, workers, false, false, k, cols, inner, 1, a, k, b, cols, false, dst, n)
				return
			}
			scaleMatrix(0, dst, k, cols, n)
		}
		multiply(n1, c1+c2, vectors, top, q)
		multiply(m-n1, c2+c3, vectors[min(c1, k*k-1):], bottom, q[n1:])
	}
	copy(d[k:], values)
	for i := range s.deflated {
		copy(q[(k+i)*n:(k+i)*n+m], rest[i*m:(i+1)*m])
	}
}

// Which half of the matrix a row of eigenvectors lives in.
const (
	inUpper = iota
	inBoth
	inLower
)

// secular is the rank-one change that is left after deflation: diag(d) + rho·z·zᵀ, d ascending, no z zero.
type secular struct {
	d, z     []float64
	row      []int // of q, for each d
	home     []int // for each d
	deflated []int // rows of q that are eigenvectors already
}

// deflate finds the eigenvectors of the halves that stay: those that z hardly touches and, after a rotation that makes
// it so, one of each two whose values hardly differ. It rotates rows of q and changes d with them.
func deflate(d, z []float64, rho float64, q []float64, ldq, n1 int) *secular {
	s, m := &secular{}, len(d)
	most := 0.0
	for i := range d {
		most = max(most, math.Abs(d[i]), math.Abs(z[i]))
	}
	tolerance := 8 * unit * most
	home := make([]int, m)
	for i := n1; i < m; i++ {
		home[i] = inLower
	}
	last := -1 // candidate that a close neighbour may still send away
	push := func() {
		if last >= 0 {
			s.d, s.z, s.row, s.home = append(s.d, d[last]), append(s.z, z[last]), append(s.row, last), append(s.home, home[last])
		}
	}
	for _, i := range ascending(d) {
		if rho*math.Abs(z[i]) <= tolerance {
			s.deflated = append(s.deflated, i)
			continue
		}
		if last >= 0 {
			length := math.Hypot(z[last], z[i])
			cos, sin, gap := z[i]/length, -z[last]/length, d[i]-d[last]
			if math.Abs(gap*cos*sin) <= tolerance {
				z[i], z[last] = length, 0
				if home[last] != home[i] {
					home[i] = inBoth
				}
				x, y := q[last*ldq:last*ldq+m], q[i*ldq:i*ldq+m]
				rotate(x, y, cos, sin)
				d[last], d[i] = d[last]*cos*cos+d[i]*sin*sin, d[last]*sin*sin+d[i]*cos*cos
				s.deflated = append(s.deflated, last)
				last = i
				continue
			}
		}
		push()
		last = i
	}
	push()
	return s
}

// rotate turns x and y: x becomes cos·x + sin·y, y becomes cos·y − sin·x.
func rotate(x, y []float64, cos, sin float64) {
	y = y[:len(x)]
	for i, v := range x {
		w := y[i]
		x[i], y[i] = float64(cos*v)+float64(sin*w), float64(cos*w)-float64(sin*v)
	}
}

// grouped returns the order in which rows of the upper half come first, those of both next, and how many there are.
func (s *secular) grouped() (order []int, upper, both, lower int) {
	var count [3]int
	for home := inUpper; home <= inLower; home++ {
		for i, h := range s.home {
			if h == home {
				order = append(order, i)
				count[h]++
			}
		}
	}
	return order, count[inUpper], count[inBoth], count[inLower]
}

// implicitQL finds the eigenvalues of a small tridiagonal matrix by QL steps with implicit shifts, and multiplies the
// rows of q (len(d)×len(d)) to its eigenvectors. It changes no e. It reports false when 50 steps a value are not enough.
func implicitQL(d, e, q []float64, ldq int) bool {
	n := len(d)
	off := append(append(make([]float64, 0, n), e...), 0)
	for l := range n {
		for steps := 0; ; steps++ {
			m := l
			for m+1 < n && math.Abs(off[m]) > unit*(math.Abs(d[m])+math.Abs(d[m+1])) && math.Abs(off[m]) > 0x1p-1000 {
				m++
			}
			if m == l {
				break
			}
			if steps == 50*n {
				return false
			}
			g := (d[l+1] - d[l]) / (2 * off[l])
			r := math.Hypot(g, 1)
			g = d[m] - d[l] + off[l]/(g+math.Copysign(r, g))
			s, c, p := 1.0, 1.0, 0.0
			i := m - 1
			for ; i >= l; i-- {
				f, b := s*off[i], c*off[i]
				r = math.Hypot(f, g)
				off[i+1] = r
				if r == 0 {
					d[i+1] -= p
					off[m] = 0
					break
				}
				s, c = f/r, g/r
				g = d[i+1] - p
				r = float64((d[i]-g)*s) + float64(2*c*b)
				p = s * r
				d[i+1] = g + p
				g = float64(c*r) - b
				rotate(q[(i+1)*ldq:(i+1)*ldq+n], q[i*ldq:i*ldq+n], c, s)
			}
			if i >= l {
				continue
			}
			d[l] -= p
			off[l], off[m] = g, 0
		}
	}
	return true
}
