package num

import "math"

const (
	secularSteps = 100 // far more than any root has taken
	secularGrain = 32  // roots that are a task
)

// solve returns the eigenvalues of diag(d) + rho·z·zᵀ in ascending order and writes its eigenvectors to the rows of
// vectors (k×k), components in the given order.
//
// The roots come with their distances from all of d to full relative accuracy. From them the z is computed whose exact
// eigenvalues they are: its eigenvectors are orthogonal however close the roots lie (Gu and Eisenstat 1995, section 3).
func (s *secular) solve(rho float64, vectors []float64, order []int, workers int) []float64 {
	k := len(s.d)
	values, exact := make([]float64, k), make([]float64, k)
	tasks := (k + secularGrain - 1) / secularGrain
	if k*k < conquerAlone/4 {
		workers = 1
	}
	crew(workers, 3, func(int) int { return tasks }, func(phase, _, task int) {
		lo, hi := task*secularGrain, min((task+1)*secularGrain, k)
		switch phase {
		case 0:
			for j := lo; j < hi; j++ {
				values[j] = s.root(j, rho, vectors[j*k:(j+1)*k])
			}
		case 1: // z² = Π (root − d) / Π (other d − d), whose factors come in pairs near one
			product := exact[lo:hi]
			for i := range product {
				product[i] = 1
			}
			for j := range k {
				gaps, dj := vectors[j*k+lo:j*k+hi], s.d[j]
				for i, di := range s.d[lo:hi] {
					if lo+i == j {
						product[i] *= gaps[i]
					} else {
						product[i] *= gaps[i] / (di - dj)
					}
				}
			}
			for i, v := range product {
				product[i] = math.Copysign(math.Sqrt(math.Abs(v)), s.z[lo+i])
			}
		case 2:
			row := make([]float64, k)
			for j := lo; j < hi; j++ {
				vector := vectors[j*k : (j+1)*k]
				square := 0.0
				for i, gap := range vector {
					v := exact[i] / gap
					row[i] = v
					square += float64(v * v)
				}
				scale := 1 / math.Sqrt(square)
				for i, from := range order {
					vector[i] = row[from] * scale
				}
			}
		}
	})
	return values
}

// root returns root j of 1 + rho·Σ z²/(d − λ) = 0, which lies between d[j] and d[j+1], and writes d − λ to gaps.
//
// The nearer of the two is the origin, so that the root's distance from it has no cancellation. Each step fits the sum of
// the poles on either side by one pole at the neighbour, value and slope (Bunch, Nielsen and Sorensen 1978); a bracket keeps it from leaving.
func (s *secular) root(j int, rho float64, gaps []float64) float64 {
	d, z, k := s.d, s.z, len(s.d)
	// f is 1/rho + psi + phi at origin + tau, with the slopes of both.
	evaluate := func(tau float64) (psi, phi, psiSlope, phiSlope float64) {
		for i, gap := range gaps[:j+1] {
			t := z[i] / (gap - tau)
			psi += float64(z[i] * t)
			psiSlope += float64(t * t)
		}
		for i := j + 1; i < k; i++ {
			t := z[i] / (gaps[i] - tau)
			phi += float64(z[i] * t)
			phiSlope += float64(t * t)
		}
		return
	}
	from := func(origin float64) {
		for i, v := range d {
			gaps[i] = v - origin
		}
	}
	inverse := 1 / rho
	origin := d[j]
	from(origin)
	var lo, hi, tau float64 // tau lies in (lo, hi); where f < 0 the root is further up
	if j == k-1 {
		square := 0.0
		for _, v := range z {
			square += float64(v * v)
		}
		hi = rho * square
		tau = hi / 2
		// Rounding must not cut the root off.
		hi *= 1 + 16*unit*float64(k)
	} else {
		gap := d[j+1] - d[j]
		tau = gap / 2
		psi, phi, _, _ := evaluate(tau)
		if inverse+psi+phi >= 0 {
			hi = tau
		} else {
			origin = d[j+1]
			from(origin)
			lo, hi, tau = -tau, 0, -tau
		}
	}
	// What rounding leaves of f grows like the root of the number of terms; up to k times unit would do (Gu and Eisenstat 1995, 3.3).
	tolerance := unit * (4 + math.Sqrt(float64(k)))
	for range secularSteps {
		psi, phi, psiSlope, phiSlope := evaluate(tau)
		f := inverse + psi + phi
		if !(math.Abs(f) > tolerance*(inverse+math.Abs(psi)+math.Abs(phi))) {
			break
		}
		if f < 0 {
			lo = tau
		} else {
			hi = tau
		}
		step := secularStep(j, k, gaps, tau, f, psiSlope, phiSlope)
		next := tau + step
		if !(next > lo && next < hi) {
			next = between(lo, hi)
		}
		if next == tau || math.Abs(next-tau) <= unit*math.Abs(tau) {
			tau = next
			break
		}
		tau = next
	}
	for i := range gaps {
		gaps[i] -= tau
	}
	return origin + tau
}

// secularStep solves f + c-fit = 0 for the step from tau.
func secularStep(j, k int, gaps []float64, tau, f, psiSlope, phiSlope float64) float64 {
	left := gaps[j] - tau // < 0
	if j == k-1 {
		// One pole on the left and a constant: c + s/(left − step) = 0.
		c := f - left*psiSlope
		return left + left*left*psiSlope/c
	}
	right := gaps[j+1] - tau // > 0
	c := f - left*psiSlope - right*phiSlope
	a := (left+right)*f - left*right*(psiSlope+phiSlope)
	b := left * right * f
	root := math.Sqrt(math.Abs(a*a - 4*b*c))
	if a <= 0 {
		return (a - root) / (2 * c)
	}
	return 2 * b / (a + root)
}

// between returns a point inside (lo, hi): their geometric mean when they have one sign and differ much, for a root close to
// a pole may be many orders of magnitude smaller than the bracket.
func between(lo, hi float64) float64 {
	switch {
	case lo == 0:
		return hi / 1024
	case hi == 0:
		return lo / 1024
	case lo > 0 && hi/lo > 4:
		return math.Sqrt(lo) * math.Sqrt(hi)
	case hi < 0 && lo/hi > 4:
		return -math.Sqrt(-lo) * math.Sqrt(-hi)
	}
	return lo + (hi-lo)/2
}
