package drift

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "summed squared gap between the distribution functions of each column, with exact p-values",
	Paper: "anderson1962distribution",
}, CramerVonMises.Fit, loadCramerVonMises))

// CramerVonMises tests column by column whether a window comes from the reference's distribution, by the squared gap between the
// two distribution functions, summed over all rows.
//
// It sees small changes all along a column, where [KolmogorovSmirnov] looks at the widest place alone. p-values are ranks among
// relabellings, exact for any data, ties and all, and never below 1/(1+P). O(D·(n+m)·199), and P times as much for columns that look odd.
//
// Fits on: Table n×D, which becomes the reference.
// Test:    window m×D with m ≥ 1. Statistic cramervonmises ≥ 0, of the column with the least p-value. p-value: the least corrected one. Effect: shift of the mean.
// Errors:  ErrShape for an empty reference or window and on another width.
// Differs: the paper ranks rows, which ties do not allow; the gap is taken where a group of equal values ends, which is the same without ties.
// Source:  anderson1962distribution, eq. (4); phipson2010permutation; besag1991sequential for columns that are left early; benjamini1995controlling.
// Claim:   claims/drift/cramervonmises.go.
type CramerVonMises struct {
	// Level is the false-alarm probability of one window over all columns, and the expected share of false ones among the columns called.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Correction holds the columns' p-values to the level together: Benjamini and Hochberg's for independent or positively dependent columns, Bonferroni's for any.
	Correction string `default:"benjamini-hochberg" enum:"benjamini-hochberg,bonferroni"`
	// Permutations is P, how many relabellings a column's statistic is ranked among; at least as many as it takes for one column alone to pass the correction, D/level, are drawn.
	Permutations int `default:"999" range:"[19,1e7]"`
	// Seed starts the drawing of relabellings.
	Seed uint64
}

// Fit keeps the reference.
func (c CramerVonMises) Fit(ctx context.Context, train *data.Table) (*CramerVonMisesModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "cramervonmises", train, 1)
	return c.model(r), err
}

// CramerVonMisesModel is a fitted [CramerVonMises].
type CramerVonMisesModel struct{ columnModel }

func (c CramerVonMises) model(r reference) *CramerVonMisesModel {
	return &CramerVonMisesModel{columnModel{r, columnTest{name: "cramervonmises", statistic: cramerVonMises, permutations: c.Permutations, seed: c.Seed}, c.Level, c.Correction}}
}

func cramerVonMises(c *column, counts []float64) float64 {
	at, sum := 0.0, 0.0
	for g, size := range c.sizes {
		at += counts[g]/c.few - (size-counts[g])/c.other
		sum += size * at * at
	}
	n := c.few + c.other
	return c.few * c.other / (n * n) * sum
}

func loadCramerVonMises(c CramerVonMises, st *data.Checkpoint) (*CramerVonMisesModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := loadReference("cramervonmises", st, 1)
	return c.model(r), err
}
