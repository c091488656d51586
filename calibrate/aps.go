package calibrate

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "sets of classes that grow where a row is hard",
	Paper: "romano2020classification",
}, APS.Fit, loadAPS))

// APS puts classes into a row's set, the most probable first, until they hold enough probability together.
//
// These are the adaptive prediction sets of Romano, Sesia and Candès (2020): sets are small where the classifier is sure and large
// where it is not, so that coverage is more even over rows than [SplitConformal]'s, which are smaller on average. With many
// classes prefer [RAPS].
//
// Fits on: Logits N×K with N ≥ 1/Level − 1 and K ≥ 2, or probabilities; all rows labelled, none of them learned from by the classifier.
// Sets:    N×K zeros and ones, the most probable classes of each row. P(the class of a fresh row is in its set) ≥ 1 − Level, over calibration rows and row, for any classifier and any distribution. A sure row's set may be empty, by the draw.
// Errors:  ErrDegenerate when the level needs more rows than there are; ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: the uniform draw of a row is a hash of Seed and the row's own numbers, so that sets are the same again, alone or in a batch; coverage does not rest on it. Equally probable classes come in together.
// Source:  romano2020classification, eq. (5)-(7) and algorithm 1.
// Claim:   none: the guarantee is a theorem, and the family's tests hold it against simulation.
type APS struct {
	// Level is the share of rows whose class may be missing from their set: one minus the coverage.
	Level float64 `default:"0.1" range:"(0,1)"`
	// Seed starts the rows' draws.
	Seed uint64
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns the threshold.
func (c APS) Fit(ctx context.Context, in LogitsInput) (*APSModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := fitSets(ctx, "aps", in, c.Probabilities, c.Level, false, cumulative(c.Seed, 0, 0))
	if err != nil {
		return nil, err
	}
	return &APSModel{m}, nil
}

// APSModel is a fitted [APS].
type APSModel struct{ sets }

// Threshold returns the largest score that is let in.
func (m *APSModel) Threshold() float64 { return m.thresholds[0] }

func loadAPS(c APS, st *data.Checkpoint) (*APSModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := loadSets("aps", st, c.Probabilities, c.Level, cumulative(c.Seed, 0, 0))
	if err != nil {
		return nil, err
	}
	return &APSModel{m}, nil
}
