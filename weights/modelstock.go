package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "the point between a base and the mean of its tuned copies that lies nearest their centre",
	Paper: "jang2024model",
}, ModelStock.Apply))

// ModelStock goes from a base towards the mean of a few tuned copies as far as the angles between their task vectors advise.
//
// Copies tuned with different seeds lie on a thin shell around a centre, which is better than any of them and which many would
// average to. From two or three the centre's distance can be told by geometry. It needs no held-out rows.
//
// Takes:   base, the checkpoint that the others were tuned from; in, M ≥ 2 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types: t·mean + (1−t)·base, t = M·c / (1 + (M−1)·c) with c the mean cosine between two vectors of a tensor; a tensor that no copy changed, or whose vectors cancel so that no t exists, stays the base's. In float64, rounded once, as it is written.
// Errors:  ErrShape listing how the checkpoints differ; ErrInput for a single copy; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: the paper has exact angles for two copies; for more the mean of the pairs' cosines is taken, as mergekit does. mergekit takes the cosine of a vector shorter than 1e-6 for smaller than it is.
// Source:  jang2024model, section 4, eq. (5)-(6) and its generalisation; mergekit's model_stock.
// Claim:   none: it is one of the merges that users of mergekit expect.
type ModelStock struct {
	// PerRow takes the angles of each row (first dimension) of a tensor by itself, instead of the whole tensor's.
	PerRow bool
}

// ModelStockInput is a base and what it was tuned to.
type ModelStockInput struct {
	// Base is the checkpoint that the others were tuned from.
	Base *data.Checkpoint
	// In are M tuned checkpoints.
	In data.Checkpoints
}

// Apply finds the point.
func (c ModelStock) Apply(ctx context.Context, in ModelStockInput) (*data.Checkpoint, error) {
	if len(in.In) == 1 {
		return nil, fmt.Errorf("%w: one checkpoint beside the base has no angles; want two or more", method.ErrInput)
	}
	s, _, err := tuned(ctx, in.Base, in.In, []float64{1})
	if err != nil {
		return nil, err
	}
	m := len(in.In)
	return s.blend(func(t *strand) (kernel, error) {
		if c.PerRow {
			return modelStockRows(t, m)
		}
		g, err := t.grams(lessBase)
		if err != nil {
			return nil, err
		}
		step := modelStockStep(g, m)
		return func(dst []float64, src [][]float64, _ int) { modelStockMix(dst, src, step) }, nil
	})
}

// modelStockRows makes the kernel that has a step for each row.
func modelStockRows(t *strand, m int) (kernel, error) {
	t.byRows()
	return func(dst []float64, src [][]float64, _ int) {
		g := make([]float64, m*m)
		for i := range m {
			for j := range m {
				for k, b := range src[0] {
					g[i*m+j] += (src[i+1][k] - b) * (src[j+1][k] - b)
				}
			}
		}
		modelStockMix(dst, src, modelStockStep(g, m))
	}, nil
}

// modelStockStep is t, from the inner products of M task vectors.
func modelStockStep(g []float64, m int) float64 {
	sum, pairs := 0.0, 0.0
	for i := range m {
		for j := range i {
			pairs++
			if norms := math.Sqrt(g[i*m+i]) * math.Sqrt(g[j*m+j]); norms > 0 {
				sum += max(-1, min(1, g[i*m+j]/norms))
			}
		}
	}
	c := sum / pairs
	below := 1 + float64(m-1)*c
	if below < 1e-6 { // cosines of M vectors cannot average below −1/(M−1): there no centre is in sight
		return 0
	}
	return float64(m) * c / below
}

// modelStockMix goes from the base, the first source, towards the mean of the others.
func modelStockMix(dst []float64, src [][]float64, step float64) {
	each := step / float64(len(src)-1)
	for i, b := range src[0] {
		sum := 0.0
		for _, s := range src[1:] {
			sum += s[i] - b
		}
		dst[i] = b + each*sum
	}
}

// Dialects says how recipes speak of it.
func (ModelStock) Dialects() []Dialect {
	return []Dialect{{Name: "model_stock", Base: "base", Others: "in", Parameters: []Parameter{{Name: "filter_wise", Flag: "per-row", Default: "false"}}}}
}
