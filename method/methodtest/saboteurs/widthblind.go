package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "wrong-width", spoiled("a distance over the columns that both have", func(_ WidthBlind, m *honestModel) *widthBlindModel { return &widthBlindModel{m} }))

// WidthBlind answers for as many columns as there are.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/widthblind.go.
type WidthBlind struct{}

type widthBlindModel struct{ *honestModel }

// Score repeats or drops columns until the width fits.
func (m *widthBlindModel) Score(in *data.Table) ([]float64, error) {
	n, d := in.Dims()
	x := make([]float32, 0, n*m.d)
	for i := range n {
		for j := range m.d {
			x = append(x, in.Row(i)[j%d])
		}
	}
	fit, err := data.NewTable(n, m.d, x)
	if err != nil {
		return nil, err
	}
	return m.honestModel.Score(fit)
}
