package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&mergers, "input-untouched", method.Map(info("a mean of checkpoints"), Scribbling.apply))

// Scribbling writes into the checkpoints that it reads.
//
// Takes:   in, checkpoints of one architecture, and base, one more of them.
// Apply:   a checkpoint, their mean.
// Errors:  ErrShape when the inputs do not fit together.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/weights/scribbling.go.
type Scribbling struct{}

func (Scribbling) apply(ctx context.Context, in averageInput) (*data.Checkpoint, error) {
	for _, c := range in.In {
		if c.Meta != nil {
			c.Meta["seen"] = "yes"
		}
	}
	return average(ctx, in, averaging{})
}
