package saboteurs

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "missing-labels", learned("a distance, for labelled rows", checked(Mislead.learn)))

// Mislead needs labels and complains about a shape.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/mislead.go.
type Mislead struct{}

func (Mislead) learn(_ context.Context, in *data.Table) ([]float64, error) {
	if !in.HasLabels() {
		return nil, fmt.Errorf("mislead: %w: something is missing", data.ErrShape)
	}
	return []float64{1}, nil
}
