package world

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Mixture is Gaussian classes under one covariance, all of it known: the best possible answers can be computed.
type Mixture struct {
	// Seed moves means and covariance. Classes and Dim are at least 1.
	Seed         uint64
	Classes, Dim int
	// Separation is the Mahalanobis distance between any two means, as long as there are no more classes than dimensions;
	// on average beyond. The best accuracy on two equally frequent classes is Φ(Separation/2).
	Separation float64
	// Condition is the covariance's largest eigenvalue over its smallest, eigenvalues falling geometrically, of mean 1; 0 = 1.
	Condition float64
	// Imbalance is the most frequent class's share over the rarest one's, shares falling geometrically; 0 = 1.
	Imbalance float64
	// LabelNoise is the share of rows whose label is another class's, at random.
	LabelNoise float64
}

// Shares returns how frequent each class is, K values that sum to one.
func (m Mixture) Shares() []float64 {
	s, total := make([]float64, m.Classes), 0.0
	for c := range s {
		s[c] = math.Pow(max(m.Imbalance, 1), -float64(c)/float64(max(m.Classes-1, 1)))
		total += s[c]
	}
	for c := range s {
		s[c] /= total
	}
	return s
}

// root returns the D×D matrix A of x = A·(u + z): its product with its transpose is the covariance, and its two sides are
// rotated at random, so that neither axes nor classes lie along its long or short directions.
func (m Mixture) root() []float64 {
	d := m.Dim
	left, right := m.rotation(0), m.rotation(1)
	scale, total := make([]float64, d), 0.0
	for j := range scale {
		scale[j] = math.Pow(max(m.Condition, 1), -float64(j)/float64(max(d-1, 1)))
		total += scale[j] / float64(d)
	}
	for j := range d {
		for k := range d {
			right[j*d+k] *= math.Sqrt(scale[j] / total)
		}
	}
	a := make([]float64, d*d)
	num.Gemm(true, false, d, d, d, 1, left, d, right, d, 0, a, d)
	return a
}

// rotation returns one of the mixture's random orthogonal D×D matrices.
func (m Mixture) rotation(which uint64) []float64 {
	d := m.Dim
	r, q := random(m.Seed, 5, which), make([]float64, d*d)
	for i := range d {
		row := q[i*d : i*d+d]
		for j := range row {
			row[j] = r.NormFloat64()
		}
		for range 2 { // once would leave what rounding puts back
			for k := range i {
				other, dot := q[k*d:k*d+d], 0.0
				for j, v := range row {
					dot += v * other[j]
				}
				for j, v := range other {
					row[j] -= dot * v
				}
			}
		}
		length := math.Sqrt(num.SquaredNorm(row))
		for j := range row {
			row[j] /= length
		}
	}
	return q
}

// centre returns u of a class: its mean where the covariance is the identity. Classes beyond Classes are strangers, as far
// from all others as these are from each other.
func (m Mixture) centre(class int) []float64 {
	u := make([]float64, m.Dim)
	if class < m.Dim {
		u[class] = m.Separation / math.Sqrt2
		return u
	}
	r := random(m.Seed, 6, uint64(class))
	for j := range u {
		u[j] = r.NormFloat64()
	}
	length := math.Sqrt(num.SquaredNorm(u))
	for j := range u {
		u[j] *= m.Separation / (length * math.Sqrt2)
	}
	return u
}

// Mean returns a class's mean, D values.
func (m Mixture) Mean(class int) []float64 { return apply(m.root(), m.centre(class)) }

// Covariance returns the covariance about every class's mean, D×D.
func (m Mixture) Covariance() []float64 {
	d, a := m.Dim, m.root()
	c := make([]float64, d*d)
	num.Gemm(false, true, d, d, d, 1, a, d, a, d, 0, c, d)
	return c
}

func apply(a, v []float64) []float64 {
	d := len(v)
	out := make([]float64, d)
	for i := range out {
		for j, x := range v {
			out[i] += a[i*d+j] * x
		}
	}
	return out
}

// Truth returns the classes of rows 0 to n−1, before any label noise.
func (m Mixture) Truth(n int, seed uint64) []int {
	shares, truth := m.Shares(), make([]int, n)
	for i := range truth {
		v := random(seed, 7, m.Seed, uint64(i)).Float64()
		for truth[i] < m.Classes-1 && v >= shares[truth[i]] {
			v -= shares[truth[i]]
			truth[i]++
		}
	}
	return truth
}

// Labels returns the labels of rows 0 to n−1: the truth, with label noise.
func (m Mixture) Labels(n int, seed uint64) []int {
	labels := m.Truth(n, seed)
	for i := range labels {
		if r := random(seed, 8, m.Seed, uint64(i)); m.Classes > 1 && r.Float64() < m.LabelNoise {
			labels[i] = (labels[i] + 1 + r.IntN(m.Classes-1)) % m.Classes
		}
	}
	return labels
}

// Table returns rows 0 to n−1, labelled by class number. Features do not depend on the label noise.
func (m Mixture) Table(n int, seed uint64) (*data.Table, error) {
	return m.table(n, seed, func(int, []float64) {})
}

// Class returns n rows of one class, n×D; a class of Classes or more is one that no table shows.
func (m Mixture) Class(class, n int, seed uint64) []float32 {
	return m.features(slices.Repeat([]int{class}, n), seed, func(int, []float64) {})
}

func (m Mixture) table(n int, seed uint64, change func(row int, v []float64)) (*data.Table, error) {
	t, err := data.NewTable(n, m.Dim, m.features(m.Truth(n, seed), seed, change))
	if err != nil {
		return nil, err
	}
	names := make([]string, m.Classes)
	for c := range names {
		names[c] = strconv.Itoa(c)
	}
	return t.WithLabels(m.Labels(n, seed), names)
}

// features draws a row for each class listed; change may move a row where the covariance is the identity.
func (m Mixture) features(classes []int, seed uint64, change func(row int, v []float64)) []float32 {
	d, a := m.Dim, m.root()
	centres := map[int][]float64{}
	for _, c := range classes {
		if centres[c] == nil {
			centres[c] = m.centre(c)
		}
	}
	x := make([]float32, len(classes)*d)
	num.Parallel(len(classes), 64, func(lo, hi int) {
		v := make([]float64, d)
		for i := lo; i < hi; i++ {
			r := random(seed, 9, m.Seed, uint64(i))
			for j := range v {
				v[j] = r.NormFloat64()
			}
			change(i, v)
			for j, u := range centres[classes[i]] {
				v[j] += u
			}
			for j, y := range apply(a, v) {
				x[i*d+j] = float32(y)
			}
		}
	})
	return x
}

// Drift is a stream of a mixture's rows that changes on the way. Up to the change its rows are the mixture's own.
type Drift struct {
	Mixture
	// Kind is "mean", all rows move in one direction, or "covariance", half of the directions widen.
	Kind string
	// Row is the first row that is changed, Over how many rows the change takes to grow to its full size; 0 = at once.
	Row, Over int
	// Size is the move in standard deviations, or the logarithm of the factor by which deviations widen.
	Size float64
}

// Table returns rows 0 to n−1. Errors: an unknown kind.
func (d Drift) Table(n int, seed uint64) (*data.Table, error) {
	way := random(d.Seed, 10)
	direction := make([]float64, d.Dim)
	for j := range direction {
		direction[j] = way.NormFloat64()
	}
	length := math.Sqrt(num.SquaredNorm(direction))
	var change func(amount float64, v []float64)
	switch d.Kind {
	case "mean":
		change = func(amount float64, v []float64) {
			for j := range v {
				v[j] += amount * direction[j] / length
			}
		}
	case "covariance":
		change = func(amount float64, v []float64) {
			for j := range v[:(len(v)+1)/2] {
				v[j] *= math.Exp(amount)
			}
		}
	default:
		return nil, fmt.Errorf("drift of kind %q is neither mean nor covariance", d.Kind)
	}
	return d.table(n, seed, func(row int, v []float64) {
		if grown := d.Grown(row); grown > 0 {
			change(grown*d.Size, v)
		}
	})
}

// Grown returns how much of the change has happened at a row, 0 to 1.
func (d Drift) Grown(row int) float64 {
	switch {
	case row < d.Row:
		return 0
	case row >= d.Row+d.Over:
		return 1
	}
	return float64(row-d.Row+1) / float64(d.Over+1)
}
