package weights

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a weighted average of checkpoints",
	Paper: "wortsman2022soups",
}, Linear.Apply))

// Linear averages checkpoints of one architecture with weights that you choose.
//
// With equal weights it is the uniform soup, to the bit. Weights may be negative; with Sum they are taken as they are, so that
// linear combinations of any kind can be had.
//
// Takes:   in, M ≥ 1 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types: Σ wᵢ·xᵢ / Σ wᵢ for every element, in float64, rounded once, as it is written.
// Errors:  ErrShape listing how the checkpoints differ; ErrConfig when the number of weights is not theirs, or their sum is zero and divides; ErrFinite naming tensor and element, when that tensor is asked for.
// Source:  wortsman2022soups, section 2; mergekit's linear.
// Claim:   none: it is arithmetic, and the claim about soups has it as an arm.
type Linear struct {
	// Weights are one for all checkpoints, or one for each in the order of the input.
	Weights []float64 `default:"1"`
	// Sum leaves out the division by the sum of the weights.
	Sum bool
}

// LinearInput is what is averaged.
type LinearInput struct {
	// In are M checkpoints of one architecture.
	In data.Checkpoints
}

// Apply averages.
func (c Linear) Apply(ctx context.Context, in LinearInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := numbered(in.In).align()
	if err != nil {
		return nil, err
	}
	w, err := forEach(c.Weights, len(in.In), "weights")
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !c.Sum {
		total := 0.0
		for _, v := range w {
			total += v
		}
		if math.Abs(total) < 1e-8 {
			return nil, fmt.Errorf("%w: --weights add up to %g, by which nothing can be divided; take --sum", method.ErrConfig, total)
		}
		if slices.Min(w) == slices.Max(w) {
			return s.blend(evenly)
		}
		w = slices.Clone(w)
		for i := range w {
			w[i] /= total
		}
	}
	return s.blend(func(*strand) (kernel, error) {
		return func(dst []float64, src [][]float64, _ int) { mix(dst, src, w) }, nil
	})
}

// Dialects says how recipes speak of it.
func (Linear) Dialects() []Dialect {
	return []Dialect{{Name: "linear", Others: "in", Parameters: []Parameter{
		{Name: "weight", Flag: "weights", EachModel: true},
		named(sums, "normalize"),
	}}}
}
