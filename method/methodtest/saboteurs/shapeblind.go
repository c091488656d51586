package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&mergers, "wrong-width", method.Map(info("a mean of checkpoints"), ShapeBlind.apply))

// ShapeBlind averages as much of a tensor as there is.
//
// Takes:   in, checkpoints of one architecture, and base, one more of them.
// Apply:   a checkpoint, their mean, nearly.
// Errors:  ErrShape when the inputs do not fit together.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/weights/shapeblind.go.
type ShapeBlind struct{}

func (ShapeBlind) apply(ctx context.Context, in averageInput) (*data.Checkpoint, error) {
	return average(ctx, in, averaging{shapeBlind: true})
}
