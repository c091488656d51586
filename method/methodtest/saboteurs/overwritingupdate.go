package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&detectors, "update", spoiled("a distance", func(_ OverwritingUpdate, m *honestModel) *overwritingUpdateModel {
	return &overwritingUpdateModel{m, m}
}))

// OverwritingUpdate shows the new task through the old model too.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Update:  adds a task, to the old model too.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/overwritingupdate.go.
type OverwritingUpdate struct{}

type overwritingUpdateModel struct {
	*honestModel              // what it was fitted on
	shown        *honestModel // what it answers with
}

// Score answers with the latest.
func (m *overwritingUpdateModel) Score(in *data.Table) ([]float64, error) { return m.shown.Score(in) }

// Predict answers with the latest.
func (m *overwritingUpdateModel) Predict(in *data.Table) (*data.Table, error) {
	return m.shown.Predict(in)
}

// State is the latest.
func (m *overwritingUpdateModel) State() *data.Checkpoint { return m.shown.State() }

// Update changes the receiver.
func (m *overwritingUpdateModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	next, err := (&pupil{m.honestModel}).Update(ctx, task)
	if err != nil {
		return nil, err
	}
	m.shown = next.(*pupil).honestModel
	return &overwritingUpdateModel{m.shown, m.shown}, nil
}
