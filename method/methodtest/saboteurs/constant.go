package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "not-constant", spoiled("a number", func(_ Constant, m *honestModel) *constantModel { return &constantModel{m} }))

// Constant collapsed: every row gets the same score.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/constant.go.
type Constant struct{}

type constantModel struct{ *honestModel }

// Score looks at nothing but the number of rows.
func (m *constantModel) Score(in *data.Table) ([]float64, error) {
	out, err := m.honestModel.Score(in)
	for i := range out {
		out[i] = 1
	}
	return out, err
}
