package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "how far each column moved, in its own unit, with exact p-values",
	Paper: "ramdas2017wasserstein",
}, Wasserstein.Fit, loadWasserstein))

// Wasserstein tests column by column whether a window comes from the reference's distribution, by the distance that its values
// have to be moved, on average, to become the reference's.
//
// The statistic is in the column's unit: a shift of every value by one gives one. p-values are ranks among relabellings, exact
// for any data, and never below 1/(1+P). Prefer [KolmogorovSmirnov] where a few far values would drown the rest.
//
// Fits on: Table n×D, which becomes the reference.
// Test:    window m×D with m ≥ 1. Statistic wasserstein ≥ 0 in the column's unit, of the column with the least p-value. p-value: the least corrected one. Effect: shift of the mean.
// Errors:  ErrShape for an empty reference or window and on another width.
// Differs: only the distance of order one; not divided by a standard deviation, as dashboards do.
// Source:  ramdas2017wasserstein, section 3; phipson2010permutation; besag1991sequential for columns that are left early; benjamini1995controlling.
// Claim:   claims/drift/wasserstein.go.
type Wasserstein struct {
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
func (c Wasserstein) Fit(ctx context.Context, train *data.Table) (*WassersteinModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "wasserstein", train, 1)
	return c.model(r), err
}

// WassersteinModel is a fitted [Wasserstein].
type WassersteinModel struct{ columnModel }

func (c Wasserstein) model(r reference) *WassersteinModel {
	return &WassersteinModel{columnModel{r, columnTest{name: "wasserstein", statistic: wasserstein, permutations: c.Permutations, seed: c.Seed}, c.Level, c.Correction}}
}

func wasserstein(c *column, counts []float64) float64 {
	at, sum := 0.0, 0.0
	for g, size := range c.sizes[:len(c.sizes)-1] {
		at += counts[g]/c.few - (size-counts[g])/c.other
		sum += math.Abs(at) * (c.values[g+1] - c.values[g])
	}
	return sum
}

func loadWasserstein(c Wasserstein, st *data.Checkpoint) (*WassersteinModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := loadReference("wasserstein", st, 1)
	return c.model(r), err
}
