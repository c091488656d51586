package saboteurs

import (
	"context"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "deterministic", learned("a distance, more or less", checked(Random.learn)))

// Random draws from a source that nobody seeded.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/random.go.
type Random struct{}

func (Random) learn(context.Context, *data.Table) ([]float64, error) {
	return []float64{rand.Float64() / 10}, nil
}
