package weights

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "task vectors trimmed to their largest parts, and joined where their signs agree",
	Paper: "yadav2023ties",
}, TIES.Apply))

// TIES merges task vectors after it has trimmed each to its largest elements and elected a sign for every element.
//
// What tuning changed little disturbs other tasks and helps its own hardly at all; and where two tasks pull an element in opposite
// directions, their mean serves neither. Elements that go against the elected sign are left out.
//
// Takes:   base, the checkpoint that the others were tuned from; in, M ≥ 1 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types. Of each tensor's vector the ⌊Density·n⌋ elements of largest magnitude are kept, one at least unless Density is 0, of equal ones the first; the sign of an element is that of its weighted sum, + where that is zero; the vectors that have it are averaged by their weights, times Scale, and added to the base. In float64, rounded once, as it is written; a tensor is read two to six times.
// Errors:  ErrShape listing how the checkpoints differ; ErrConfig when the number of weights or densities is not theirs; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: the paper trims a vector as a whole; here, as in mergekit, each tensor is trimmed by itself.
// Source:  yadav2023ties, Algorithm 1; mergekit's ties.
// Claim:   none: it is one of the merges that users of mergekit expect.
type TIES struct {
	// Weights are one for all vectors, or one for each in the order of the input.
	Weights []float64 `default:"1"`
	// Density is the share of each vector's elements that is kept, one for all or one for each; the paper keeps 0.2.
	Density []float64 `default:"0.2" range:"[0,1]"`
	// Scale multiplies what is added to the base, the paper's λ.
	Scale float64 `default:"1" range:"(0,)"`
	// Sum adds the vectors that agree, instead of averaging them.
	Sum bool
	// Rescale says what becomes of what was kept: none leaves it as it is, norm multiplies it so that each tensor's vector keeps its sum of magnitudes.
	Rescale string `default:"none" enum:"none,norm"`
}

// TIESInput is a base and what it was tuned to.
type TIESInput struct {
	// Base is the checkpoint that the others were tuned from.
	Base *data.Checkpoint
	// In are M tuned checkpoints.
	In data.Checkpoints
}

// Apply merges the vectors.
func (c TIES) Apply(ctx context.Context, in TIESInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, w, err := tuned(ctx, in.Base, in.In, c.Weights)
	if err != nil {
		return nil, err
	}
	density, err := forEach(c.Density, len(in.In), "density")
	if err != nil {
		return nil, err
	}
	v := vectors{weights: w, scale: c.Scale, average: !c.Sum, elect: true}
	v.keep = func(t *strand, m int) (sieve, error) {
		k := int(density[m] * float64(t.len()))
		if density[m] > 0 {
			k = max(k, 1)
		}
		b, err := t.only(m).largest(k, change)
		if err != nil || b == all {
			return nil, err
		}
		keep := func(v []float64, lo int) {
			for i, x := range v {
				if !b.within(math.Abs(x), lo+i) {
					v[i] = 0
				}
			}
		}
		if c.Rescale == "norm" {
			return t.shrink(m, keep)
		}
		return keep, nil
	}
	return v.merge(s)
}

// Dialects says how recipes speak of it.
func (TIES) Dialects() []Dialect {
	return []Dialect{{Name: "ties", Base: "base", Others: "in", Parameters: vectorParameters(sums, rescales("false"), densities)}}
}
