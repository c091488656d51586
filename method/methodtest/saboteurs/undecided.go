package saboteurs

import "github.com/gimbal-ml/gimbal/data"

var _ = add(&calibrators, "sets", sifted("sets with a class that is half in them", func(m *sieveModel) *undecidedModel { return &undecidedModel{m} }, Undecided{}))

// Undecided leaves open whether classes outside of a set are outside.
//
// Fits on: logits, a Table N×K with labels.
// Sets:    as [Sieve] does but for the fault.
// Errors:  ErrLabels without labels; ErrShape on another width and for fewer rows than the level needs.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/calibrate/undecided.go.
type Undecided struct{}

type undecidedModel struct{ *sieveModel }

// Sets has the fault.
func (m *undecidedModel) Sets(in *data.Table) (*data.Table, error) {
	out, err := m.sieveModel.Sets(in)
	if err != nil {
		return nil, err
	}
	n, _ := out.Dims()
	x := make([]float32, len(out.X()))
	for i, v := range out.X() {
		x[i] = max(v, 0.5)
	}
	return data.NewNamed(n, out.Columns(), x)
}
