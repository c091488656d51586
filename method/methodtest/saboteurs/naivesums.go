package saboteurs

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "far-from-zero", learned("a distance and a cancelled variance", checked(NaiveSums.learn)))

// NaiveSums takes the variance as the mean square minus the squared mean.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/naivesums.go.
type NaiveSums struct{}

func (NaiveSums) learn(_ context.Context, in *data.Table) ([]float64, error) {
	sum, square, n := 0.0, 0.0, float64(len(in.X()))
	for _, v := range in.X() {
		sum += float64(v)
		square += float64(v) * float64(v)
	}
	if n == 0 {
		return nil, fmt.Errorf("naivesums: %w: no values", data.ErrShape)
	}
	variance := max(square/n-sum/n*(sum/n), 0)
	return []float64{variance / (1 + variance)}, nil
}
