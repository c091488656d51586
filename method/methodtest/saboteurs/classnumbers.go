package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "class-names", learned("a distance, and classes by number", checked(ClassNumbers.learn)))

// ClassNumbers takes a class's number in the table for its place among the names.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/classnumbers.go.
type ClassNumbers struct{}

func (ClassNumbers) learn(_ context.Context, in *data.Table) ([]float64, error) {
	most := 0.0
	if labels, err := in.Labels(); err == nil {
		for _, c := range labels {
			most = max(most, float64(c))
		}
	}
	return []float64{most / 10}, nil
}
