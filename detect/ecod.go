package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "how far out in the tails of the training columns a row's values lie",
	Paper: "li2022ecod",
}, ECOD.Fit, loadECOD))

// ECOD scores how far out in the tails of the columns' empirical distributions a row's values lie, added up over columns.
//
// It is the detector of Li et al. (2022): no parameters to tune, no distances, no randomness; every column counts by its
// order alone, so units and monotone maps do not matter. O(D·N·log N) to fit, O(D·log N) a row to score, and the sorted
// columns are kept: N·D values, or with Tolerance about 2·log(N)/Tolerance a column. Prefer it for tables whose outliers are
// extreme in single columns; it is blind to odd combinations of usual values: prefer [Mahalanobis] or [KNN] for those.
//
// Fits on: Table N×D with N ≥ 2 rows that are not all equal, D ≥ 1; labels are ignored. A constant column says nothing until a row differs from it.
// Score:   N values ≥ 0, negative natural logarithms of tail shares, higher = farther out. A value beyond all training values counts log(N+1) however far it is.
// Errors:  ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: a row is compared with the training rows and itself, so that no tail is empty and a score depends on no other row of the batch; PyOD joins all rows that are scored together. Tolerance is ours. The paper adds up the tails first and takes the largest of three totals; Strategy columns is what its authors' code does.
// Source:  li2022ecod, Algorithm 1, eq. (6)-(8).
// Claim:   claims/detect/ecod.go.
type ECOD struct {
	// Strategy says where the larger tail is taken: in each column, as in the authors' code, or of the total over columns of the left tails, of the right ones, and of those on the side to which a column is skewed, as in the paper.
	Strategy string `default:"columns" enum:"columns,totals"`
	// Tolerance bounds the memory: as few values of each column are kept as let a column's part of the score be off by no more than this, and the error has one sign. At 0 all are kept and scores are exact.
	Tolerance float64 `range:"[0,1]" unit:"natural logarithm"`
}

// Fit sorts the columns.
func (c ECOD) Fit(ctx context.Context, train *data.Table) (*ECODModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	tails, err := fitColumnTails(ctx, train, c.Tolerance)
	if err != nil {
		return nil, err
	}
	return &ECODModel{tails, c.Strategy == "totals"}, nil
}

// ECODModel is a fitted [ECOD].
type ECODModel struct {
	tails  *columnTails
	totals bool
}

// Score returns how far out each row lies.
func (m *ECODModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("ecod", in, m.tails.d); err != nil {
		return nil, err
	}
	if m.totals {
		return m.tails.score(in, addColumnTails, largestColumnTotal), nil
	}
	return m.tails.score(in, func(sums *[3]float64, left, above float64, _ bool) {
		sums[0] += max(left, above)
	}, func(sums [3]float64) float64 { return sums[0] }), nil
}

// State returns the model as tensors.
func (m *ECODModel) State() *data.Checkpoint { return m.tails.state() }

func loadECOD(c ECOD, st *data.Checkpoint) (*ECODModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	tails, err := loadColumnTails(st)
	if err != nil {
		return nil, err
	}
	return &ECODModel{tails, c.Strategy == "totals"}, nil
}
