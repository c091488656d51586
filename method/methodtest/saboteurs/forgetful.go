package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = add(&detectors, "save-load", method.FromMoments(info("a distance whose knob is lost in the file"), 0, Forgetful.fitMoments, loadForgetful))

// Forgetful remembers its knob only until it is saved.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/forgetful.go.
type Forgetful struct {
	// Wide doubles the floor under the variances.
	Wide bool
}

func loadForgetful(_ Forgetful, st *data.Checkpoint) (*honestModel, error) {
	return loadHonest(Honest{Floor: 1}, st)
}

func (c Forgetful) fitMoments(st *moments.State) (*honestModel, error) {
	if c.Wide {
		return newHonest(st, 2), nil
	}
	return newHonest(st, 1), nil
}
