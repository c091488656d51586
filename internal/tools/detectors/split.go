package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
)

const (
	mostRows = 10_000
	learned  = 7 // of ten normal rows
)

// split is a file's rows for one seed.
type split struct {
	train  *data.Table
	test   *data.Table // the other normal rows, then the odd ones
	normal int         // of the test rows
}

// newSplit draws the rows of a file for a seed. Row by row it depends on the file's number and the seed alone.
func newSplit(table *data.Table, number, seed uint64) (*split, error) {
	labels, err := table.Labels()
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(seed, number))
	order := r.Perm(len(labels))
	var rows [2][]int
	for _, i := range order[:min(len(order), mostRows)] {
		rows[min(labels[i], 1)] = append(rows[min(labels[i], 1)], i)
	}
	known := len(rows[0]) * learned / 10
	normal := len(rows[0]) - known
	if known < 2 || normal < 1 || len(rows[1]) < 1 {
		return nil, fmt.Errorf("%w: %d normal and %d odd rows", data.ErrShape, len(rows[0]), len(rows[1]))
	}
	_, d := table.Dims()
	low, scale := make([]float64, d), make([]float64, d)
	train := table.Pick(rows[0][:known])
	for j := range d {
		high := float64(train.Row(0)[j])
		low[j] = high
		for i := range known {
			v := float64(train.Row(i)[j])
			low[j], high = min(low[j], v), max(high, v)
		}
		if scale[j] = 1; high > low[j] { // a constant column is moved to zero and keeps its unit
			scale[j] = 1 / (high - low[j])
		}
	}
	ranged := func(t *data.Table) (*data.Table, error) {
		n, _ := t.Dims()
		x := make([]float32, 0, n*d)
		for i := range n {
			for j, v := range t.Row(i) {
				x = append(x, float32((float64(v)-low[j])*scale[j]))
			}
		}
		return data.NewTable(n, d, x)
	}
	s := &split{normal: normal}
	if s.train, err = ranged(train); err != nil {
		return nil, err
	}
	s.test, err = ranged(table.Pick(append(rows[0][known:], rows[1]...)))
	return s, err
}
