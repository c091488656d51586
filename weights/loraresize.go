package weights

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "an adapter of lower rank that changes a base nearly alike",
	Paper: "hu2022lora",
}, LoRAResize.Apply))

// LoRAResize finds the adapter of lower rank whose changes lie nearest those of a given one.
//
// Takes:   adapter, factors in PEFT's names.
// Apply:   an adapter with the same names, F32: B·A is the truncated singular value decomposition of the given product, which is never formed: the work is O((in+out)·R²). Factors whose rank is Rank already, or less, are balanced, and change alike. Metadata: lora.rank, lora.alpha.
// Errors:  ErrInput when the adapter holds no factors; ErrShape when they do not fit each other; ErrFinite naming tensor and element, when that tensor is asked for.
// Source:  hu2022lora, section 4.1, for the form.
// Claim:   none: it is the Eckart–Young theorem, which its tests hold it to.
type LoRAResize struct {
	// Rank is how many singular values of a change are kept.
	Rank int `default:"8" range:"[1,1e5]"`
}

// LoRAResizeInput is an adapter.
type LoRAResizeInput struct {
	// Adapter holds the factors.
	Adapter *data.Checkpoint
}

// Apply makes the smaller adapter.
func (c LoRAResize) Apply(ctx context.Context, in LoRAResizeInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	changes, err := adapted(in.Adapter)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	shared := sources{list: data.Checkpoints{in.Adapter}}.meta()
	out := &data.Checkpoint{Meta: adapterMeta(shared, c.Rank), Tensors: map[string]data.Tensor{}}
	for _, name := range sortedNames(changes) {
		f := changes[name]
		rank := min(c.Rank, f.r, f.m, f.n)
		if err := addFactors(out, name, f.m, f.n, rank, func() (a, b []float64, err error) { return loraResizeOne(name, f, rank) }); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
	}
	return out, nil
}

// loraResizeOne decomposes B·A by way of the triangles of B and Aᵀ, which are small.
func loraResizeOne(name string, f factors, rank int) (a, b []float64, err error) {
	if a, b, err = f.values(name); err != nil {
		return nil, nil, err
	}
	if f.r >= min(f.m, f.n) { // no triangles: the product itself is the smaller thing
		product := make([]float64, f.m*f.n)
		num.Gemm(false, false, f.m, f.n, f.r, 1, b, f.r, a, f.n, 0, product, f.n)
		return split(name, product, f.m, f.n, rank)
	}
	turned := make([]float64, f.n*f.r)
	num.Transpose(turned, a, f.n, f.r, f.n)
	qb, rb := num.QR(b, f.m, f.r)
	qa, ra := num.QR(turned, f.n, f.r)
	core := make([]float64, f.r*f.r) // R_b·R_aᵀ
	num.Gemm(false, true, f.r, f.r, f.r, 1, rb, f.r, ra, f.r, 0, core, f.r)
	ca, cb, err := split(name, core, f.r, f.r, rank)
	if err != nil {
		return nil, nil, err
	}
	a, b = make([]float64, rank*f.n), make([]float64, f.m*rank)
	num.Gemm(false, true, rank, f.n, f.r, 1, ca, f.r, qa, f.r, 0, a, f.n)
	num.Gemm(false, false, f.m, rank, f.r, 1, qb, f.r, cb, rank, 0, b, rank)
	return a, b, nil
}
