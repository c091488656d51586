package calibrate

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "sets of classes whose coverage holds within every class",
	Paper: "vovk2012conditional",
}, Mondrian.Fit, loadMondrian))

// Mondrian is [SplitConformal] with a threshold for each class from that class's own calibration rows.
//
// It is the class-conditional conformal predictor of Vovk (2012): coverage holds within every class, the rare ones too, for
// larger sets. A class with fewer than 1/Level − 1 calibration rows is in every set, since nothing smaller could be promised.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities; all rows labelled, none of them learned from by the classifier.
// Sets:    N×K zeros and ones. P(the class of a fresh row of class c is in its set) ≥ 1 − Level for every c, over calibration rows and row, for any classifier and any distribution.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: the threshold is on −log p, as in [SplitConformal].
// Source:  vovk2012conditional, section 4 (label-conditional predictors).
// Claim:   none: the guarantee is a theorem, and the family's tests hold it against simulation.
type Mondrian struct {
	// Level is the share of rows whose class may be missing from their set: one minus the coverage.
	Level float64 `default:"0.1" range:"(0,1)"`
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns a threshold for each class.
func (c Mondrian) Fit(ctx context.Context, in LogitsInput) (*MondrianModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := fitSets(ctx, "mondrian", in, c.Probabilities, c.Level, true, unlikely)
	if err != nil {
		return nil, err
	}
	return &MondrianModel{m}, nil
}

// MondrianModel is a fitted [Mondrian].
type MondrianModel struct{ sets }

// Thresholds returns the largest score that is let in, for each class, in −log p; math.MaxFloat64 for a class of which there were too few rows.
func (m *MondrianModel) Thresholds() []float64 { return append([]float64(nil), m.thresholds...) }

func loadMondrian(c Mondrian, st *data.Checkpoint) (*MondrianModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := loadSets("mondrian", st, c.Probabilities, c.Level, unlikely)
	if err != nil {
		return nil, err
	}
	return &MondrianModel{m}, nil
}
