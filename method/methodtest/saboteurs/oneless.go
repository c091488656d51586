package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&mergers, "shapes", method.Map(info("a mean of checkpoints"), OneLess.apply))

// OneLess divides by one less than there are.
//
// Takes:   in, checkpoints of one architecture, and base, one more of them.
// Apply:   a checkpoint, their mean, nearly.
// Errors:  ErrShape when the inputs do not fit together.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/weights/oneless.go.
type OneLess struct{}

func (OneLess) apply(ctx context.Context, in averageInput) (*data.Checkpoint, error) {
	return average(ctx, in, averaging{oneLess: true})
}
