package saboteurs

var _ = add(&detectors, "shapes", spoiled("a distance without a floor", degenerateModel))

// Degenerate divides by a column's variance even where it is zero.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/degenerate.go.
type Degenerate struct{}

func degenerateModel(_ Degenerate, m *honestModel) *honestModel {
	for j := range m.scale {
		m.scale[j]--
	}
	return m
}
