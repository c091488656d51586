package detect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// readyRows is what every detector that keeps rows asks first: not cancelled, at least the given rows, and some column.
func readyRows(ctx context.Context, train *data.Table, rows int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, d := train.Dims()
	if n < rows {
		return fmt.Errorf("%w: table has %d rows to learn from, want at least %d", data.ErrShape, n, rows)
	}
	if d == 0 {
		return fmt.Errorf("%w: no feature columns to learn from", data.ErrShape)
	}
	return nil
}

// collapsedRows is the error of a fit whose every training row would score the same because no column varies.
func collapsedRows(n int) error {
	return fmt.Errorf("%w: all %d rows are equal, so they would all score the same", method.ErrDegenerate, n)
}

// canonicalOrder lists the rows of x (n×d) in the order of their values, the first column first. What is built on this order
// depends neither on the order in which rows were read nor, so far as values stay exact, on where zero lies.
func canonicalOrder(x []float32, n, d int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		ra, rb := x[a*d:a*d+d], x[b*d:b*d+d]
		for j, v := range ra {
			if v != rb[j] {
				return cmp.Compare(v, rb[j])
			}
		}
		return 0
	})
	return order
}

// canonicalRows returns the rows of a table in canonical order, without negative zeros, N×D.
func canonicalRows(train *data.Table) []float32 {
	n, d := train.Dims()
	x := make([]float32, 0, n*d)
	for _, i := range canonicalOrder(train.X(), n, d) {
		for _, v := range train.Row(i) {
			x = append(x, v+0) // −0 + 0 is 0
		}
	}
	return x
}

// sortColumn sorts values that are no NaN.
func sortColumn(x []float32) {
	const digit, many = 11, 1024
	if len(x) < many {
		slices.Sort(x)
		return
	}
	// Least significant digit first, on bits turned so that they order as the numbers do.
	a, b := make([]uint32, len(x)), make([]uint32, len(x))
	var counts [3][1 << digit]int32
	for i, v := range x {
		k := math.Float32bits(v)
		k ^= uint32(int32(k)>>31) | 1<<31
		a[i] = k
		for pass := range counts {
			counts[pass][k>>(digit*pass)&(1<<digit-1)]++
		}
	}
	for pass := range counts {
		at := int32(0)
		for k, c := range counts[pass] {
			counts[pass][k] = at
			at += c
		}
		for _, k := range a {
			place := &counts[pass][k>>(digit*pass)&(1<<digit-1)]
			b[*place] = k
			*place++
		}
		a, b = b, a
	}
	for i, k := range a {
		x[i] = math.Float32frombits(k ^ (^uint32(int32(k)>>31) | 1<<31))
	}
}

// columnTails are the empirical distributions of columns: how surprising a value is from below and from above.
type columnTails struct {
	n, d        int
	ranks       []int     // Q, of the values that are kept, counted from 1: all N, or fewer
	values      []float32 // D×Q, ascending
	right       []bool    // D: the third central moment is not negative
	left, above []float64 // Q+1: the surprise from below and from above, by how many kept values are ≤ and < the value
}

// fitColumnTails sorts every column. With a tolerance it keeps only as many values as let no surprise be off by more.
func fitColumnTails(ctx context.Context, train *data.Table, tolerance float64) (*columnTails, error) {
	if err := readyRows(ctx, train, 1); err != nil {
		return nil, err
	}
	n, d := train.Dims()
	t := &columnTails{n: n, d: d, ranks: columnRanks(n, tolerance), right: make([]bool, d)}
	q := len(t.ranks)
	t.values = make([]float32, d*q)
	x, varies := train.X(), make([]bool, d)
	num.Parallel(d, 1+4096/n, func(lo, hi int) {
		column := make([]float32, n)
		for j := lo; j < hi; j++ {
			for i := range column {
				column[i] = x[i*d+j] + 0 // no negative zero
			}
			sortColumn(column)
			varies[j] = column[0] != column[n-1]
			t.right[j] = columnThirdMoment(column) >= 0
			for k, rank := range t.ranks {
				t.values[j*q+k] = column[rank-1]
			}
		}
	})
	if !slices.Contains(varies, true) {
		return nil, collapsedRows(n)
	}
	t.surprises()
	return t, nil
}

// columnRanks are the ranks of N sorted values that are kept: all of them without a tolerance, else those at which counting
// from either end takes another step of e^tolerance.
func columnRanks(n int, tolerance float64) (ranks []int) {
	if tolerance == 0 {
		for r := range n {
			ranks = append(ranks, r+1)
		}
		return ranks
	}
	half := (n + 1) / 2
	for r := 1; r <= half; r = max(r+1, int(math.Min(float64(r)*math.Exp(tolerance), float64(n+1)))) {
		ranks = append(ranks, r, n+1-r)
	}
	ranks = append(ranks, half, n+1-half)
	slices.Sort(ranks)
	return slices.Compact(ranks)
}

// columnThirdMoment is Σ(x − mean)³ of sorted values, in units of their range.
func columnThirdMoment(sorted []float32) float64 {
	low, span := float64(sorted[0]), float64(sorted[len(sorted)-1])-float64(sorted[0])
	if span == 0 {
		return 0
	}
	mean := 0.0
	for _, v := range sorted {
		mean += (float64(v) - low) / span
	}
	mean /= float64(len(sorted))
	sum := 0.0
	for _, v := range sorted {
		e := (float64(v)-low)/span - mean
		sum += e * e * e
	}
	return sum
}

// surprises fills in −log of the share of rows, the asked one among them, that lie as far out.
func (t *columnTails) surprises() {
	q := len(t.ranks)
	t.left, t.above = make([]float64, q+1), make([]float64, q+1)
	whole := math.Log(float64(t.n + 1))
	for k := range q + 1 {
		below, beyond := 0, 0
		if k > 0 {
			below = t.ranks[k-1]
		}
		if k < q {
			beyond = t.n + 1 - t.ranks[k]
		}
		t.left[k], t.above[k] = whole-math.Log(float64(1+below)), whole-math.Log(float64(1+beyond))
	}
}

// columnRows is how many rows go through a column at a time, so that its values stay in the nearest cache.
const columnRows = 512

// score adds up, column by column, what fold makes of a value's surprise from below and from above into three sums a row,
// and returns what total makes of these.
func (t *columnTails) score(in *data.Table, fold func(sums *[3]float64, left, above float64, right bool), total func(sums [3]float64) float64) []float64 {
	n, d := in.Dims()
	x, q := in.X(), len(t.ranks)
	out := make([]float64, n)
	num.Parallel(n, 1+(1<<14)/d, func(from, to int) {
		var sums [columnRows][3]float64
		for lo := from; lo < to; lo += columnRows {
			hi := min(lo+columnRows, to)
			clear(sums[:])
			for j := range d {
				column := t.values[j*q : (j+1)*q]
				for i := lo; i < hi; i++ {
					v := x[i*d+j]
					less := columnLess(column, v)
					equal := less
					if less < q && column[less] == v {
						equal += columnNotAbove(column[less:], v)
					}
					fold(&sums[i-lo], t.left[equal], t.above[less], t.right[j])
				}
			}
			for i := lo; i < hi; i++ {
				out[i] = total(sums[i-lo])
			}
		}
	})
	return out
}

// columnLess returns how many of the sorted values lie below v.
func columnLess(sorted []float32, v float32) int {
	at, size := 0, len(sorted)
	for size > 0 {
		half := (size + 1) / 2
		if sorted[at+half-1] < v {
			at += half
		}
		size -= half
	}
	return at
}

// columnNotAbove returns how many of the sorted values are at most v.
func columnNotAbove(sorted []float32, v float32) int {
	at, size := 0, len(sorted)
	for size > 0 {
		half := (size + 1) / 2
		if sorted[at+half-1] <= v {
			at += half
		}
		size -= half
	}
	return at
}

// state returns the distributions as tensors.
func (t *columnTails) state() *data.Checkpoint {
	right, ranks := make([]int64, t.d), make([]int64, len(t.ranks))
	for j, is := range t.right {
		if is {
			right[j] = 1
		}
	}
	for k, r := range t.ranks {
		ranks[k] = int64(r)
	}
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"rows":   data.Int64Tensor([]int64{int64(t.n)}, 1),
		"ranks":  data.Int64Tensor(ranks, len(ranks)),
		"values": data.Float32Tensor(t.values, t.d, len(ranks)),
		"right":  data.Int64Tensor(right, t.d),
	}}
}

func loadColumnTails(st *data.Checkpoint) (*columnTails, error) {
	rows, _, err := st.Ints("rows", 1)
	if err != nil {
		return nil, err
	}
	ranks, _, err := st.Ints("ranks", -1)
	if err != nil {
		return nil, err
	}
	right, _, err := st.Ints("right", -1)
	if err != nil {
		return nil, err
	}
	t := &columnTails{n: int(rows[0]), d: len(right), right: make([]bool, len(right))}
	if t.values, err = loadFloat32Tensor(st, "values", len(right), len(ranks)); err != nil {
		return nil, err
	}
	for j, is := range right {
		t.right[j] = is == 1
	}
	for k, r := range ranks {
		if r < 1 || r > rows[0] || k > 0 && r <= ranks[k-1] {
			return nil, fmt.Errorf("%w: value %d of a column has rank %d of %d rows", data.ErrFormat, k+1, r, rows[0])
		}
		t.ranks = append(t.ranks, int(r))
	}
	if t.d == 0 || len(ranks) == 0 || t.n > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d columns of %d values of %d rows", data.ErrShape, t.d, len(ranks), t.n)
	}
	t.surprises()
	return t, nil
}

// loadFloat32Tensor reads a tensor of finite float32 numbers; wider ones could narrow to infinity.
func loadFloat32Tensor(st *data.Checkpoint, name string, shape ...int) ([]float32, error) {
	r := st.Read()
	v := r.Float32s(name, shape...)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if t := st.Tensors[name].DType; t != data.F32 {
		return nil, fmt.Errorf("%w: tensor %q is %s, want %s", data.ErrFormat, name, t, data.F32)
	}
	return v, nil
}

// addColumnTails adds up the surprises from below, from above, and from the side to which the column is skewed.
func addColumnTails(sums *[3]float64, left, above float64, right bool) {
	sums[0] += left
	sums[1] += above
	if right {
		sums[2] += above
	} else {
		sums[2] += left
	}
}

// largestColumnTotal is the greatest of the three.
func largestColumnTotal(sums [3]float64) float64 { return max(sums[0], sums[1], sums[2]) }
