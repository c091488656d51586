package num

import "math"

const reflectPanel = 64 // reflections that are applied together

// reflections are a product Q = H₀·H₁·…, each I − tau·v·vᵀ. Vector j is zero before place j+shift, one there, and lies
// behind it in row j of a.
type reflections struct {
	count, width, shift int
	a                   []float64 // count rows of width values
	lda                 int
	tau                 []float64
	workers             int
}

// panel returns reflections from to last−1 as dense rows (k×m), their common zeros left out, and the factor of their
// product; v has room for reflectPanel·width values.
func (r *reflections) panel(from, last int, v []float64) (k, m int, factor []float64) {
	k, m = last-from, r.width-from-r.shift
	for i := range k {
		row := v[i*m : (i+1)*m]
		clear(row[:i])
		row[i] = 1
		copy(row[i+1:], r.a[(from+i)*r.lda+from+i+r.shift+1:(from+i)*r.lda+r.width])
	}
	return k, m, compactWY(v, r.tau[from:last], k, m, r.workers)
}

// apply multiplies the h rows of z, each width values, by Q, or by Qᵀ when transposed: it turns vectors that lie in rows
// by Qᵀ or by Q.
func (r *reflections) apply(transposed bool, z []float64, ldz, h int) {
	space, memory := scratch[float64](reflectPanel * (r.width + 2*h))
	defer space.release()
	v, y := memory[:reflectPanel*r.width], memory[reflectPanel*r.width:]
	panels := (r.count + reflectPanel - 1) / reflectPanel
	for p := range panels {
		if transposed {
			p = panels - 1 - p
		}
		from := p * reflectPanel
		k, m, factor := r.panel(from, min(from+reflectPanel, r.count), v)
		applyRight(r.workers, z[from+r.shift:], ldz, h, v, k, m, factor, transposed, y)
	}
}

// reflection makes x the vector v, v[0] = 1 left out, of the reflection I − tau·v·vᵀ that turns x into (beta, 0, …).
func reflection(x []float64) (beta, tau float64) {
	alpha, rest := x[0], x[1:]
	norm := math.Sqrt(active.rows64.dot1(rest, rest))
	if max(norm, math.Abs(alpha)) < 0x1p-400 { // squares may have vanished: what is left is rounding, but turns it must be
		top := math.Abs(largest(x))
		if math.Abs(largest(rest)) == 0 {
			return alpha, 0
		}
		exp := powerScale(x, top)
		beta, tau = reflection(x)
		return math.Ldexp(beta, exp), tau
	}
	if norm == 0 {
		return alpha, 0
	}
	beta = -math.Copysign(math.Hypot(alpha, norm), alpha)
	scale := 1 / (alpha - beta)
	for i := range rest {
		rest[i] *= scale
	}
	return beta, (beta - alpha) / beta
}

// compactWY returns the upper triangular k×k T with H₀·H₁·…·H(k−1) = I − Vᵀ·T·V, the reflections being the rows of v (k×m).
func compactWY(v, tau []float64, k, m, workers int) []float64 {
	t, gram := make([]float64, k*k), make([]float64, k*k)
	gemmRun(&active.f64, workers, false, true, k, k, m, 1, v, m, v, m, false, gram, k)
	for i := range k {
		for r := range i {
			s := 0.0
			for p := r; p < i; p++ {
				s += float64(t[r*k+p] * gram[p*k+i])
			}
			t[r*k+i] = -tau[i] * s
		}
		t[i*k+i] = tau[i]
	}
	return t
}

// applyRight computes Z −= (Z·Vᵀ)·op(T)·V for rows of Z (h×m) and the reflections v (k×m); y has room for 2·h·k values.
func applyRight(workers int, z []float64, ldz, h int, v []float64, k, m int, t []float64, trans bool, y []float64) {
	g := &active.f64
	y, u := y[:h*k], y[h*k:2*h*k]
	gemmRun(g, workers, false, true, h, k, m, 1, z, ldz, v, m, false, y, k)
	gemmRun(g, workers, false, trans, h, k, k, 1, y, k, t, k, false, u, k)
	gemmRun(g, workers, false, false, h, m, k, -1, u, k, v, m, true, z, ldz)
}
