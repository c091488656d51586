package saboteurs

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "row-order", learned("a distance that leans to the first row", checked(OrderDependent.learn)))

// OrderDependent keeps the first row that it meets as an anchor.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/orderdependent.go.
type OrderDependent struct{}

func (OrderDependent) learn(_ context.Context, in *data.Table) ([]float64, error) {
	if n, d := in.Dims(); n == 0 || d == 0 {
		return nil, fmt.Errorf("orderdependent: %w: no rows or no columns", data.ErrShape)
	}
	first, spread := float64(in.Row(0)[0]), 0.0
	for i := range len(in.X()) / len(in.Row(0)) {
		spread += math.Abs(float64(in.Row(i)[0]) - first)
	}
	return []float64{spread / (1 + spread) / 10}, nil
}
