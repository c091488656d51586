package detect

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
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
// Fits on: Table N×D with at least 2 different rows, D ≥ 1; labels are ignored.
// Score:   N values > 0, dimensionless, about 1 inside a cluster, higher = sparser than the neighbours. A training row counts as its own nearest neighbour.
// Errors:  ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: exactly Neighbors rows are looked at, where the paper takes all that tie for the last place, as scikit-learn does. Where more than Neighbors rows are equal, the density would be infinite and a ratio undefined: no mean reachability distance counts as less than 1e-10 of the mean one, so copies score 1 among themselves, as in the limit of rows ever closer, and units do not matter; scikit-learn adds 1e-10 to distances in whatever unit they are. Only rows that were not trained on are meant to be scored, as with scikit-learn's novelty=True.
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
	if err := readyRows(ctx, train, 1); err != nil {
		return nil, err
	}
	n, d := train.Dims()
	m := &LOFModel{n: n, d: d, rows: canonicalRows(train)}
	if slices.Equal(m.rows[:d], m.rows[(n-1)*d:]) {
		return nil, collapsedRows(n)
	}
	m.rows = lofSpread(m.rows, n, d)
	k := min(c.Neighbors, n-1)
	m.neighbors = k
	m.far, m.reach, _ = part.Reachability(m.rows, n, d, k)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	mean := 0.0
	for _, v := range m.reach {
		mean += v / float64(n)
	}
	if m.floor = lofFloor * mean; m.floor == 0 { // every row has more copies than neighbours: any positive number gives the limit
		m.floor = lofFloor
	}
	return m, nil
}

// lofSpread takes rows in steps that end up visiting all of them: rows that were next to one another come far apart. The
// search for neighbours goes from block to block, and is slow where each block is nearer than the one before.
func lofSpread(rows []float32, n, d int) []float32 {
	step := max(1, n*5/8)
	for common := 0; common != 1; step++ {
		common = step + 1
		for b := n; b != 0; {
			common, b = b, common%b
		}
	}
	out := make([]float32, 0, n*d)
	for i := range n {
		at := i * step % n * d
		out = append(out, rows[at:at+d]...)
	}
	return out
}

// lofFloor is the least reachability distance, as a share of the mean over the training rows: it stands for the limit of
// copies that lie ever closer.
const lofFloor = 1e-10

// LOFModel is a fitted [LOF].
type LOFModel struct {
	n, d      int
	neighbors int
	rows      []float32 // N×D
	far       []float64 // N: the distance to the k-th nearest other row, definition 3
	reach     []float64 // N: the mean reachability distance, the inverse of definition 6's density
	floor     float64
}

// Score returns each row's local outlier factor: definition 7.
func (m *LOFModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("lof", in, m.d); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := m.neighbors
	out := make([]float64, n)
	num.NearestEach(in.X(), n, m.rows, m.n, m.d, k, func(i int, squared []float64, nearest []int32) {
		density := 0.0
		for _, o := range nearest {
			density += 1 / max(m.reach[o], m.floor)
		}
		out[i] = max(part.MeanReachability(m.far, squared, nearest), m.floor) * density / float64(k)
	})
	return out, nil
}

// State returns the model as tensors.
func (m *LOFModel) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"rows":      data.Float32Tensor(m.rows, m.n, m.d),
		"far":       data.Float64Tensor(m.far, m.n),
		"reach":     data.Float64Tensor(m.reach, m.n),
		"neighbors": data.Int64Tensor([]int64{int64(m.neighbors)}, 1),
		"floor":     data.Float64Tensor([]float64{m.floor}, 1),
	}}
}

func loadLOF(_ LOF, st *data.Checkpoint) (*LOFModel, error) {
	rows, err := loadFloat32Tensor(st, "rows", -1, -1)
	if err != nil {
		return nil, err
	}
	shape := st.Tensors["rows"].Shape
	m := &LOFModel{n: shape[0], d: shape[1], rows: rows}
	r := st.Read()
	m.far, m.reach = r.Floats("far", m.n), r.Floats("reach", m.n)
	floor := r.Floats("floor", 1)
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
	m.neighbors, m.floor = int(k[0]), floor[0]
	if !(m.floor >= 1e-60) { // fits give no less, and the inverse must be finite
		return nil, fmt.Errorf("%w: the least reachability is %g", data.ErrFormat, m.floor)
	}
	for i, v := range m.reach {
		if v < 0 || m.far[i] < 0 {
			return nil, fmt.Errorf("%w: row %d has distance %g and reachability %g", data.ErrFormat, i+1, m.far[i], v)
		}
	}
	return m, nil
}
