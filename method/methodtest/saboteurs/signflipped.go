package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "direction", spoiled("minus a distance", func(_ SignFlipped, m *honestModel) *signFlippedModel { return &signFlippedModel{m} }))

// SignFlipped scores familiar rows high.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/signflipped.go.
type SignFlipped struct{}

type signFlippedModel struct{ *honestModel }

// Score has the wrong sign.
func (m *signFlippedModel) Score(in *data.Table) ([]float64, error) {
	out, err := m.honestModel.Score(in)
	for i := range out {
		out[i] = -out[i]
	}
	return out, err
}
