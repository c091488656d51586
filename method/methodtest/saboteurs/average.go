package saboteurs

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&mergers, "", method.Map(info("the mean of every tensor"), Average.apply))

// Average is a map without a fault: the mean of checkpoints.
//
// Takes:   in, checkpoints of one architecture, and base, one more of them.
// Apply:   a checkpoint, their mean.
// Errors:  ErrShape when the inputs do not fit together.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/weights/average.go.
type Average struct{}

func (Average) apply(ctx context.Context, in averageInput) (*data.Checkpoint, error) {
	return average(ctx, in, averaging{})
}

// averageInput is the input of the maps on checkpoints.
type averageInput struct {
	In   data.Checkpoints
	Base *data.Checkpoint `optional:"true"` // where given, it counts as one more
}

// averaging says which fault average has.
type averaging struct{ integers, oneLess, shapeBlind bool }

func average(ctx context.Context, in averageInput, fault averaging) (*data.Checkpoint, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	all := slices.Clone(in.In)
	if in.Base != nil {
		all = append(all, in.Base)
	}
	if len(in.In) == 0 {
		return nil, fmt.Errorf("%w: no checkpoints", data.ErrShape)
	}
	out := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, name := range all[0].Names() {
		first := all[0].Tensors[name]
		mean := make([]float64, first.Len())
		for _, c := range all {
			t, ok := c.Tensors[name]
			if !ok {
				return nil, fmt.Errorf("%w: a checkpoint has no tensor %q", data.ErrShape, name)
			}
			if !slices.Equal(t.Shape, first.Shape) && !fault.shapeBlind {
				return nil, fmt.Errorf("%w: tensor %q has shape %v, the first checkpoint's %v", data.ErrShape, name, t.Shape, first.Shape)
			}
			v, err := t.Float64s()
			if err != nil {
				return nil, err
			}
			count := float64(len(all))
			if fault.oneLess {
				count -= float64(len(all)-len(in.In)) + 1
			}
			for i := range min(len(v), len(mean)) {
				mean[i] += v[i] / count
			}
		}
		switch {
		case first.DType.Float():
			out.Tensors[name] = data.CastTensor(first.DType, mean, first.Shape...)
		case fault.integers:
			whole := make([]int64, len(mean))
			for i, v := range mean {
				whole[i] = int64(v) + 1
			}
			out.Tensors[name] = data.Int64Tensor(whole, first.Shape...)
		default:
			out.Tensors[name] = first
		}
	}
	return out, nil
}
