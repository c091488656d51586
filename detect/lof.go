package detect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "how much sparser a row lies than its nearest training rows do",
	Paper: "breunig2000lof",
}, LOF.Fit, loadLOF))

// LOF scores how much sparser a row's place is than the places of its nearest training rows: the local outlier factor.
//
// It is the detector of Breunig et al. (2000): being far from others is judged by how far these are from theirs, so that one
// threshold serves clusters of different density. It keeps the rows, N·D values; O(N²·D) to fit, O(N·D) a row to score, never
// holding N×N distances. Prefer it to [KNN] when clusters differ in density; columns should share a unit.
//
// Fits on: Table N×D with at least 2 different rows, D ≥ 1; labels are ignored. Rows that repeat count once.
// Score:   N values > 0, dimensionless, about 1 inside a cluster, higher = sparser than the neighbours. A training row counts as its own nearest neighbour.
// Errors:  ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: exactly Neighbors rows are looked at, where the paper takes all that tie for the last place, as scikit-learn does. Rows that repeat would have infinite density: they are kept once, so the k nearest are k different rows, the remedy that the paper names; scikit-learn keeps them and adds 1e-10 to distances. Only rows that were not trained on are meant to be scored, as with scikit-learn's novelty=True.
// Source:  breunig2000lof, definitions 3-7.
// Claim:   claims/detect/lof.go.
type LOF struct {
	// Neighbors is the paper's MinPts: how many nearest rows give the density; all others when there are fewer. From 10 on chance evens out, and no cluster smaller than this can look dense; the paper tries 10 to 50.
	Neighbors int `default:"20" range:"[1,1e9]"`
}

// Fit measures how dense each training row's place is.
func (c LOF) Fit(ctx context.Context, train *data.Table) (*LOFModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ready(ctx, train, 1); err != nil {
		return nil, err
	}
	all, d := train.Dims()
	m := &LOFModel{d: d}
	for at, x := 0, canonicalRows(train); at < len(x); at += d {
		if m.n == 0 || !slices.Equal(x[at:at+d], m.rows[(m.n-1)*d:]) {
			m.rows, m.n = append(m.rows, x[at:at+d]...), m.n+1
		}
	}
	if m.n == 1 {
		return nil, collapsed(all)
	}
	k := min(c.Neighbors, m.n-1)
	squared, index := make([]float64, m.n*(k+1)), make([]int32, m.n*(k+1))
	num.Nearest(squared, index, m.rows, m.n, m.rows, m.n, d, k+1)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.far, m.reach = make([]float64, m.n), make([]float64, m.n)
	for i := range m.far { // each row is its own nearest: no other one is equal
		m.far[i] = math.Sqrt(squared[i*(k+1)+k])
	}
	for i := range m.reach {
		m.reach[i] = m.reachability(squared[i*(k+1)+1:(i+1)*(k+1)], index[i*(k+1)+1:(i+1)*(k+1)])
	}
	m.neighbors = k
	return m, nil
}

// LOFModel is a fitted [LOF].
type LOFModel struct {
	n, d      int
	neighbors int
	rows      []float32 // N×D, all different
	far       []float64 // N: the distance to the k-th nearest other row, definition 3
	reach     []float64 // N: the mean reachability distance, the inverse of definition 6's density
}

// reachability is the mean of definition 5's distances from a place to its nearest rows.
func (m *LOFModel) reachability(squared []float64, index []int32) float64 {
	sum := 0.0
	for s, o := range index {
		sum += max(m.far[o], math.Sqrt(squared[s]))
	}
	return sum / float64(len(index))
}

// lofRows is how many rows are scored at a time: it bounds the memory that their neighbours take.
const lofRows = 1024

// Score returns each row's local outlier factor: definition 7.
func (m *LOFModel) Score(in *data.Table) ([]float64, error) {
	if err := width("lof", in, m.d); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := m.neighbors
	out := make([]float64, n)
	block := min(n, lofRows)
	squared, index := make([]float64, block*k), make([]int32, block*k)
	for lo := 0; lo < n; lo += lofRows {
		rows := min(lofRows, n-lo)
		num.Nearest(squared, index, in.X()[lo*m.d:(lo+rows)*m.d], rows, m.rows, m.n, m.d, k)
		for i := range rows {
			nearest, density := index[i*k:(i+1)*k], 0.0
			for _, o := range nearest {
				density += 1 / m.reach[o]
			}
			out[lo+i] = m.reachability(squared[i*k:(i+1)*k], nearest) * density / float64(k)
		}
	}
	return out, nil
}

// State returns the model as tensors.
func (m *LOFModel) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"rows":      data.Float32Tensor(m.rows, m.n, m.d),
		"far":       data.Float64Tensor(m.far, m.n),
		"reach":     data.Float64Tensor(m.reach, m.n),
		"neighbors": data.Int64Tensor([]int64{int64(m.neighbors)}, 1),
	}}
}

func loadLOF(_ LOF, st *data.Checkpoint) (*LOFModel, error) {
	rows, err := loadFloat32s(st, "rows", -1, -1)
	if err != nil {
		return nil, err
	}
	shape := st.Tensors["rows"].Shape
	m := &LOFModel{n: shape[0], d: shape[1], rows: rows}
	r := st.Read()
	m.far, m.reach = r.Floats("far", m.n), r.Floats("reach", m.n)
	if err := r.Err(); err != nil {
		return nil, err
	}
	k, _, err := st.Ints("neighbors", 1)
	if err != nil {
		return nil, err
	}
	if m.d == 0 || k[0] < 1 || k[0] > int64(m.n) {
		return nil, fmt.Errorf("%w: %d neighbours among %d rows of %d columns", data.ErrShape, k[0], m.n, m.d)
	}
	m.neighbors = int(k[0])
	for i, v := range m.reach {
		if !(v > 0) || m.far[i] < 0 {
			return nil, fmt.Errorf("%w: row %d has distance %g and reachability %g", data.ErrFormat, i+1, m.far[i], v)
		}
	}
	return m, nil
}
