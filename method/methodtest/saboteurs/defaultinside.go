package saboteurs

var _ = add(&detectors, "zero-is-honest", spoiled("a distance, a little larger", defaultInsideModel))

// DefaultInside has a knob that cannot be set to zero, though zero is legal.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/defaultinside.go.
type DefaultInside struct {
	// Share is added to every score, as a share of it.
	Share float64 `default:"0.1" range:"[0,1]"`
}

func defaultInsideModel(c DefaultInside, m *honestModel) *honestModel {
	for j := range m.scale {
		m.scale[j] /= 1 + c.Share
	}
	return m
}
