package saboteurs

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "cancel", learned("a distance with a sum", Halfway.learn))

// Halfway returns what it has when it is cancelled, as if that were all.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/halfway.go.
type Halfway struct{}

func (Halfway) learn(ctx context.Context, in *data.Table) ([]float64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	if n == 0 || d == 0 {
		return nil, fmt.Errorf("halfway: %w: no rows or no columns", data.ErrShape)
	}
	most := 0.0
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		most = max(most, math.Abs(float64(in.Row(i)[0])-float64(in.Row(0)[0])))
	}
	return []float64{most / (1 + most) * 1e-12}, nil
}
