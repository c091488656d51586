package saboteurs

import (
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "direction", spoiled("a distance, and the wrong class", func(_ Mislabelled, m *honestModel) *mislabelledModel { return &mislabelledModel{m} }))

// Mislabelled gives each class's probability to its neighbour.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/mislabelled.go.
type Mislabelled struct{}

type mislabelledModel struct{ *honestModel }

// Predict has the columns in the wrong order.
func (m *mislabelledModel) Predict(in *data.Table) (*data.Table, error) {
	p, err := m.honestModel.Predict(in)
	if err != nil {
		return nil, err
	}
	columns := append(slices.Clone(m.classes[1:]), m.classes[0])
	return p.WithColumns(columns)
}
