// Scratch is Gimbal's heart in one file, without Gimbal: exact sums that add and subtract, a detector fitted from them, a threshold whose rate of false
// alarms is guaranteed, and forgetting that leaves no trace.
//
//	go run ./docs/guide/scratch train.csv new.csv gone.csv
//
// Tables are CSV with a header; the last column is the class.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"slices"
	"strconv"
)

// table is N rows of D values with a class each.
type table struct {
	x      [][]float64
	labels []string
}

func read(path string) (t table, err error) {
	f, err := os.Open(path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return t, err
	}
	for i, line := range lines[min(1, len(lines)):] {
		row := make([]float64, len(line)-1)
		for j := range row {
			if row[j], err = strconv.ParseFloat(line[j], 64); err != nil {
				return t, fmt.Errorf("%s: row %d: %w", path, i+1, err)
			}
		}
		t.x, t.labels = append(t.x, row), append(t.labels, line[len(line)-1])
	}
	return t, nil
}

// step is the grid that values lie on: each becomes a whole number of steps, so that sums of values and of products are sums of whole
// numbers, which have no order. Gimbal gives each column a grid of its own, of 22 bits over its range.
const step = 1.0 / (1 << 20)

// moments are what is kept of rows: how many of each class there are, the sums of their values, and the sums of all products of two
// columns over all classes.
type moments struct {
	rows    map[string]int64
	sums    map[string][]*big.Int
	scatter [][]*big.Int
}

func zeros(n int) []*big.Int {
	z := make([]*big.Int, n)
	for i := range z {
		z[i] = new(big.Int)
	}
	return z
}

func newMoments(d int) *moments {
	m := &moments{rows: map[string]int64{}, sums: map[string][]*big.Int{}}
	for range d {
		m.scatter = append(m.scatter, zeros(d))
	}
	return m
}

// add adds rows, and with −1 takes them back: the same sums, the other way.
func (m *moments) add(t table, sign int64) error {
	d := len(m.scatter)
	for i, row := range t.x {
		if len(row) != d {
			return fmt.Errorf("row %d has %d columns, want %d", i+1, len(row), d)
		}
		class := t.labels[i]
		if m.sums[class] == nil {
			m.sums[class] = zeros(d)
		}
		if m.rows[class] += sign; m.rows[class] < 0 {
			return fmt.Errorf("row %d: no row of class %q is left to forget", i+1, class)
		}
		steps := make([]*big.Int, d)
		for j, v := range row {
			steps[j] = big.NewInt(int64(math.Round(v / step)))
			m.sums[class][j].Add(m.sums[class][j], new(big.Int).Mul(big.NewInt(sign), steps[j]))
		}
		for j := range d {
			for k := range d {
				product := new(big.Int).Mul(steps[j], steps[k])
				m.scatter[j][k].Add(m.scatter[j][k], product.Mul(product, big.NewInt(sign)))
			}
		}
		if m.rows[class] == 0 {
			delete(m.rows, class)
			delete(m.sums, class)
		}
	}
	return nil
}

// equal says whether two states hold the same rows, as far as any method fitted from them can tell.
func (m *moments) equal(o *moments) bool {
	if len(m.rows) != len(o.rows) {
		return false
	}
	same := func(a, b *big.Int) bool { return a.Cmp(b) == 0 }
	for class, n := range m.rows {
		if o.rows[class] != n || !slices.EqualFunc(m.sums[class], o.sums[class], same) {
			return false
		}
	}
	for j := range m.scatter {
		if !slices.EqualFunc(m.scatter[j], o.scatter[j], same) {
			return false
		}
	}
	return true
}

func float(v *big.Int) float64 { f, _ := new(big.Float).SetInt(v).Float64(); return f }

// detector holds class means and the Cholesky factor of the covariance within classes.
type detector struct {
	means  map[string][]float64
	factor [][]float64
}

// fit solves a detector from sums, without the rows: the covariance within classes is (Σxxᵀ − Σ n·µµᵀ)/N, a millionth of the mean
// variance added to its diagonal.
func (m *moments) fit() (*detector, error) {
	d := len(m.scatter)
	means, total := map[string][]float64{}, 0.0
	cov := make([][]float64, d)
	exact := make([][]*big.Rat, d) // the subtraction happens in fractions: far from zero nothing cancels
	for j := range d {
		cov[j], exact[j] = make([]float64, d), make([]*big.Rat, d)
		for k := range d {
			exact[j][k] = new(big.Rat).SetInt(m.scatter[j][k])
		}
	}
	for class, n := range m.rows {
		total += float64(n)
		means[class] = make([]float64, d)
		for j, sum := range m.sums[class] {
			means[class][j] = float(sum) * step / float64(n)
			for k, other := range m.sums[class] {
				exact[j][k].Sub(exact[j][k], new(big.Rat).SetFrac(new(big.Int).Mul(sum, other), big.NewInt(n)))
			}
		}
	}
	if total == 0 {
		return nil, errors.New("no rows are left")
	}
	trace := 0.0
	for j := range d {
		for k := range d {
			f, _ := exact[j][k].Float64()
			cov[j][k] = f * step * step / total
		}
		trace += cov[j][j]
	}
	for j := range d {
		cov[j][j] += 1e-6 * trace / float64(d)
	}
	factor, err := cholesky(cov)
	return &detector{means, factor}, err
}

// cholesky returns L with L·Lᵀ = a.
func cholesky(a [][]float64) ([][]float64, error) {
	l := make([][]float64, len(a))
	for i := range a {
		l[i] = make([]float64, len(a))
		for j := 0; j <= i; j++ {
			sum := a[i][j]
			for k := range j {
				sum -= l[i][k] * l[j][k]
			}
			if i > j {
				l[i][j] = sum / l[j][j]
				continue
			}
			if sum <= 0 {
				return nil, errors.New("the covariance is singular: too few rows")
			}
			l[i][i] = math.Sqrt(sum)
		}
	}
	return l, nil
}

// score is the squared Mahalanobis distance to the nearest class mean: |L⁻¹(x−µ)|².
func (m *detector) score(x []float64) float64 {
	best := math.Inf(1)
	for _, mean := range m.means {
		z, distance := make([]float64, len(x)), 0.0
		for i := range x {
			z[i] = x[i] - mean[i]
			for k := range i {
				z[i] -= m.factor[i][k] * z[k]
			}
			z[i] /= m.factor[i][i]
			distance += z[i] * z[i]
		}
		best = min(best, distance)
	}
	return best
}

// pValue is how often a familiar row is at least as odd: of n calibration rows and the new one itself, all n+1 orders are as likely, so
// P(p ≤ α) ≤ α whatever the distribution and the detector. That is all there is to the guarantee.
func pValue(calibration []float64, score float64) float64 {
	at := 1
	for _, s := range calibration {
		if s >= score {
			at++
		}
	}
	return float64(at) / float64(len(calibration)+1)
}

func run(paths []string) (err error) {
	if len(paths) != 3 {
		return errors.New("want three tables: rows to learn from, new rows, and rows to forget")
	}
	var tables [3]table
	for i, path := range paths {
		if tables[i], err = read(path); err != nil {
			return err
		}
	}
	train, fresh, gone := tables[0], tables[1], tables[2]
	if len(train.x) == 0 {
		return errors.New("no rows to learn from")
	}
	// Every fifth row is kept aside for the threshold: a row that the detector has learned from is less odd than a new one.
	var learned, aside table
	for i, row := range train.x {
		to := &learned
		if i%5 == 4 {
			to = &aside
		}
		to.x, to.labels = append(to.x, row), append(to.labels, train.labels[i])
	}
	state := newMoments(len(train.x[0]))
	if err := state.add(learned, 1); err != nil {
		return err
	}
	m, err := state.fit()
	if err != nil {
		return err
	}
	refused, calibration := 0, []float64{}
	for _, row := range aside.x {
		calibration = append(calibration, m.score(row))
	}
	for _, row := range fresh.x {
		if pValue(calibration, m.score(row)) <= 0.05 {
			refused++
		}
	}
	fmt.Printf("%d of %d new rows are refused at 5 %%\n", refused, len(fresh.x))
	// Forgetting: what is subtracted was never there. Rows that were kept aside are in no sum, and are not taken out of any.
	without, rest := newMoments(len(train.x[0])), learned
	for i := range gone.x {
		at := -1
		for k, row := range rest.x {
			if rest.labels[k] == gone.labels[i] && slices.Equal(row, gone.x[i]) {
				at = k
			}
		}
		if at < 0 {
			continue
		}
		if err := state.add(table{gone.x[i : i+1], gone.labels[i : i+1]}, -1); err != nil {
			return err
		}
		rest = table{slices.Delete(slices.Clone(rest.x), at, at+1), slices.Delete(slices.Clone(rest.labels), at, at+1)}
	}
	if err := without.add(rest, 1); err != nil {
		return err
	}
	fmt.Printf("%d rows forgotten; as if never seen: %v\n", len(learned.x)-len(rest.x), state.equal(without))
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "scratch:", err)
		os.Exit(1)
	}
}
