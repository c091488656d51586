package saboteurs

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "deterministic", learned("a distance with a sum over threads", checked(ThreadDependent.learn)))

// ThreadDependent adds up one part a thread, so that rounding depends on their number.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/threaddependent.go.
type ThreadDependent struct{}

func (ThreadDependent) learn(_ context.Context, in *data.Table) ([]float64, error) {
	x, total := in.X(), 0.0
	if len(x) == 0 {
		return nil, fmt.Errorf("threaddependent: %w: no values", data.ErrShape)
	}
	for part := range slices.Chunk(x, len(x)/runtime.GOMAXPROCS(0)+1) {
		sum := 0.0
		for _, v := range part {
			sum += math.Sqrt(math.Abs(float64(v - x[0])))
		}
		total += sum
	}
	return []float64{1e-9 * total / (1 + total)}, nil
}
