package choose

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// heldClasses draws a third of the classes, at least one; nil unless at least 3 have enough rows. Two are always left.
func heldClasses(t *data.Table, order []int, r *rand.Rand) map[int]bool {
	if !t.HasLabels() {
		return nil
	}
	labels, err := t.Labels()
	if err != nil {
		return nil // rows without a label: nothing says what to hold out
	}
	count := make([]int, len(t.Classes()))
	for _, i := range order {
		if labels[i] >= 0 {
			count[labels[i]]++
		}
	}
	var enough []int
	for c, n := range count {
		if n >= fewest {
			enough = append(enough, c)
		}
	}
	if len(enough) < 3 {
		return nil
	}
	r.Shuffle(len(enough), func(i, j int) { enough[i], enough[j] = enough[j], enough[i] })
	held := map[int]bool{}
	for _, c := range enough[:max(len(enough)/3, 1)] {
		held[c] = true
	}
	return held
}

// regionShare is how many of the rows a region takes.
const regionShare = 0.2

// regionOf marks the rows nearest to one that is drawn, with all columns in units of their deviation.
func regionOf(t *data.Table, order []int, r *rand.Rand) []bool {
	_, d := t.Dims()
	_, deviation := columnsOf(t, order)
	center := t.Row(order[r.IntN(len(order))])
	type place struct {
		at       int
		distance float64
	}
	places := make([]place, len(order))
	for k, i := range order {
		places[k].at = k
		for j, v := range t.Row(i)[:d] {
			if deviation[j] > 0 {
				e := (float64(v) - float64(center[j])) / deviation[j]
				places[k].distance += e * e
			}
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return cmp.Compare(a.distance, b.distance) })
	held := make([]bool, len(order))
	for _, p := range places[:int(regionShare*float64(len(order)))] {
		held[p.at] = true
	}
	return held
}

// columnsOf returns the columns' means and standard deviations over some rows.
func columnsOf(t *data.Table, rows []int) (mean, deviation []float64) {
	_, d := t.Dims()
	mean, deviation = make([]float64, d), make([]float64, d)
	first := t.Row(rows[0]) // relative to a row, so that no digits are lost far from zero
	for _, i := range rows {
		for j, v := range t.Row(i) {
			mean[j] += (float64(v) - float64(first[j])) / float64(len(rows))
		}
	}
	for _, i := range rows {
		for j, v := range t.Row(i) {
			e := float64(v) - float64(first[j]) - mean[j]
			deviation[j] += e * e / float64(len(rows))
		}
	}
	for j := range mean {
		mean[j] += float64(first[j])
		deviation[j] = math.Sqrt(deviation[j])
	}
	return mean, deviation
}

// made lists the stand-ins that are made of familiar rows, each unlike them in one way. They keep what the others spoil.
var made = []struct {
	name string
	make func(learn, ask *data.Table, r *rand.Rand) (*data.Table, error)
}{
	{"permuted", permuted},
	{"extrapolated", extrapolated},
	{"wide", wide},
	{"spiked", spiked},
}

// permuted shuffles every column by itself: each value is a familiar one, their combinations are not.
func permuted(_, ask *data.Table, r *rand.Rand) (*data.Table, error) {
	n, d := ask.Dims()
	x := slices.Clone(ask.X())
	for j := range d {
		r.Shuffle(n, func(a, b int) { x[a*d+j], x[b*d+j] = x[b*d+j], x[a*d+j] })
	}
	return data.NewTable(n, d, x)
}

// extrapolated moves each row away from another, by half of what lies between them: combinations stay, and reach farther.
func extrapolated(_, ask *data.Table, r *rand.Rand) (*data.Table, error) {
	n, d := ask.Dims()
	x := make([]float32, 0, n*d)
	for i := range n {
		other := ask.Row((i + 1 + r.IntN(n-1)) % n)
		for j, v := range ask.Row(i) {
			x = append(x, finite(float64(v)+(float64(v)-float64(other[j]))/2))
		}
	}
	return data.NewTable(n, d, x)
}

// wide draws rows from Gaussians of the learned columns' means and twice their deviations, every column by itself.
func wide(learn, ask *data.Table, r *rand.Rand) (*data.Table, error) {
	n, d := ask.Dims()
	mean, deviation := columnsOf(learn, allRows(learn))
	x := make([]float32, 0, n*d)
	for range n {
		for j := range d {
			x = append(x, finite(mean[j]+2*deviation[j]*r.NormFloat64()))
		}
	}
	return data.NewTable(n, d, x)
}

// spikedShare of the columns, and by how many deviations they move.
const spikedShare, spikedBy = 0.1, 3

// spiked moves a tenth of each row's columns, at least one, by three deviations up or down; the others stay.
func spiked(learn, ask *data.Table, r *rand.Rand) (*data.Table, error) {
	n, d := ask.Dims()
	_, deviation := columnsOf(learn, allRows(learn))
	var vary []int
	for j, v := range deviation {
		if v > 0 {
			vary = append(vary, j)
		}
	}
	if len(vary) == 0 {
		learned, _ := learn.Dims()
		return nil, fmt.Errorf("%w: all %d rows learned from are equal", method.ErrDegenerate, learned)
	}
	x := slices.Clone(ask.X())
	for i := range n {
		for k := range max(int(spikedShare*float64(len(vary))), 1) {
			swap := k + r.IntN(len(vary)-k)
			vary[k], vary[swap] = vary[swap], vary[k]
			j := vary[k]
			by := spikedBy * deviation[j]
			if r.IntN(2) == 0 {
				by = -by
			}
			x[i*d+j] = finite(float64(x[i*d+j]) + by)
		}
	}
	return data.NewTable(n, d, x)
}

func allRows(t *data.Table) []int {
	n, _ := t.Dims()
	rows := make([]int, n)
	for i := range rows {
		rows[i] = i
	}
	return rows
}

// finite keeps a value that leaves float32's range at its end.
func finite(v float64) float32 {
	return float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
}
