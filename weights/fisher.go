package weights

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "an average in which every checkpoint counts most where it is surest",
	Paper: "matena2022merging",
}, Fisher.Apply))

// Fisher averages checkpoints element by element, each weighted by its own diagonal Fisher information.
//
// An element that a task does not depend on has next to no Fisher information there, and takes the value of the task that does depend
// on it. The information is the mean square of the gradient of the log-likelihood over rows, from the program that trained the network.
//
// Takes:   in, M ≥ 1 checkpoints with the same tensors; precision, M checkpoints in the same order with the Fisher information of each element under the same name, ≥ 0. A tensor that none of them has is averaged plainly.
// Apply:   a checkpoint with the names, shapes and types of the first: Σ wᵢ(fᵢ + Floor)·xᵢ / Σ wᵢ(fᵢ + Floor), in float64, rounded once, as it is written.
// Errors:  ErrShape listing how the checkpoints differ, or naming a tensor whose information has another shape or lacks in some only; ErrInput when their numbers differ or an element of information is negative; ErrConfig for weights that are not theirs or all zero; ErrFinite naming tensor and element.
// Differs: the floor is ours, so that elements without any information are averaged plainly, instead of 0/0.
// Source:  matena2022merging, section 3, eq. (2).
// Claim:   none: it is one of the merges that users expect, and its information comes from outside.
type Fisher struct {
	// Weights are one for all checkpoints, or one for each in the order of the input.
	Weights []float64 `default:"1" range:"[0,)"`
	// Floor is added to every element's information.
	Floor float64 `default:"1e-6" range:"(0,)"`
}

// FisherInput is what is averaged, and how sure each is.
type FisherInput struct {
	// In are M checkpoints of one architecture.
	In data.Checkpoints
	// Precision are M checkpoints of Fisher information.
	Precision data.Checkpoints
}

// Apply averages.
func (c Fisher) Apply(ctx context.Context, in FisherInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := numbered(in.In).align()
	if err != nil {
		return nil, err
	}
	m := len(in.In)
	if len(in.Precision) != m {
		return nil, fmt.Errorf("%w: %d checkpoints of information for %d checkpoints", method.ErrInput, len(in.Precision), m)
	}
	w, err := forEach(c.Weights, m, "weights")
	if err != nil {
		return nil, err
	}
	if slices.Max(w) == 0 {
		return nil, fmt.Errorf("%w: all --weights are zero", method.ErrConfig)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, name := range s.list[0].Names() {
		want, have := s.list[0].Tensors[name], 0
		for i, p := range in.Precision {
			if p == nil {
				return nil, fmt.Errorf("%w: the information of checkpoint %d is missing", method.ErrInput, i+1)
			}
			t, ok := p.Tensors[name]
			if !ok || !want.DType.Float() {
				continue
			}
			have++
			if !slices.Equal(t.Shape, want.Shape) {
				return nil, fmt.Errorf("%w: the information of checkpoint %d on %q is %v, want %v", data.ErrShape, i+1, name, t.Shape, want.Shape)
			}
		}
		if have != 0 && have != m {
			return nil, fmt.Errorf("%w: the information on %q is missing for %d of %d checkpoints", data.ErrShape, name, m-have, m)
		}
	}
	return s.blend(func(t *strand) (kernel, error) {
		if _, ok := in.Precision[0].Tensors[t.name]; !ok {
			return func(dst []float64, src [][]float64, _ int) { fisherMix(dst, src, nil, w, c.Floor) }, nil
		}
		for i, p := range in.Precision { // from here on the strand has twice as many sources
			t.from, t.who = append(t.from, p.Tensors[t.name]), append(slices.Clip(t.who), fmt.Sprintf("the information of checkpoint %d", i+1))
		}
		negative := make([]int, t.units())
		if err := t.all(func(number, from int, src [][]float64) {
			for _, f := range src[m:] {
				if i := slices.IndexFunc(f, func(v float64) bool { return v < 0 }); i >= 0 && negative[number] == 0 {
					negative[number] = from + i + 1
				}
			}
		}); err != nil {
			return nil, err
		}
		for _, i := range negative {
			if i > 0 {
				return nil, fmt.Errorf("%w: tensor %q: element %d has negative information; want mean squares of gradients", method.ErrInput, t.name, i-1)
			}
		}
		return func(dst []float64, src [][]float64, _ int) { fisherMix(dst, src[:m], src[m:], w, c.Floor) }, nil
	})
}

func fisherMix(dst []float64, src, precision [][]float64, w []float64, floor float64) {
	for i := range dst {
		top, below := 0.0, 0.0
		for m := range src {
			f := w[m] * floor
			if precision != nil {
				f = w[m] * (precision[m][i] + floor)
			}
			top += f * src[m][i]
			below += f
		}
		dst[i] = top / below
	}
}
