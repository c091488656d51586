package weights

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a base with an adapter of low rank added",
	Paper: "hu2022lora",
}, LoRAMerge.Apply))

// LoRAMerge adds an adapter's changes to the matrices that they belong to, so that nothing is added at run time any more.
//
// Takes:   in, the base; adapter, factors in PEFT's names, for tensors LAYER.weight of the base.
// Apply:   a checkpoint with the base's names, shapes and types: W + Scale·B·A, in float64, rounded once, a matrix at a time as it is written. Other tensors stay.
// Errors:  ErrInput when the adapter holds no factors or some for a tensor that the base lacks; ErrShape when factors do not fit each other or their tensor; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: PEFT reads lora_alpha / r from a file beside the adapter; here it is Scale.
// Source:  hu2022lora, section 4.1, eq. (3).
// Claim:   none: it is one sum.
type LoRAMerge struct {
	// Scale multiplies the change: lora_alpha / r of the adapter's configuration. Adapters of ours want 1.
	Scale float64 `default:"1" range:"(0,)"`
}

// LoRAMergeInput are a base and an adapter.
type LoRAMergeInput struct {
	// In is the base.
	In *data.Checkpoint
	// Adapter holds the factors.
	Adapter *data.Checkpoint
}

// Apply adds the change.
func (c LoRAMerge) Apply(ctx context.Context, in LoRAMergeInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := sources{data.Checkpoints{in.In}, []string{"the base"}}.align()
	if err != nil {
		return nil, err
	}
	changes, err := adapted(in.Adapter)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := &data.Checkpoint{Meta: s.meta(), Tensors: map[string]data.Tensor{}}
	for name, t := range in.In.Tensors {
		out.Tensors[name] = t
	}
	for _, name := range sortedNames(changes) {
		f := changes[name]
		t, ok := in.In.Tensors[name]
		if !ok || !t.DType.Float() {
			return nil, fmt.Errorf("%w: the adapter changes tensor %q, which is no floating-point tensor of the base", method.ErrInput, name)
		}
		if !slices.Equal(t.Shape, []int{f.m, f.n}) {
			return nil, fmt.Errorf("tensor %q: %w: it is %v, the adapter's change %v", name, data.ErrShape, t.Shape, []int{f.m, f.n})
		}
		made, err := data.LazyTensor(t.DType, t.Shape, func() ([]byte, error) {
			w, _, _, err := matrixOf("the base", name, t)
			if err != nil {
				return nil, err
			}
			a, b, err := f.values(name)
			if err != nil {
				return nil, err
			}
			num.Gemm(false, false, f.m, f.n, f.r, c.Scale, b, f.r, a, f.n, 1, w, f.n)
			return data.CastTensor(t.DType, w, t.Shape...).Bytes()
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out.Tensors[name] = made
	}
	return out, nil
}
