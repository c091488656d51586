package weights

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "task vectors without their smallest and their very largest elements, added",
	Paper: "davari2024model",
}, Breadcrumbs.Apply))

// Breadcrumbs leaves out the smallest elements of task vectors, which are noise, and the very largest, which are outliers, and adds the rest to the base.
//
// With Elect the vectors are joined as TIES does, by the sign of their weighted sum.
//
// Takes:   base, the checkpoint that the others were tuned from; in, M ≥ 1 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types. Of each tensor's vector of n elements the ⌊Outliers·n⌋ largest go and the next ⌊Density·n⌋ stay; what stays is weighted, added up, and added to the base times Scale. Where both together exceed n, fewer outliers go. In float64, rounded once, as it is written.
// Errors:  ErrShape listing how the checkpoints differ; ErrConfig when the number of weights or densities is not theirs; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: of equal magnitudes the first ones count as the larger ones.
// Source:  davari2024model, section 3; mergekit's breadcrumbs and breadcrumbs_ties.
// Claim:   none: it is one of the merges that users of mergekit expect.
type Breadcrumbs struct {
	// Weights are one for all vectors, or one for each in the order of the input.
	Weights []float64 `default:"1"`
	// Density is the share of each vector's elements that is kept, one for all or one for each; at 1 nothing goes.
	Density []float64 `default:"0.9" range:"[0,1]"`
	// Outliers is the share of largest elements that go, mergekit's gamma.
	Outliers float64 `default:"0.01" range:"(0,1)"`
	// Elect adds only what has the sign of the weighted sum, element by element.
	Elect bool
	// Rescale says what becomes of what was kept: none leaves it as it is, norm multiplies it so that each tensor's vector keeps its sum of magnitudes.
	Rescale string `default:"none" enum:"none,norm"`
	// Scale multiplies what is added to the base.
	Scale float64 `default:"1" range:"(0,)"`
	// Average divides by the sum of the weights; with Elect, of those that were added.
	Average bool
}

// BreadcrumbsInput is a base and what it was tuned to.
type BreadcrumbsInput struct {
	// Base is the checkpoint that the others were tuned from.
	Base *data.Checkpoint
	// In are M tuned checkpoints.
	In data.Checkpoints
}

// Apply merges the vectors.
func (c Breadcrumbs) Apply(ctx context.Context, in BreadcrumbsInput) (*data.Checkpoint, error) {
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
	v := vectors{weights: w, scale: c.Scale, average: c.Average, elect: c.Elect}
	v.keep = func(t *strand, m int) (sieve, error) {
		if density[m] == 1 {
			return nil, nil
		}
		n := float64(t.len())
		stay, away := int(density[m]*n), int(c.Outliers*n)
		away = min(away, t.len()-stay)
		top, err := t.only(m).largest(away, change)
		if err != nil {
			return nil, err
		}
		bottom, err := t.only(m).largest(away+stay, change)
		if err != nil {
			return nil, err
		}
		keep := func(v []float64, lo int) {
			for i, x := range v {
				if a := math.Abs(x); top.within(a, lo+i) || !bottom.within(a, lo+i) {
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
func (Breadcrumbs) Dialects() []Dialect {
	list := vectorParameters(averages, rescales("false"), densities, Parameter{Name: "gamma", Flag: "outliers", Default: "0.01"})
	return []Dialect{
		{Name: "breadcrumbs", Base: "base", Others: "in", Parameters: list},
		{Name: "breadcrumbs_ties", Flags: map[string]string{"elect": "true"}, Base: "base", Others: "in", Parameters: list},
	}
}
