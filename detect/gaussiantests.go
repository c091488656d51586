package detect

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// The tests that a standard normal passes, in their order.
const (
	testMoments = iota
	testBands
	testSpectrum
	testDisagreement
	testCount
)

var testNames = [testCount]string{"moments", "bands", "spectrum", "disagreement"}

// slabEdges cut the distance to a plane; the first slabSpectrum slabs are the bands in which the losses have a slope.
var slabEdges = []float64{0, 0.25, 0.5, 1, 1.5, 2, math.Inf(1)}

const slabSpectrum = 3

// slabShare is how much of a standard normal lies in a slab.
func slabShare(k int) float64 {
	return math.Erf(slabEdges[k+1]/math.Sqrt2) - math.Erf(slabEdges[k]/math.Sqrt2)
}

// slabWords names a slab.
func slabWords(k int) string {
	if k+1 == len(slabEdges)-1 {
		return fmt.Sprintf("farther than %g from the plane", slabEdges[k])
	}
	return fmt.Sprintf("%g to %g from the plane", slabEdges[k], slabEdges[k+1])
}

// statistic is the largest deviation that a test found, in standard deviations or like them, and where.
type statistic struct {
	value float64
	deviation
}

// deviation is what a test looked at: rows near a plane, or a moment of columns.
type deviation struct {
	kind       int
	plane      int      // candidate, from 0
	slab       int      // of its distance, −1 − slab for all up to its far edge
	power      monomial // of the columns
	i, j       int      // columns
	have, want float64
	low        float64 // the smallest variance, beside the largest
	rows       int
}

func (s *statistic) raise(value float64, d deviation) {
	if value > s.value || s.value == 0 {
		s.value, s.deviation = value, d
	}
}

// words says where the statistic was largest.
func (d deviation) words() string {
	switch d.kind {
	case testMoments:
		if d.power.b == 0 {
			return fmt.Sprintf("power %d of column %d of the whitened rows has the mean %.4g, a Gaussian's has %g", d.power.a, d.i+1, d.have, d.want)
		}
		return fmt.Sprintf("power %d of column %d times power %d of column %d of the whitened rows has the mean %.4g, a Gaussian's has %g", d.power.a, d.i+1, d.power.b, d.j+1, d.have, d.want)
	case testBands:
		where := "within " + strconv.FormatFloat(slabEdges[max(-d.slab, 0)], 'g', -1, 64) + " from the plane"
		if d.slab >= 0 {
			where = slabWords(d.slab)
		}
		return fmt.Sprintf("%g of %d rows lie %s of candidate %d, a Gaussian has %.4g", d.have, d.rows, where, d.plane+1, d.want)
	case testSpectrum:
		return fmt.Sprintf("the %d rows %s of candidate %d spread along it by variances of %.4g to %.4g, a Gaussian's are 1", d.rows, slabWords(d.slab), d.plane+1, d.low, d.have)
	}
	return fmt.Sprintf("the %d rows %s of candidate %d have a sum of squares of %.4g along it, a Gaussian's have %.4g", d.rows, slabWords(d.slab), d.plane+1, d.have, d.want)
}

// gaussianMoment lists E z^k of a standard normal z.
var gaussianMoment = [9]float64{1, 0, 1, 0, 3, 0, 15, 0, 105}

// monomial is a product of powers of one column or two.
type monomial struct{ a, b int }

// monomials lists those of a degree: all of it on one column, or some on another.
func monomials(degree int) (list []monomial) {
	for k := 1; k <= degree; k++ {
		for b := 0; b <= k/2; b++ {
			list = append(list, monomial{k - b, b})
		}
	}
	return list
}

// testSpace is the memory of the tests of one table after another.
type testSpace struct {
	powers           [5][]float64
	products, spread []float64
	turned, way      []float64
	slabs            [6][]float64
}

// sized returns a slice of n values, the given one where it is long enough.
func sized(x []float64, n int) []float64 {
	if cap(x) < n {
		return make([]float64, n)
	}
	return x[:n]
}

// moments compares the mean of every monomial of at most two columns (rows n×d) with a standard normal's.
func (m *testSpace) moments(rows []float64, n, d, degree int) (s statistic) {
	m.powers[1] = rows
	for k := 2; k <= degree; k++ {
		m.powers[k] = sized(m.powers[k], len(rows))
		for i, v := range m.powers[k-1] {
			m.powers[k][i] = v * rows[i]
		}
	}
	m.products = sized(m.products, d*d)
	for _, p := range monomials(degree) {
		mean := gaussianMoment[p.a] * gaussianMoment[p.b]
		spread := math.Sqrt(gaussianMoment[2*p.a]*gaussianMoment[2*p.b] - mean*mean)
		look := func(i, j int, have float64) {
			s.raise(math.Sqrt(float64(n))*math.Abs(have-mean)/spread, deviation{kind: testMoments, power: p, i: i, j: j, have: have, want: mean})
		}
		if p.b == 0 {
			sums := m.products[:d]
			clear(sums)
			for at := 0; at < n*d; at += d {
				for j, v := range m.powers[p.a][at : at+d] {
					sums[j] += v
				}
			}
			for j, v := range sums {
				look(j, j, v/float64(n))
			}
			continue
		}
		num.Gemm(true, false, d, d, n, 1/float64(n), m.powers[p.a], d, m.powers[p.b], d, 0, m.products, d)
		for i := range d {
			for j := range d {
				if i != j && (p.a != p.b || i < j) {
					look(i, j, m.products[i*d+j])
				}
			}
		}
	}
	return s
}

// plane compares the rows around a plane with a standard normal: how many lie in each slab, and how they spread along it.
func (m *testSpace) plane(rows []float64, n, d int, w []float64, which int, s *[testCount]statistic) {
	m.turned = sized(m.turned, n*d)
	turnTo(m.turned, rows, n, d, w)
	counts := [len(m.slabs)]int{}
	for k := range m.slabs { // what lies along the plane, the normal's coordinate left out
		m.slabs[k] = m.slabs[k][:0]
	}
	for at := 0; at < n*d; at += d {
		k, u := 0, math.Abs(m.turned[at])
		for u >= slabEdges[k+1] {
			k++
		}
		counts[k]++
		m.slabs[k] = append(m.slabs[k], m.turned[at+1:at+d]...)
	}
	within, share := 0, 0.0
	bands := func(slab, count int, p float64) {
		expected := float64(n) * p
		s[testBands].raise(math.Abs(float64(count)-expected)/math.Sqrt(expected*(1-p)), deviation{kind: testBands, plane: which, slab: slab, rows: n, have: float64(count), want: expected})
	}
	m.spread, m.way = sized(m.spread, (d-1)*(d-1)), sized(m.way, 2*d)
	for k, along := range m.slabs {
		p, c := slabShare(k), float64(counts[k])
		bands(k, counts[k], p)
		if within += counts[k]; k < slabSpectrum {
			share += p
			bands(-1-k, within, share)
		}
		if d == 1 || c == 0 {
			continue
		}
		num.Syrk(true, d-1, counts[k], 1/c, along, d-1, 0, m.spread, d-1)
		halfspaceMirror(m.spread, d-1)
		top := largestEigenvalue(m.spread, d-1, m.way)
		at := deviation{kind: testSpectrum, plane: which, slab: k, rows: counts[k], have: top}
		if k < slabSpectrum {
			for i := range m.spread {
				m.spread[i] = -m.spread[i]
			}
			for j := range d - 1 { // top·I − M: its largest eigenvalue is how far the smallest of M lies below
				m.spread[j*d] += top
			}
			at.low = top - largestEigenvalue(m.spread, d-1, m.way)
			s[testSpectrum].raise(math.Sqrt(c)*max(top-1, 1-at.low), at)
			continue
		}
		expected := float64(n) * p
		at.kind, at.have, at.want = testDisagreement, c*top, expected
		s[testDisagreement].raise((c*top-expected)/math.Sqrt(expected), at)
	}
}

// powerSteps of multiplying come within a few per cent of the largest eigenvalue, from below; simulated tables get no more.
const powerSteps = 20

// largestEigenvalue of a positive matrix (d×d), by power iteration from its longest column. way holds 2·d values.
func largestEigenvalue(a []float64, d int, way []float64) (value float64) {
	v, next := way[:d], way[d:2*d]
	longest, at := -1.0, 0
	for j := range d {
		if l := num.SquaredNorm(a[j*d : (j+1)*d]); l > longest {
			longest, at = l, j
		}
	}
	copy(v, a[at*d:(at+1)*d])
	for range powerSteps {
		length := math.Sqrt(num.SquaredNorm(v))
		if length == 0 {
			return 0
		}
		for j := range v {
			v[j] /= length
		}
		value = 0
		for i := range d {
			next[i] = dot(a[i*d:(i+1)*d], v)
			value += next[i] * v[i]
		}
		v, next = next, v
	}
	return value
}

// turnTo writes the rows (n×d), reflected so that w, of length one, becomes the first axis.
func turnTo(out, rows []float64, n, d int, w []float64) {
	v := slices.Clone(w) // the mirror's normal
	sign := 1.0
	if w[0] > 0 { // away from cancellation; the axis is then −w, which the tests do not tell apart
		sign = -1
	}
	v[0] -= sign
	length := num.SquaredNorm(v)
	for i := range n {
		row, to := rows[i*d:(i+1)*d], out[i*d:(i+1)*d]
		along := 2 * dot(row, v) / length
		for j := range to {
			to[j] = row[j] - along*v[j]
		}
	}
}

// all runs all tests.
func (m *testSpace) all(rows []float64, n, d, degree int, planes [][]float64) (s [testCount]statistic) {
	s[testMoments] = m.moments(rows, n, d, degree)
	for k, w := range planes {
		m.plane(rows, n, d, w, k, &s)
	}
	return s
}

// mostSimulated is the most rows of a simulated table. Statistics are in standard deviations, which more rows hardly change.
const mostSimulated = 8192

// gaussianTests says how rows are tested.
type gaussianTests struct {
	degree int     // of the moments, at most
	level  float64 // of Gaussian tables, the share that may be refused
	white  bool    // the rows are whitened by their own mean and covariance
	seed   uint64
}

// run measures the held-back rows, of all rows that were whitened, and looks up the thresholds.
func (c gaussianTests) run(ctx context.Context, rows *halfspaceRows, all int, planes [][]float64) ([]TesterLearnerTest, error) {
	s := new(testSpace).all(rows.z, rows.n, rows.d, c.degree, planes)
	var thresholds [testCount]float64
	if c.work(all, rows.d) > mostWork && s[testMoments].value > beyondDoubt {
		for k := range thresholds {
			thresholds[k] = beyondDoubt
		}
	} else {
		var err error
		if thresholds, err = c.thresholds(ctx, all, rows.d, len(planes)); err != nil {
			return nil, err
		}
	}
	list := make([]TesterLearnerTest, testCount)
	for k := range list {
		list[k] = TesterLearnerTest{testNames[k], s[k].words(), s[k].value, thresholds[k]}
	}
	return list, nil
}

// tables is how many are simulated.
func (c gaussianTests) tables() int { return int(math.Ceil(5 / c.level)) }

// Where simulating takes more than a few times 10¹¹ multiplications, moments this many standard deviations off need no
// simulated threshold: no Gaussian table has them.
const mostWork, beyondDoubt = 2e11, 30

// work is what simulating costs.
func (c gaussianTests) work(n, d int) float64 {
	return float64(c.tables()) * float64(min(n, 2*mostSimulated)) * float64(d) * float64(d)
}

// thresholds are exceeded, by one test or more, on a share of at most level of the tables of standard normal rows that are
// simulated: whitened and halved as the real ones are, with as many planes, that lie at right angles instead of where rows lead to.
func (c gaussianTests) thresholds(ctx context.Context, n, d, planes int) ([testCount]float64, error) {
	count := c.tables()
	n = min(n, 2*mostSimulated)
	cut := n / 2
	axes := make([][]float64, planes)
	for k := range axes {
		axes[k] = make([]float64, d)
		axes[k][k] = 1
	}
	simulated := make([][testCount]float64, count)
	var failed atomic.Bool
	num.Parallel(count, 1, func(lo, hi int) {
		x, z, space := make([]float64, n*d), make([]float64, n*d), &testSpace{}
		for b := lo; b < hi; b++ {
			if ctx.Err() != nil {
				return
			}
			r := rand.New(rand.NewPCG(c.seed, uint64(3+b)))
			for i := range x {
				x[i] = r.NormFloat64()
			}
			if !c.white {
				copy(z, x)
			} else {
				_, matrix, ok := halfspaceWhiten(x, n, d)
				if !ok {
					failed.Store(true)
					return
				}
				num.Gemm(false, false, n, d, d, 1, x, d, matrix, d, 0, z, d)
			}
			s := space.all(z[cut*d:], n-cut, d, c.degree, axes)
			for k := range s {
				simulated[b][k] = s[k].value
			}
		}
	})
	if err := ctx.Err(); err != nil {
		return [testCount]float64{}, err
	}
	if failed.Load() {
		return [testCount]float64{}, fmt.Errorf("a simulated table of %d rows of %d columns cannot be tested", n, d)
	}
	return jointThresholds(simulated, c.level), nil
}

// jointThresholds are the r-th largest values of every test, with the largest r for which at most level of the simulated tables
// reach one or more: as often as a further table, of the same kind, exceeds one. The largest values do in any case, if there
// are at least 4/level tables.
func jointThresholds(simulated [][testCount]float64, level float64) (best [testCount]float64) {
	sorted := [testCount][]float64{}
	for k := range sorted {
		for _, s := range simulated {
			sorted[k] = append(sorted[k], s[k])
		}
		slices.Sort(sorted[k])
	}
	for r := range simulated {
		var at [testCount]float64
		for k := range at {
			at[k] = sorted[k][len(simulated)-1-r]
		}
		reached := 0
		for _, s := range simulated {
			for k := range s {
				if s[k] >= at[k] && s[k] > 0 { // a test with nothing to look at reaches nothing
					reached++
					break
				}
			}
		}
		if float64(reached) > level*float64(len(simulated)+1) {
			break
		}
		best = at
	}
	return best
}
