package calibrate

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "adaptive sets that are kept short",
	Paper: "angelopoulos2021uncertainty",
}, RAPS.Fit, loadRAPS))

// RAPS is [APS] with a penalty on classes far down a row's order.
//
// These are the regularised adaptive prediction sets of Angelopoulos et al. (2021): with many classes the improbable ones add up
// to noise that makes the sets of APS long; a penalty from a certain place on ends them there.
//
// Fits on: Logits N×K with N ≥ 1/Level − 1 and K ≥ 2, or probabilities; all rows labelled, none of them learned from by the classifier.
// Sets:    N×K zeros and ones, the most probable classes of each row. P(the class of a fresh row is in its set) ≥ 1 − Level, over calibration rows and row, for any classifier and any distribution. A sure row's set may be empty, by the draw.
// Errors:  ErrDegenerate when the level needs more rows than there are; ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: as [APS]; Penalty and Largest are given, not tuned on rows of their own.
// Source:  angelopoulos2021uncertainty, eq. (4) and algorithms 2 and 3.
// Claim:   none: the guarantee is a theorem, and the family's tests hold it against simulation.
type RAPS struct {
	// Level is the share of rows whose class may be missing from their set: one minus the coverage.
	Level float64 `default:"0.1" range:"(0,1)"`
	// Penalty is the paper's λ, in probability a place: 0.01 hardly matters with ten classes, 1 gives all rows sets of nearly one size.
	Penalty float64 `default:"0.1" range:"(0,1e6]"`
	// Largest is the paper's k_reg, how many places come without penalty: about the size that sets should have.
	Largest int `default:"2" range:"[1,1e9]"`
	// Seed starts the rows' draws.
	Seed uint64
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns the threshold.
func (c RAPS) Fit(ctx context.Context, in LogitsInput) (*RAPSModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := fitSets(ctx, "raps", in, c.Probabilities, c.Level, false, cumulative(c.Seed, c.Largest, c.Penalty))
	if err != nil {
		return nil, err
	}
	return &RAPSModel{m}, nil
}

// RAPSModel is a fitted [RAPS].
type RAPSModel struct{ sets }

// Threshold returns the largest score that is let in.
func (m *RAPSModel) Threshold() float64 { return m.thresholds[0] }

func loadRAPS(c RAPS, st *data.Checkpoint) (*RAPSModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := loadSets("raps", st, c.Probabilities, c.Level, cumulative(c.Seed, c.Largest, c.Penalty))
	if err != nil {
		return nil, err
	}
	return &RAPSModel{m}, nil
}
