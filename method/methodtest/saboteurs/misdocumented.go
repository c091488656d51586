package saboteurs

var _ = add(&detectors, "doc", spoiled("a distance", misdocumentedModel))

// Misdocumented says another default than it has.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values.
// Predict: N×K probabilities.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/misdocumented.go.
type Misdocumented struct {
	// Floor is added to each column's variance; by default 0.5.
	Floor float64 `default:"1" range:"(0,)"`
}

func misdocumentedModel(c Misdocumented, m *honestModel) *honestModel {
	return newHonestFloor(m, c.Floor)
}
