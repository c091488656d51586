package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "cancel", learned("a distance", Uncancelled.learn))

// Uncancelled does not look at its context.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/uncancelled.go.
type Uncancelled struct{}

func (Uncancelled) learn(context.Context, *data.Table) ([]float64, error) { return []float64{1}, nil }
