package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "rows-independent", spoiled("a distance that depends on the other rows", func(_ BatchDependent, m *honestModel) *batchDependentModel { return &batchDependentModel{m} }))

// BatchDependent subtracts a tenth of the batch's mean score from every score.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/batchdependent.go.
type BatchDependent struct{}

type batchDependentModel struct{ *honestModel }

// Score looks at the whole batch.
func (m *batchDependentModel) Score(in *data.Table) ([]float64, error) {
	out, err := m.honestModel.Score(in)
	mean := 0.0
	for _, v := range out {
		mean += v / float64(len(out))
	}
	for i := range out {
		out[i] -= mean / 10
	}
	return out, err
}
