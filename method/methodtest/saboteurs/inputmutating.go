package saboteurs

import (
	"math"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "input-untouched", spoiled("a distance of rounded rows", func(_ InputMutating, m *honestModel) *inputMutatingModel { return &inputMutatingModel{m} }))

// InputMutating rounds the rows that it is asked about, in the caller's memory.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/inputmutating.go.
type InputMutating struct{}

type inputMutatingModel struct{ *honestModel }

// Score writes to its input.
func (m *inputMutatingModel) Score(in *data.Table) ([]float64, error) {
	for i, v := range in.X() {
		if math.Abs(float64(v)) < 1<<20 { // beyond, there is nothing to round
			in.X()[i] = float32(math.Round(float64(v)*8) / 8)
		}
	}
	return m.honestModel.Score(in)
}
