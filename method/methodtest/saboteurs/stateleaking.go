package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "input-untouched", spoiled("a distance", func(_ StateLeaking, m *honestModel) *stateLeakingModel { return &stateLeakingModel{m} }))

// StateLeaking hands out the maps that it lives on as its state.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/stateleaking.go.
type StateLeaking struct{}

type stateLeakingModel struct{ *honestModel }

// State is no copy.
func (m *stateLeakingModel) State() *data.Checkpoint { return m.saved }
