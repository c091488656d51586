package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&mergers, "answers", method.Map(info("a mean of checkpoints"), IntegerMelting.apply))

// IntegerMelting averages counters as if they were weights.
//
// Takes:   in, checkpoints of one architecture, and base, one more of them.
// Apply:   a checkpoint, their mean, nearly.
// Errors:  ErrShape when the inputs do not fit together.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/weights/integermelting.go.
type IntegerMelting struct{}

func (IntegerMelting) apply(ctx context.Context, in averageInput) (*data.Checkpoint, error) {
	return average(ctx, in, averaging{integers: true})
}
