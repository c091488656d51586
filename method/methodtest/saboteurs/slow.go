package saboteurs

import (
	"context"
	"time"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "defaults-run", learned("a distance, late", checked(Slow.learn)))

// Slow takes its time.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/slow.go.
type Slow struct{}

func (Slow) learn(context.Context, *data.Table) ([]float64, error) {
	time.Sleep(SlowFor)
	return []float64{1}, nil
}

// SlowFor is how long a fit of [Slow] takes.
const SlowFor = 400 * time.Millisecond
