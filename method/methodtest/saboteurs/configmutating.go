package saboteurs

import (
	"slices"
)

var _ = add(&detectors, "config-untouched", spoiled("a distance with some columns counted twice", configMutatingModel))

// ConfigMutating sorts the list in its configuration where it lies.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/configmutating.go.
type ConfigMutating struct {
	// Twice lists the columns that count twice, from 0.
	Twice []int `range:"[0,)"`
}

func configMutatingModel(c ConfigMutating, m *honestModel) *honestModel {
	slices.Sort(c.Twice)
	for _, j := range c.Twice {
		if j < m.d {
			m.scale[j] /= 2
		}
	}
	return m
}
