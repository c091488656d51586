package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = add(&detectors, "damage", method.FromMoments(info("a distance"), 0, Trusting.fitMoments, loadTrusting))

// Trusting reads its state without looking at it.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/trusting.go.
type Trusting struct{}

type trustingModel struct{ *honestModel }

func (c Trusting) fitMoments(st *moments.State) (*trustingModel, error) {
	return &trustingModel{newHonest(st, 1)}, nil
}

// State is means and scales.
func (m *trustingModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"means": data.Float64Tensor(m.means, max(len(m.classes), 1), m.d),
		"scale": data.Float64Tensor(m.scale, m.d),
	}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadTrusting(_ Trusting, st *data.Checkpoint) (*trustingModel, error) {
	means, err := st.Tensors["means"].Float64s()
	if err != nil {
		return nil, err
	}
	scale, err := st.Tensors["scale"].Float64s()
	return &trustingModel{&honestModel{d: len(scale), classes: st.Read().Strings("classes"), means: means, scale: scale}}, err
}
