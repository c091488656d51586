package weights

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// matrixOf reads a tensor of two dimensions and more as a matrix: rows are the first dimension, what is behind it flat.
func matrixOf(who, name string, t data.Tensor) (a []float64, m, n int, err error) {
	if a, err = t.Float64s(); err != nil {
		return nil, 0, 0, fmt.Errorf("%s, tensor %q: %w", who, name, err)
	}
	for i, x := range a {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, 0, 0, fmt.Errorf("%s, tensor %q: element %d is %v, %w", who, name, i, x, data.ErrFinite)
		}
	}
	m = t.Shape[0]
	if m > 0 {
		n = len(a) / m
	}
	return a, m, n, nil
}

// activity is what the matrices of a network read, as a moments state tells it.
type activity struct {
	who   string
	state *moments.State
	place map[string]int // of columns, by name
}

// newActivity reads a moments state. Its columns are named after what reads them: NAME.j is what column j of the matrix NAME is
// multiplied with.
func newActivity(who string, c *data.Checkpoint) (*activity, error) {
	if c == nil {
		return nil, fmt.Errorf("%w: %s is missing", method.ErrInput, who)
	}
	s, err := moments.FromCheckpoint(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", who, err)
	}
	if s.Rows() == 0 {
		return nil, fmt.Errorf("%s: %w: it has seen no rows", who, data.ErrShape)
	}
	a := &activity{who, s, map[string]int{}}
	for j, name := range s.Columns() {
		a.place[name] = j
	}
	return a, nil
}

// block finds the columns that a matrix with n columns reads; false when the state does not know the matrix. A state without names of
// that form, of exactly n columns, is about the network's only matrix.
func (a *activity) block(name string, n int, only bool) ([]int, bool, error) {
	if _, ok := a.place[name+".0"]; !ok {
		if d, _ := a.state.Dims(); only && d == n {
			all := make([]int, n)
			for j := range all {
				all[j] = j
			}
			return all, true, nil
		}
		return nil, false, nil
	}
	columns := make([]int, n)
	for j := range columns {
		k, ok := a.place[fmt.Sprintf("%s.%d", name, j)]
		if !ok {
			return nil, false, fmt.Errorf("%s: %w: column %s.%d is missing, the tensor has %d columns", a.who, data.ErrShape, name, j, n)
		}
		columns[j] = k
	}
	return columns, true, nil
}

// squares returns the mean squares of columns.
func (a *activity) squares(columns []int) []float64 {
	mean, variance := a.state.Mean(), a.state.Variance()
	out := make([]float64, len(columns))
	for i, j := range columns {
		out[i] = max(variance[j], 0) + mean[j]*mean[j]
	}
	return out
}

// gram returns the mean products of columns, n×n.
func (a *activity) gram(columns []int) []float64 {
	d, _ := a.state.Dims()
	mean, cov := a.state.Mean(), a.state.Covariance()
	n := len(columns)
	g := make([]float64, n*n)
	for i, p := range columns {
		for j, q := range columns {
			g[i*n+j] = cov[p*d+q] + mean[p]*mean[q]
		}
	}
	return g
}

// matrices counts the floating-point tensors with two dimensions or more.
func matrices(c *data.Checkpoint) (count int) {
	for _, t := range c.Tensors {
		if t.DType.Float() && len(t.Shape) > 1 {
			count++
		}
	}
	return count
}
