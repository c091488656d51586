package part

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// rankTolerance is the variance, as a share of the largest, below which a direction holds no data: float32 values are
// spaced by 2^-24 of their size, so a direction in which they are constant has a variance of some 2^-48 of theirs.
const rankTolerance = 1e-12

// choleskyTolerance is the smallest share of a column's variance that the columns before it may leave unexplained for
// Cholesky's factor, whose rounding is near 2^-53·d, to be accurate.
const choleskyTolerance = 1e-10

// Spectrum returns the eigenvalues of a symmetric positive semi-definite matrix (d×d) in descending order, and the
// eigenvectors as columns in the same order. rank counts the eigenvalues that are more than rounding. It reports false
// when the eigenvalues do not converge.
func Spectrum(cov []float64, d int) (values, vectors []float64, rank int, ok bool) {
	values, vectors, ok = num.SymEigen(cov, d)
	if !ok {
		return nil, nil, 0, false
	}
	slices.Reverse(values)
	for i := range d {
		slices.Reverse(vectors[i*d : (i+1)*d])
	}
	for rank < d && values[rank] > rankTolerance*max(values[0], 0) {
		rank++
	}
	return values, vectors, rank, true
}

// RankWhitener is [Whitener] for a covariance that may be singular: directions without variance are left out, so that
// R = D less their number. Each column is measured in its own unit, so that no column is lost for being small.
// It reports false when nothing is left, or when the eigenvalues do not converge.
func RankWhitener(center, cov []float64, d int) (*Projection, bool) {
	var varying []int
	var unit []float64 // 1/standard deviation
	for j := range d {
		if v := cov[j*d+j]; v > 0 {
			varying, unit = append(varying, j), append(unit, 1/math.Sqrt(v))
		}
	}
	m := len(varying)
	if m == 0 {
		return nil, false
	}
	correlation := make([]float64, m*m)
	for a, i := range varying {
		for b, j := range varying {
			correlation[a*m+b] = cov[i*d+j] * unit[a] * unit[b]
		}
	}
	var inner []float64 // m×r
	r := m
	if chol, ok := num.NewChol(correlation, m); ok && smallestPivot(chol.L(), m) > choleskyTolerance {
		inner = chol.Whitener()
	} else {
		values, vectors, rank, ok := Spectrum(correlation, m)
		if !ok || rank == 0 {
			return nil, false
		}
		r = rank
		inner = Whitening(vectors, m, 0, r, values[:r])
	}
	p := &Projection{D: d, R: r, Center: center, Matrix: make([]float64, d*r)}
	for a, i := range varying {
		for k := range r {
			p.Matrix[i*r+k] = unit[a] * inner[a*r+k]
		}
	}
	return p, true
}

func smallestPivot(l []float64, n int) float64 {
	low := math.Inf(1)
	for i := range n {
		low = min(low, l[i*n+i]*l[i*n+i])
	}
	return low
}

// Whitening returns columns from to to−1 of the eigenvectors (d×d), each divided by the root of its variance: d×(to−from).
func Whitening(vectors []float64, d, from, to int, variances []float64) []float64 {
	r := to - from
	w := make([]float64, d*r)
	for k, v := range variances {
		scale := 1 / math.Sqrt(v)
		for i := range d {
			w[i*r+k] = vectors[i*d+from+k] * scale
		}
	}
	return w
}

// ChiSquaredQuantile returns the value that a χ² variable with k ≥ 1 degrees of freedom stays below with probability p in (0, 1).
func ChiSquaredQuantile(p float64, k int) float64 {
	return 2 * mathext.GammaIncRegInv(float64(k)/2, p)
}

// HotellingTail returns the probability that the squared Mahalanobis distance of a new row exceeds t, when mean and
// covariance (divided by n) were learned from n Gaussian rows in r directions: d²·(n−r)/((n+1)·r) is F with r and n−r
// degrees of freedom. Without more rows than directions it is 1. Source: Hotelling (1931).
func HotellingTail(t float64, n, r int) float64 {
	if n <= r {
		return 1
	}
	x := t / (t + float64(n) + 1) // r·F/(r·F + n−r)
	return 1 - mathext.RegIncBeta(float64(r)/2, float64(n-r)/2, x)
}

// ShrunkTail is [HotellingTail] when the covariance of r directions was shrunk: (1−intensity)·S + floor·I, whose inverse has
// trace inverse and whose inverse's square has trace square. With R = (S+λI)⁻¹, λ = floor/(1−intensity), and Σ the rows' own
// covariance, in the limit of many rows and directions, and with n−1 for the mean that was learned too
//
//	t = tr ΣR = n·(1/(1 − (r − λ·tr R)/(n−1)) − 1)   (Ledoit and Péché 2011, theorem 3)
//	tr ΣRΣR = (1 + t/n)²·(t − λ·tr ΣR²)           (from S's rows, each left out of R in turn), tr ΣR² = −dt/dλ
//
// and d² of a new Gaussian row, a weighted sum of χ² variables, is taken to be the gamma variable of its mean and variance.
func ShrunkTail(tail float64, n, r int, intensity, floor, inverse, square float64) float64 {
	if intensity == 0 || n < 2 {
		return HotellingTail(tail, n, r)
	}
	rows, first, second := float64(n), float64(r), float64(r) // of a multiple of the identity
	if keep := 1 - intensity; keep > 1e-9 {
		lambda, inverse, square := floor/keep, inverse*keep, square*keep*keep
		bottom := 1 - (float64(r)-lambda*inverse)/(rows-1)
		t := rows * (1/bottom - 1)
		slope := rows / (rows - 1) * (inverse - lambda*square) / (bottom * bottom) // −dt/dλ
		first, second = t/keep, math.Pow(1+t/rows, 2)*(t-lambda*slope)/(keep*keep)
	}
	if !(first > 0 && second > 0) { // rounding: nothing is left of a direction
		return HotellingTail(tail, n, r)
	}
	mean, variance := first*(1+1/rows), 2*second*math.Pow(1+1/rows, 2)
	return mathext.GammaIncRegComp(mean*mean/variance, tail*mean/variance)
}
