package saboteurs

var _ = add(&detectors, "doc", spoiled("A distance.", undocumentedModel))

// Undocumented leaves out what the template asks for.
//
// Score: N values.
type Undocumented struct {
	Floor float64 `default:"1" range:"(0,)"`
}

func undocumentedModel(c Undocumented, m *honestModel) *honestModel {
	return newHonestFloor(m, c.Floor)
}

// newHonestFloor moves the floor under the variances from one to another value.
func newHonestFloor(m *honestModel, floor float64) *honestModel {
	for j := range m.scale {
		m.scale[j] += floor - 1
	}
	return m
}
