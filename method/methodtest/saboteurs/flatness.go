package saboteurs

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&detectors, "", method.Map(info("minus the largest logit"), Flatness.apply))

// Flatness is a map without a fault: how flat a row of logits is.
//
// Takes:   logits, a Table N×K.
// Apply:   a Table N×1, higher = less sure.
// Errors:  ErrShape without columns.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/flatness.go.
type Flatness struct{}

func (Flatness) apply(ctx context.Context, in logits) (*data.Table, error) {
	return flatness(ctx, in, -1)
}

// logits is the input of the maps on a classifier's outputs.
type logits struct{ Logits *data.Table }

// flatness returns sign times each row's largest logit.
func flatness(ctx context.Context, in logits, sign float32) (*data.Table, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, k := in.Logits.Dims()
	if k == 0 {
		return nil, fmt.Errorf("%w: no logits in a row", data.ErrShape)
	}
	x := make([]float32, n)
	for i := range n {
		x[i] = sign * slices.Max(in.Logits.Row(i))
	}
	return data.NewTable(n, 1, x)
}
