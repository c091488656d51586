package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "shapes", spoiled("a distance", func(_ Panicking, m *honestModel) *panickingModel { return &panickingModel{m} }))

// Panicking takes the first score to be there.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/panicking.go.
type Panicking struct{}

type panickingModel struct{ *honestModel }

// Score reads out[0].
func (m *panickingModel) Score(in *data.Table) ([]float64, error) {
	out, err := m.honestModel.Score(in)
	if err == nil && out[0] < 0 {
		out[0] = 0
	}
	return out, err
}
