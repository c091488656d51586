package saboteurs

var _ = add(&detectors, "every-knob-matters", spoiled("a distance", deadKnobModel))

// DeadKnob has a knob that nothing reads.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/deadknob.go.
type DeadKnob struct {
	// Neighbors is how many neighbours would be asked.
	Neighbors int `default:"5" range:"[1,)"`
}

func deadKnobModel(_ DeadKnob, m *honestModel) *honestModel { return m }
