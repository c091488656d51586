package weights

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a base plus what tuning added to it in each checkpoint",
	Paper: "ilharco2023editing",
}, TaskArithmetic.Apply))

// TaskArithmetic adds task vectors, the differences between tuned checkpoints and their base, to the base.
//
// A sum of vectors teaches the base several tasks at once; a negative weight takes a task away. Vectors of different tasks disturb each
// other little while their sum is scaled down: the paper's best Scale for a handful of tasks is 0.3 to 0.5.
//
// Takes:   base, the checkpoint that the others were tuned from; in, M ≥ 1 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types: base + Scale·Σ wᵢ·(xᵢ − base) for every element, in float64, rounded once, as it is written.
// Errors:  ErrShape listing how the checkpoints differ; ErrConfig when the number of weights is not theirs; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: mergekit takes differences in the checkpoints' own type.
// Source:  ilharco2023editing, section 2; mergekit's task_arithmetic.
// Claim:   none: it is the baseline of the methods that sort out task vectors first.
type TaskArithmetic struct {
	// Weights are one for all vectors, or one for each in the order of the input.
	Weights []float64 `default:"1"`
	// Scale multiplies the sum of the weighted vectors, the paper's λ.
	Scale float64 `default:"1" range:"(0,)"`
	// Average divides by the sum of the weights.
	Average bool
}

// TaskArithmeticInput is a base and what it was tuned to.
type TaskArithmeticInput struct {
	// Base is the checkpoint that the others were tuned from.
	Base *data.Checkpoint
	// In are M tuned checkpoints.
	In data.Checkpoints
}

// Apply adds the vectors.
func (c TaskArithmetic) Apply(ctx context.Context, in TaskArithmeticInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, w, err := tuned(ctx, in.Base, in.In, c.Weights)
	if err != nil {
		return nil, err
	}
	return vectors{weights: w, scale: c.Scale, average: c.Average}.merge(s)
}

// Dialects says how recipes speak of it.
func (TaskArithmetic) Dialects() []Dialect {
	return []Dialect{{Name: "task_arithmetic", Base: "base", Others: "in", Parameters: vectorParameters(averages, Parameter{}, Parameter{Name: "density", EachModel: true})}}
}
