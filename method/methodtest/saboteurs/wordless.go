package saboteurs

import (
	"context"
	"errors"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "shapes", learned("a distance", checked(Wordless.learn)))

// Wordless refuses a single row with an error that wraps nothing.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/wordless.go.
type Wordless struct{}

func (Wordless) learn(_ context.Context, in *data.Table) ([]float64, error) {
	if n, _ := in.Dims(); n == 1 {
		return nil, errors.New("invalid input")
	}
	return []float64{1}, nil
}
