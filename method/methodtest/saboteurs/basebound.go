package saboteurs

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&mergers, "inputs", method.Map(info("a mean of checkpoints"), BaseBound.apply))

// BaseBound takes an optional input to be there.
//
// Takes:   in, checkpoints of one architecture, and base, one more of them.
// Apply:   a checkpoint, their mean.
// Errors:  ErrShape when the inputs do not fit together.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/weights/basebound.go.
type BaseBound struct{}

func (BaseBound) apply(ctx context.Context, in averageInput) (*data.Checkpoint, error) {
	if len(in.Base.Tensors) == 0 {
		return nil, fmt.Errorf("%w: the base has no tensors", data.ErrShape)
	}
	return average(ctx, in, averaging{})
}
