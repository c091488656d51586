package calibrate

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "the smallest sets of classes that hold the right one",
	Paper: "sadinle2019least",
}, SplitConformal.Fit, loadSplitConformal))

// SplitConformal puts into a row's set every class whose probability is above one threshold, set on calibration rows.
//
// These are the least ambiguous sets of Sadinle, Lei and Wasserman (2019), with the split conformal threshold: of all rules with
// this coverage the smallest sets on average. Coverage holds over all rows together; rare or hard classes may get less of it:
// prefer [Mondrian] when each class must have its own. A row that is like no class gets an empty set.
//
// Fits on: Logits N×K with N ≥ 1/Level − 1 and K ≥ 2, or probabilities; all rows labelled, none of them learned from by the classifier.
// Sets:    N×K zeros and ones. P(the class of a fresh row is in its set) ≥ 1 − Level, over calibration rows and row, for any classifier and any distribution; < 1 − Level + 1/(N+1) where no scores are equal.
// Errors:  ErrDegenerate when the level needs more rows than there are; ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: the threshold is on −log p, which orders classes as 1 − p does and does not round where p is nearly one.
// Source:  sadinle2019least, section 2; the threshold's rank is that of split conformal prediction.
// Claim:   none: the guarantee is a theorem, and the family's tests hold it against simulation.
type SplitConformal struct {
	// Level is the share of rows whose class may be missing from their set: one minus the coverage.
	Level float64 `default:"0.1" range:"(0,1)"`
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns the threshold.
func (c SplitConformal) Fit(ctx context.Context, in LogitsInput) (*SplitConformalModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := fitSets(ctx, "splitconformal", in, c.Probabilities, c.Level, false, unlikely)
	if err != nil {
		return nil, err
	}
	return &SplitConformalModel{m}, nil
}

// SplitConformalModel is a fitted [SplitConformal].
type SplitConformalModel struct{ sets }

// Threshold returns the largest score that is let in.
func (m *SplitConformalModel) Threshold() float64 { return m.thresholds[0] }

func loadSplitConformal(c SplitConformal, st *data.Checkpoint) (*SplitConformalModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := loadSets("splitconformal", st, c.Probabilities, c.Level, unlikely)
	if err != nil {
		return nil, err
	}
	return &SplitConformalModel{m}, nil
}
