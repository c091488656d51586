package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "tail probability of a row under the training columns' empirical copula",
	Paper: "li2020copod",
}, COPOD.Fit, loadCOPOD))

// COPOD scores how small the tail probability of a row is, each column by its own empirical distribution and all together as if independent.
//
// It is the detector of Li et al. (2020), the elder sibling of [ECOD]: of a column's two tails it takes the one to which the
// column is skewed, unless both together say more. No parameters to tune, no distances, no randomness; O(D·N·log N) to fit,
// O(D·log N) a row to score, and the sorted columns are kept: N·D values, or with Tolerance about 2·log(N)/Tolerance a
// column. Prefer it to ECOD when outliers lie on the long side of skewed columns; like it, it sees no odd combinations of usual values.
//
// Fits on: Table N×D with N ≥ 2 rows that are not all equal, D ≥ 1; labels are ignored. A constant column says nothing until a row differs from it.
// Score:   N values ≥ 0, negative natural logarithms of tail shares, higher = farther out. A value beyond all training values counts at most log(N+1).
// Errors:  ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: a row is compared with the training rows and itself, so that no tail is empty and a score depends on no other row of the batch; PyOD joins all rows that are scored together. Tolerance is ours. The paper adds up the tails first and takes the largest of three totals, which is ECOD's rule too; Strategy columns is what its authors' code does.
// Source:  li2020copod, Algorithm 1.
// Claim:   claims/detect/copod.go.
type COPOD struct {
	// Strategy says where the larger value is taken: in each column, of the tail on its skewed side and the mean of both, as in the authors' code; or of the total over columns of the left tails, of the right ones, and of those on the skewed sides, as in the paper.
	Strategy string `default:"columns" enum:"columns,totals"`
	// Tolerance bounds the memory: as few values of each column are kept as let a column's part of the score be off by no more than this, and the error has one sign. At 0 all are kept and scores are exact.
	Tolerance float64 `range:"[0,1]" unit:"natural logarithm"`
}

// Fit sorts the columns.
func (c COPOD) Fit(ctx context.Context, train *data.Table) (*COPODModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	tails, err := fitColumnTails(ctx, train, c.Tolerance)
	if err != nil {
		return nil, err
	}
	return &COPODModel{tails, c.Strategy == "totals"}, nil
}

// COPODModel is a fitted [COPOD].
type COPODModel struct {
	tails  *columnTails
	totals bool
}

// Score returns how improbable each row's tail is.
func (m *COPODModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("copod", in, m.tails.d); err != nil {
		return nil, err
	}
	if m.totals {
		return m.tails.score(in, addColumnTails, largestColumnTotal), nil
	}
	return m.tails.score(in, func(sums *[3]float64, left, above float64, right bool) {
		skewed := left
		if right {
			skewed = above
		}
		sums[0] += max(skewed, (left+above)/2)
	}, func(sums [3]float64) float64 { return sums[0] }), nil
}

// State returns the model as tensors.
func (m *COPODModel) State() *data.Checkpoint { return m.tails.state() }

func loadCOPOD(c COPOD, st *data.Checkpoint) (*COPODModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	tails, err := loadColumnTails(st)
	if err != nil {
		return nil, err
	}
	return &COPODModel{tails, c.Strategy == "totals"}, nil
}
