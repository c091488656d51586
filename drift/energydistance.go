package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "energy distance between reference and window, with an exact permutation p-value",
	Paper: "szekely2004testing",
}, EnergyDistance.Fit, loadEnergyDistance))

// EnergyDistance tests whether a window comes from the reference's distribution, by the distances between rows alone.
//
// It is the test of Székely and Rizzo (2004): twice the mean distance across the samples less the mean distances within
// them, which is zero for equal distributions only. There is no bandwidth to choose; columns count by their spread, so scale
// them first where units differ. Memory and time are those of [MMD], which sees narrow changes better.
//
// Fits on: Table n×D, which becomes the reference.
// Test:    window m×D with m ≥ 1. Statistic energy_distance ≥ 0, in the columns' unit. p-value (1+k)/(1+P). Effect: the statistic less its mean without drift.
// Errors:  ErrShape for an empty reference or window and on another width; ErrConfig when P permutations cannot reach the level.
// Differs: the statistic is not multiplied by n·m/(n+m), which no permutation changes. Some programs print its square root.
// Source:  szekely2004testing, eq. (5); phipson2010permutation for the p-value.
// Claim:   claims/drift/energydistance.go.
type EnergyDistance struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Permutations is P, how many relabellings the statistic is ranked among. The smallest p-value is 1/(1+P).
	Permutations int `default:"499" range:"[1,1e6]"`
	// Seed starts the drawing of relabellings.
	Seed uint64
}

// Fit keeps the reference.
func (c EnergyDistance) Fit(ctx context.Context, train *data.Table) (*EnergyDistanceModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "energydistance", train, 1)
	return &EnergyDistanceModel{r, c}, err
}

func (c *EnergyDistance) ready() error {
	if err := method.Ready(c); err != nil {
		return err
	}
	return enough(c.Level, c.Permutations)
}

// EnergyDistanceModel is a fitted [EnergyDistance].
type EnergyDistanceModel struct {
	reference
	config EnergyDistance
}

// Test compares a window with the reference.
func (m *EnergyDistanceModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := m.window(ctx, window, 1); err != nil {
		return nil, err
	}
	p := newPool(m.rows, window)
	scale := p.medianDistance() // products then keep their digits, whatever the unit
	c, err := p.kernelTest(ctx, kernel{scale, func(squared float64) float64 { return -math.Sqrt(squared) }}, m.config.Level, m.config.Permutations, m.config.Seed)
	if err != nil {
		return nil, err
	}
	for _, v := range []*float64{&c.Statistic, &c.Visible, &c.Effect.Value, &c.Effect.Low, &c.Effect.High} {
		*v *= scale
	}
	c.Name, c.Unit = "energy_distance", "the columns' unit"
	return c, nil
}

func loadEnergyDistance(c EnergyDistance, st *data.Checkpoint) (*EnergyDistanceModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r, err := loadReference("energydistance", st, 1)
	return &EnergyDistanceModel{r, c}, err
}
