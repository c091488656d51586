package saboteurs

var _ = add(&detectors, "every-knob-matters", spoiled("a distance under one of two floors", deadWordModel))

// DeadWord has a knob of three words, two of which mean the same.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/deadword.go.
type DeadWord struct {
	// Kind is the kind of floor.
	Kind string `default:"plain" enum:"plain,round,square"`
}

func deadWordModel(c DeadWord, m *honestModel) *honestModel {
	if c.Kind == "square" {
		m.scale[0] *= 2
	}
	return m
}
