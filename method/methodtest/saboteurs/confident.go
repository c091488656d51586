package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&detectors, "direction", method.Map(info("the largest logit"), Confident.apply))

// Confident scores sure rows high.
//
// Takes:   logits, a Table N×K.
// Apply:   a Table N×1, the wrong way round.
// Errors:  ErrShape without columns.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/confident.go.
type Confident struct{}

func (Confident) apply(ctx context.Context, in logits) (*data.Table, error) {
	return flatness(ctx, in, 1)
}
