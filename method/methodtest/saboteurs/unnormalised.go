package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "answers", spoiled("a distance, and half a probability", func(_ Unnormalised, m *honestModel) *unnormalisedModel { return &unnormalisedModel{m} }))

// Unnormalised predicts numbers that do not add up to one.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/unnormalised.go.
type Unnormalised struct{}

type unnormalisedModel struct{ *honestModel }

// Predict halves the probabilities.
func (m *unnormalisedModel) Predict(in *data.Table) (*data.Table, error) {
	p, err := m.honestModel.Predict(in)
	if err != nil {
		return nil, err
	}
	n, _ := p.Dims()
	x := make([]float32, len(p.X()))
	for i, v := range p.X() {
		x[i] = v / 2
	}
	return data.NewNamed(n, p.Columns(), x)
}
