package detect

import (
	"cmp"
	"math"
	"slices"
)

// activations is how a row of activations is shaped by its own largest ones: what the methods of one line of work share.
// Units that a ReLU would have silenced count as silent: sums over activations of both signs say nothing.
type activations struct {
	sum    float64 // of all
	top    float64 // of the kept
	places []int   // of the kept, the largest, in no order
}

// shapeOf keeps the largest activations but a share q of a row, at least one; of equal ones those with the lower column. It
// sets what a ReLU would silence to zero.
func shapeOf(row []float64, q float64) (a activations) {
	d := len(row)
	for j, v := range row {
		row[j] = max(v, 0)
		a.sum += row[j]
	}
	kept := max(d-int(math.RoundToEven(float64(d)*q)), 1)
	order := make([]int, d)
	for j := range order {
		order[j] = j
	}
	slices.SortFunc(order, func(i, j int) int {
		if row[i] != row[j] {
			return cmp.Compare(row[j], row[i])
		}
		return i - j
	})
	a.places = order[:kept]
	for _, j := range a.places {
		a.top += row[j]
	}
	return a
}

// keep sets all but the kept activations to zero.
func (a activations) keep(row []float64) {
	kept := make([]bool, len(row))
	for _, j := range a.places {
		kept[j] = true
	}
	for j := range row {
		if !kept[j] {
			row[j] = 0
		}
	}
}

// scale returns exp(sum of all/sum of the kept), 1 for a silent row. With at least a share of 1/200 kept it is below 1e87.
func (a activations) scale() float64 {
	if a.top == 0 {
		return 1
	}
	return math.Exp(a.sum / a.top)
}
