package weights

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "task vectors thinned at random and scaled up again, then added",
	Paper: "yu2024language",
}, DARE.Apply))

// DARE drops elements of task vectors at random, scales the rest up to make good for it, and adds the vectors to the base.
//
// Changes from fine-tuning are so redundant that nine in ten can go; what is left of several tasks then rarely meets in one element.
// With Elect the vectors are joined as TIES does, by the sign of their weighted sum.
//
// Takes:   base, the checkpoint that the others were tuned from; in, M ≥ 1 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types: base + Scale·Σ wᵢ·kept(xᵢ − base), in float64, rounded once, as it is written. Whether an element is kept is decided by a hash of seed, tensor name, position in the input and element: the same on any number of threads and however the checkpoints are cut into shards. Tensors that are equal to the byte in every input are tied, and thinned alike.
// Errors:  ErrShape listing how the checkpoints differ; ErrConfig when the number of weights or densities is not theirs; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: mergekit scales by norms and draws from PyTorch's generator: the same distribution, other masks.
// Source:  yu2024language, section 3; mergekit's dare_linear and dare_ties.
// Claim:   none: it is one of the merges that users of mergekit expect.
type DARE struct {
	// Weights are one for all vectors, or one for each in the order of the input.
	Weights []float64 `default:"1"`
	// Density is the probability with which an element is kept, one for all or one for each; the paper keeps 0.1 and less.
	Density []float64 `default:"0.1" range:"(0,1]"`
	// Rescale says how the rest is scaled up: by one over the probability, which keeps every element's mean; norm, so that each tensor's vector keeps its sum of magnitudes, as mergekit does; or none.
	Rescale string `default:"probability" enum:"probability,norm,none"`
	// Elect adds only what has the sign of the weighted sum, element by element.
	Elect bool
	// Scale multiplies what is added to the base.
	Scale float64 `default:"1" range:"(0,)"`
	// Average divides by the sum of the weights; with Elect, of those that were added.
	Average bool
	// Seed starts the draws.
	Seed uint64
}

// DAREInput is a base and what it was tuned to.
type DAREInput struct {
	// Base is the checkpoint that the others were tuned from.
	Base *data.Checkpoint
	// In are M tuned checkpoints.
	In data.Checkpoints
}

// Apply merges the vectors.
func (c DARE) Apply(ctx context.Context, in DAREInput) (*data.Checkpoint, error) {
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
	stems, err := s.stems()
	if err != nil {
		return nil, err
	}
	v := vectors{weights: w, scale: c.Scale, average: c.Average, elect: c.Elect}
	v.keep = func(t *strand, m int) (sieve, error) {
		p := density[m]
		if p == 1 {
			return nil, nil
		}
		factor := 1.0
		if c.Rescale == "probability" {
			factor = 1 / p
		}
		d := newDraws(c.Seed, stems[t.name], m)
		keep := func(v []float64, lo int) {
			for i := range v {
				if d.at(lo+i) < p {
					v[i] *= factor
				} else {
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
func (DARE) Dialects() []Dialect {
	seed := Parameter{Name: "seed", Flag: "seed", Default: "0"}
	list := vectorParameters(averages, rescales("true"), densities, seed)
	return []Dialect{
		{Name: "dare_linear", Base: "base", Others: "in", Parameters: list},
		{Name: "dare_ties", Flags: map[string]string{"elect": "true"}, Base: "base", Others: "in", Parameters: list},
	}
}
