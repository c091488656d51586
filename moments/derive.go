package moments

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Dims returns the number of feature columns and of target columns.
func (s *State) Dims() (d, t int) { return s.d, s.t }

// Columns returns the D column names, or nil.
func (s *State) Columns() []string { return s.columns }

// Grid returns the grid. The caller must not change it.
func (s *State) Grid() *Grid { return s.grid }

// PerClass reports whether each class has a scatter of its own.
func (s *State) PerClass() bool { return s.perClass }

// Rows returns how many rows the state holds.
func (s *State) Rows() int {
	s.flush()
	n := int64(0)
	for _, c := range s.classes {
		n += c.rows
	}
	return int(n)
}

// Classes returns the class names in [data.CompareClasses] order; rows without a label belong to none.
func (s *State) Classes() []string {
	s.flush()
	names := slices.DeleteFunc(slices.Collect(maps.Keys(s.classes)), func(n string) bool { return n == "" })
	slices.SortFunc(names, data.CompareClasses)
	return names
}

// Count returns a class's rows; "" counts those without a label.
func (s *State) Count(name string) int {
	s.flush()
	if c := s.classes[name]; c != nil {
		return int(c.rows)
	}
	return 0
}

// mean turns sums over n rows into means of columns from to to−1, in the columns' own units.
func (s *State) mean(sums *integers, n int64, from, to int) []float64 {
	m := make([]float64, to-from)
	for j := range m {
		k := from + j
		m[j] = (float64(s.grid.Origin[k]) + sums.float(k)/float64(n)) * s.grid.Step(k)
	}
	return m
}

// Mean returns the mean of all rows, D values. A state without rows gives zeros.
func (s *State) Mean() []float64 {
	n := s.Rows()
	if n == 0 {
		return make([]float64, s.d)
	}
	return s.mean(s.sumsAll(), int64(n), 0, s.d)
}

// TargetMeans returns the mean of each target, T values.
func (s *State) TargetMeans() []float64 {
	n := s.Rows()
	if n == 0 {
		return make([]float64, s.t)
	}
	return s.mean(s.sumsAll(), int64(n), s.d, s.d+s.t)
}

// ClassMeans returns the K class means, K×D row-major, in the order of [State.Classes].
func (s *State) ClassMeans() []float64 {
	names := s.Classes()
	m := make([]float64, 0, len(names)*s.d)
	for _, name := range names {
		c := s.classes[name]
		m = append(m, s.mean(c.sums, c.rows, 0, s.d)...)
	}
	return m
}

// offsets returns class mean − overall mean without cancellation, K×D, and the class counts.
func (s *State) offsets() (off []float64, counts []float64) {
	names, n, all := s.Classes(), int64(s.Rows()), s.sumsAll()
	one := newIntegers(1)
	for _, name := range names {
		c := s.classes[name]
		counts = append(counts, float64(c.rows))
		for j := range s.d { // (N·s_c − n_c·s)/(N·n_c): the numerator is exact
			x, okX := c.sums.small(j)
			y, okY := all.small(j)
			var v float64
			if okX && okY {
				one.lo[0], one.hi[0] = 0, 0
				one.addProduct(0, n, x)
				one.addProduct(0, -c.rows, y)
				v = one.float(0)
				one.wide = nil
			} else {
				v = float64(n)*c.sums.float(j) - float64(c.rows)*all.float(j)
			}
			off = append(off, v/(float64(n)*float64(c.rows))*s.grid.Step(j))
		}
	}
	return off, counts
}

// covariance divides centred products by n: the maximum-likelihood estimate, d×d.
func (s *State) covariance(n int64, scatter, sums *integers) []float64 {
	d, p := s.d, s.p()
	c := make([]float64, d*d)
	if n == 0 {
		return c
	}
	step := make([]float64, d)
	for j := range step {
		step[j] = s.grid.Step(j)
	}
	nn := float64(n) * float64(n)
	num.Parallel(d, 8, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			for j := i; j < d; j++ {
				v := centred(n, scatter, at(p, i, j), sums, i, j) / nn * step[i] * step[j]
				c[i*d+j], c[j*d+i] = v, v
			}
		}
	})
	return c
}

// Covariance returns the covariance of all rows about their mean, D×D, divided by N.
func (s *State) Covariance() []float64 {
	return s.covariance(int64(s.Rows()), s.scatterAll(), s.sumsAll())
}

// ClassCovariance returns one class's covariance about its own mean, D×D, divided by its rows.
// Errors: ErrLabels when the class is unknown; ErrShape when the state keeps no per-class scatters.
func (s *State) ClassCovariance(name string) ([]float64, error) {
	s.flush()
	c := s.classes[name]
	switch {
	case c == nil:
		return nil, fmt.Errorf("moments: class %q has no rows: %w", name, data.ErrLabels)
	case c.scatter == nil:
		return nil, fmt.Errorf("moments: %w: the state keeps no per-class scatters; make it with --per-class", data.ErrShape)
	}
	return s.covariance(c.rows, c.scatter, c.sums), nil
}

// PooledCovariance returns the covariance of rows about their own class's mean, D×D, divided by N.
// Without any labels it is the covariance. Errors: ErrLabels when only some rows have labels.
func (s *State) PooledCovariance() ([]float64, error) {
	n, names := s.Rows(), s.Classes()
	c := s.Covariance()
	if len(names) == 0 {
		return c, nil
	}
	if free := s.Count(""); free > 0 {
		return nil, fmt.Errorf("moments: %d of %d rows have no label: %w for every row, or for none", free, n, data.ErrLabels)
	}
	off, counts := s.offsets()
	for k, rows := range counts { // total = pooled + Σ n_c/N (µ_c−µ)(µ_c−µ)ᵀ
		w := math.Sqrt(rows / float64(n))
		for j := range s.d {
			off[k*s.d+j] *= w
		}
	}
	num.Syrk(true, s.d, len(names), -1, off, s.d, 1, c, s.d)
	for i := range s.d { // rounding must leave no negative variances
		c[i*s.d+i] = max(c[i*s.d+i], 0)
	}
	return c, nil
}

// PooledVariance returns the diagonal of [State.PooledCovariance], D values, without the rest.
func (s *State) PooledVariance() ([]float64, error) {
	n, names := s.Rows(), s.Classes()
	v := s.Variance()
	if len(names) == 0 {
		return v, nil
	}
	if free := s.Count(""); free > 0 {
		return nil, fmt.Errorf("moments: %d of %d rows have no label: %w for every row, or for none", free, n, data.ErrLabels)
	}
	off, counts := s.offsets()
	for k, rows := range counts {
		for j := range s.d {
			v[j] -= rows / float64(n) * off[k*s.d+j] * off[k*s.d+j]
		}
	}
	for j := range v {
		v[j] = max(v[j], 0) // rounding must leave no negative variances
	}
	return v, nil
}

// Variance returns the variance of each column over all rows, D values, divided by N.
func (s *State) Variance() []float64 {
	n, sums, scatter, p := int64(s.Rows()), s.sumsAll(), s.scatterAll(), s.p()
	v := make([]float64, s.d)
	for j := range v {
		if n > 0 {
			v[j] = centred(n, scatter, at(p, j, j), sums, j, j) / (float64(n) * float64(n)) * s.grid.Step(j) * s.grid.Step(j)
		}
	}
	return v
}

// Cross returns the covariance of each feature with each target, D×T, divided by N.
func (s *State) Cross() []float64 {
	n, sums, scatter, p := int64(s.Rows()), s.sumsAll(), s.scatterAll(), s.p()
	c := make([]float64, s.d*s.t)
	for i := range s.d {
		for k := range s.t {
			if n > 0 {
				c[i*s.t+k] = centred(n, scatter, at(p, i, s.d+k), sums, i, s.d+k) / (float64(n) * float64(n)) * s.grid.Step(i) * s.grid.Step(s.d+k)
			}
		}
	}
	return c
}

// Indicators returns the covariance of each feature with each class's 0/1 indicator, D×K, divided by N.
func (s *State) Indicators() []float64 {
	off, counts := s.offsets()
	n, k := float64(s.Rows()), len(counts)
	c := make([]float64, s.d*k)
	for i := range s.d {
		for j := range k { // E[x·1_c] − E[x]·E[1_c] = n_c/N·(µ_c − µ)
			c[i*k+j] = counts[j] / n * off[j*s.d+i]
		}
	}
	return c
}

// Ridge solves (C + λI)·W = cross for the D×M coefficients, where C is the covariance of all rows and cross a D×M matrix
// such as [State.Cross] or [State.Indicators]. λ is in units of variance: the objective is mean squared error + λ‖w‖².
// It reports false when C + λI is not positive definite.
func (s *State) Ridge(lambda float64, cross []float64) ([]float64, bool) {
	c := s.Covariance()
	for j := range s.d {
		c[j*s.d+j] += lambda
	}
	chol, ok := num.NewChol(c, s.d)
	if !ok {
		return nil, false
	}
	w := slices.Clone(cross)
	if s.d > 0 {
		chol.Solve(w, len(cross)/s.d)
	}
	return w, true
}

// FourthMoment returns the mean of ‖x − mean‖⁴ over all rows, whose covariance is cov. A state without rows gives zero.
func (s *State) FourthMoment(cov []float64) float64 {
	if s.Rows() == 0 {
		return 0
	}
	n, sums, scatter, p := int64(s.Rows()), s.sumsAll(), s.scatterAll(), s.p()
	nn := float64(n) * float64(n)
	unit := math.Ldexp(1, s.grid.norm)
	// With q = ‖x−o‖² about the grid's origin o and m = mean − o: ‖x−mean‖² = q − 2m·(x−o) + ‖m‖², whose mean is tr C
	// and whose variance is var q − 4m·cov(q, x) + 4mᵀCm.
	m, cq := make([]float64, s.d), make([]float64, s.d)
	trace, mcq := 0.0, 0.0
	for j := range s.d {
		m[j] = sums.float(j) / float64(n) * s.grid.Step(j)
		cq[j] = centred(n, scatter, at(p, j, p-1), sums, j, p-1) / nn * s.grid.Step(j) * unit
		trace += cov[j*s.d+j]
		mcq += m[j] * cq[j]
	}
	cm := make([]float64, s.d)
	num.Gemm(false, false, s.d, 1, s.d, 1, cov, s.d, m, 1, 0, cm, 1)
	mcm := 0.0
	for j := range s.d {
		mcm += m[j] * cm[j]
	}
	variance := centred(n, scatter, at(p, p-1, p-1), sums, p-1, p-1)/nn*unit*unit - 4*mcq + 4*mcm
	return max(variance, 0) + trace*trace
}

// LedoitWolf returns the covariance of all rows shrunk towards a multiple of the identity, D×D, and the intensity in [0,1].
// Source: ledoit2004well; the estimate is scikit-learn's: C is divided by N.
func (s *State) LedoitWolf() (cov []float64, intensity float64) {
	cov = s.Covariance()
	return cov, LedoitWolf(cov, s.d, s.Rows(), s.FourthMoment(cov))
}

// LedoitWolf shrinks a d×d covariance over n rows towards a multiple of the identity, in place, by the intensity that it
// returns; fourth is the mean of ‖x − mean‖⁴ over the rows. Source: ledoit2004well.
func LedoitWolf(cov []float64, d, n int, fourth float64) float64 {
	if n == 0 || d == 0 {
		return 0
	}
	trace, square := traces(cov, d)
	distance := (square - trace*trace/float64(d)) / float64(d)     // ‖C − µI‖²/D
	noise := (fourth - square) / (float64(d) * float64(n))         // mean ‖xxᵀ − C‖²/(D·N)
	if noise = min(noise, distance); distance <= 0 || noise <= 0 { // already a multiple of the identity, or known exactly
		return 0
	}
	Shrink(cov, d, noise/distance)
	return noise / distance
}

// OAS shrinks a D×D covariance over n rows towards a multiple of the identity, in place, by the oracle-approximating
// intensity, which it returns; it needs no fourth moments. Source: chen2010shrinkage, eq. (23).
func OAS(cov []float64, d, n int) float64 {
	if n == 0 || d == 0 {
		return 0
	}
	trace, square := traces(cov, d)
	mu := trace / float64(d)
	alpha := square / float64(d*d) // scikit-learn's form of the same ratio
	top, bottom := alpha+mu*mu, (float64(n)+1)*(alpha-mu*mu/float64(d))
	intensity := 1.0
	if bottom > 0 {
		intensity = min(top/bottom, 1)
	}
	Shrink(cov, d, intensity)
	return intensity
}

// Shrink replaces cov (d×d) by (1−intensity)·cov + intensity·(trace/d)·I.
func Shrink(cov []float64, d int, intensity float64) {
	trace, _ := traces(cov, d)
	for i := range cov[:d*d] {
		cov[i] *= 1 - intensity
	}
	for j := range d {
		cov[j*d+j] += intensity * trace / float64(d)
	}
}

func traces(cov []float64, d int) (trace, square float64) {
	for i := range d {
		trace += cov[i*d+i]
		for _, v := range cov[i*d : i*d+d] {
			square += v * v
		}
	}
	return trace, square
}

// Only returns the part of a state with per-class scatters that is one class's rows: what [State.Subtract] takes to forget it.
// Errors: ErrShape without per-class scatters; ErrLabels for a class without rows.
func (s *State) Only(name string) (*State, error) {
	s.flush()
	if !s.perClass {
		return nil, fmt.Errorf("moments: %w: the state has one scatter for all classes, which does not say what is whose", data.ErrShape)
	}
	c := s.classes[name]
	if c == nil {
		return nil, fmt.Errorf("moments: class %q: %w: it has no rows, have %q", name, data.ErrLabels, s.Classes())
	}
	own := s.Empty()
	into := own.class(name)
	into.rows = c.rows
	into.sums.addAll(c.sums, +1)
	into.scatter.addAll(c.scatter, +1)
	own.flush()
	return own, nil
}
