package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "population stability index of each column, with exact p-values",
	Paper: "yurdakul2018statistical",
}, PSI.Fit, loadPSI))

// PSI tests column by column whether a window comes from the reference's distribution, by the population stability index: the
// symmetrised divergence between the shares of rows in bins.
//
// The index has no distribution of its own, and the thumb rule of 0.1 and 0.25 knows no sample size: with 100 rows it rings on
// nothing. Here the index is ranked among relabellings, so its p-value is exact for any size. Prefer [KolmogorovSmirnov] unless
// others expect the index.
//
// Fits on: Table n×D, which becomes the reference.
// Test:    window m×D with m ≥ 1. Statistic psi ≥ 0, of the column with the least p-value. p-value: the least corrected one. Effect: shift of the mean.
// Errors:  ErrShape for an empty reference or window and on another width.
// Differs: bins hold equally many rows of both samples together, which relabelling does not change, where others cut the reference alone; half a row is added to every bin, so that none is empty.
// Source:  yurdakul2018statistical, section 2; phipson2010permutation; besag1991sequential for columns that are left early; benjamini1995controlling.
// Claim:   claims/drift/psi.go.
type PSI struct {
	// Level is the false-alarm probability of one window over all columns, and the expected share of false ones among the columns called.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Correction holds the columns' p-values to the level together: Benjamini and Hochberg's for independent or positively dependent columns, Bonferroni's for any.
	Correction string `default:"benjamini-hochberg" enum:"benjamini-hochberg,bonferroni"`
	// Bins is into how many of equally many rows a column is cut; equal values stay together.
	Bins int `default:"10" range:"[2,1000]"`
	// Permutations is P, how many relabellings a column's statistic is ranked among; at least as many as it takes for one column alone to pass the correction, D/level, are drawn.
	Permutations int `default:"999" range:"[19,1e7]"`
	// Seed starts the drawing of relabellings.
	Seed uint64
}

// Fit keeps the reference.
func (c PSI) Fit(ctx context.Context, train *data.Table) (*PSIModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "psi", train, 1)
	return c.model(r), err
}

// PSIModel is a fitted [PSI].
type PSIModel struct{ columnModel }

func (c PSI) model(r reference) *PSIModel {
	return &PSIModel{columnModel{r, columnTest{name: "psi", bins: c.Bins, statistic: psi, permutations: c.Permutations, seed: c.Seed}, c.Level, c.Correction}}
}

func psi(c *column, counts []float64) (sum float64) {
	bins := float64(len(c.sizes))
	for g, size := range c.sizes {
		p, q := (counts[g]+0.5)/(c.few+bins/2), (size-counts[g]+0.5)/(c.other+bins/2)
		sum += (p - q) * math.Log(p/q)
	}
	return sum
}

func loadPSI(c PSI, st *data.Checkpoint) (*PSIModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := loadReference("psi", st, 1)
	return c.model(r), err
}
