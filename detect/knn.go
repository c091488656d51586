package detect

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "distance to the k-th nearest training row",
	Paper:  "sun2022knn",
	Exempt: map[string]string{"far-from-zero": "rows are compared by their direction from zero, Algorithm 1; with NoNormalize nothing depends on where zero is"},
}, KNN.Fit, loadKNN))

// KNN scores how far a row lies from the k-th nearest of the training rows, all rows scaled to length one.
//
// It is the detector of Sun et al. (2022) on one layer of frozen features: it assumes no shape, needs no labels, keeps all
// N·D features, and scores a row in O(N·D). Prefer it when classes are no clouds or labels are missing; prefer
// [Mahalanobis] when N·D is too much to keep, or data must be forgotten.
//
// Fits on: Table N×D with N ≥ Neighbors and D ≥ 1; labels are ignored. A sample of a large training set does (the paper: 1 % of ImageNet).
// Score:   N values, Euclidean distance (not squared), in [0, 2] for rows of length one, higher = more unlike training. A training row counts as its own nearest neighbour.
// Errors:  ErrShape when the table has fewer rows than Neighbors, or no columns, and on another width.
// Differs: a row of zeros has no direction and stays zero, at distance 1 from every other; NoNormalize is ours. Exact search, no index.
// Source:  sun2022knn, Algorithm 1; miyai2023can, of what an encoder knows and the head does not, which the claim runs again.
// Claim:   claims/detect/knn.go.
type KNN struct {
	// Neighbors is the paper's k: which nearest row is measured. On real features of a hundred to a few thousand rows 1 did best and 5 nearly as well, without trusting single rows that may be odd; large k blurs what is rare. With N in the tens of thousands the paper takes 50, OpenOOD's choice too, and 200 and 1000 beyond.
	Neighbors int `default:"5" range:"[1,1e9]"`
	// NoNormalize measures rows as they are, for features whose length means something; without it only their direction counts. With Neighbors = 1 this is the nearest-neighbour detector of other libraries.
	NoNormalize bool
}

// Fit keeps the training rows.
func (c KNN) Fit(ctx context.Context, train *data.Table) (*KNNModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, d := train.Dims()
	if n < c.Neighbors {
		return nil, fmt.Errorf("%w: table has %d rows, --neighbors asks for %d; give more rows or a smaller --neighbors", data.ErrShape, n, c.Neighbors)
	}
	if d == 0 {
		return nil, fmt.Errorf("%w: no feature columns to learn from", data.ErrShape)
	}
	m := &KNNModel{n: n, d: d, neighbors: c.Neighbors, raw: c.NoNormalize}
	m.rows = m.scaled(train.X())
	return m, nil
}

// KNNModel is a fitted [KNN].
type KNNModel struct {
	n, d      int
	rows      []float32 // N×D, each of length one unless raw
	neighbors int
	raw       bool
}

// scaled returns the rows of x as they are compared.
func (m *KNNModel) scaled(x []float32) []float32 {
	if m.raw {
		return x
	}
	return lengthOne(x, m.d)
}

// Score returns each row's distance to the k-th nearest training row.
func (m *KNNModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("knn", in, m.d); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := m.neighbors
	out := make([]float64, n)
	num.NearestEach(m.scaled(in.X()), n, m.rows, m.n, m.d, k, func(i int, squared []float64, _ []int32) {
		out[i] = math.Sqrt(squared[k-1])
	})
	return out, nil
}

// State returns the model as tensors.
func (m *KNNModel) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"rows": data.Float32Tensor(m.rows, m.n, m.d)}}
}

func loadKNN(c KNN, st *data.Checkpoint) (*KNNModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := loadFloat32Tensor(st, "rows", -1, -1)
	if err != nil {
		return nil, err
	}
	shape := st.Tensors["rows"].Shape
	m := &KNNModel{n: shape[0], d: shape[1], rows: rows, neighbors: c.Neighbors, raw: c.NoNormalize}
	if m.d == 0 || m.n < c.Neighbors {
		return nil, fmt.Errorf("%w: %d rows of %d columns for %d neighbours", data.ErrShape, m.n, m.d, c.Neighbors)
	}
	return m, nil
}
