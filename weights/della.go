package weights

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "task vectors thinned at random, small elements more often, and joined where their signs agree",
	Paper: "deep2024della",
}, DELLA.Apply))

// DELLA drops elements of task vectors at random, the smaller ones of a row with higher probability, and merges what is left as TIES does.
//
// It stands between TIES, which drops by size alone, and DARE, which drops by chance alone.
//
// Takes:   base, the checkpoint that the others were tuned from; in, M ≥ 1 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types. In each row of a tensor (its first dimension; a vector is one row) elements are ranked by magnitude, and kept with probabilities that rise evenly from Density − Spread to Density + Spread; they are scaled up, a sign is elected, those that have it are averaged by weight, and added to the base times Scale. In float64, rounded once, as it is written. What is drawn depends on seed, tensor name, position in the input and element, not on threads or shards; tensors that are equal to the byte in every input are thinned alike.
// Errors:  ErrShape listing how the checkpoints differ; ErrConfig when the number of weights or densities is not theirs, or Density ± Spread leaves (0, 1); ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: mergekit scales by norms, and ranks tensors of more than two dimensions along their second; here all of a row is ranked. Of equal magnitudes the earlier element ranks higher.
// Source:  deep2024della, section 3; mergekit's della and della_linear.
// Claim:   none: it is one of the merges that users of mergekit expect.
type DELLA struct {
	// Weights are one for all vectors, or one for each in the order of the input.
	Weights []float64 `default:"1"`
	// Density is the mean probability with which an element is kept, one for all or one for each.
	Density []float64 `default:"0.3" range:"(0,1]"`
	// Spread is how far the largest element's probability lies above Density, and the smallest one's below, mergekit's epsilon; with Density 1 everything is kept.
	Spread float64 `default:"0.15" range:"(0,0.5)"`
	// Rescale says how the rest is scaled up: by one over each element's probability, which keeps its mean; norm, so that each tensor's vector keeps its sum of magnitudes, as mergekit does; or none.
	Rescale string `default:"probability" enum:"probability,norm,none"`
	// NoElection joins the vectors whatever their signs.
	NoElection bool
	// Scale multiplies what is added to the base, the paper's λ.
	Scale float64 `default:"1" range:"(0,)"`
	// Sum adds the vectors, instead of averaging them.
	Sum bool
	// Seed starts the draws.
	Seed uint64
}

// DELLAInput is a base and what it was tuned to.
type DELLAInput struct {
	// Base is the checkpoint that the others were tuned from.
	Base *data.Checkpoint
	// In are M tuned checkpoints.
	In data.Checkpoints
}

// Apply merges the vectors.
func (c DELLA) Apply(ctx context.Context, in DELLAInput) (*data.Checkpoint, error) {
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
	for _, p := range density {
		if p < 1 && (p-c.Spread <= 0 || p+c.Spread >= 1) {
			return nil, fmt.Errorf("%w: --density %g ± --spread %g leaves the probabilities between 0 and 1; take a smaller spread", method.ErrConfig, p, c.Spread)
		}
	}
	stems, err := s.stems()
	if err != nil {
		return nil, err
	}
	v := vectors{weights: w, scale: c.Scale, average: !c.Sum, elect: !c.NoElection}
	v.keep = func(t *strand, m int) (sieve, error) {
		if density[m] == 1 {
			return nil, nil
		}
		t.byRows()
		keep := c.sieve(newDraws(c.Seed, stems[t.name], m), density[m])
		if c.Rescale == "norm" {
			return t.shrink(m, keep)
		}
		return keep, nil
	}
	return v.merge(s)
}

// sieve thins one row at a time.
func (c DELLA) sieve(d draws, density float64) sieve {
	return func(v []float64, lo int) {
		for rank, i := range byMagnitude(v) {
			p := density // of the only element of a row
			if len(v) > 1 {
				p += c.Spread * (2*float64(rank)/float64(len(v)-1) - 1)
			}
			switch {
			case d.at(lo+i) >= p:
				v[i] = 0
			case c.Rescale == "probability":
				v[i] /= p
			}
		}
	}
}

// Dialects says how recipes speak of it.
func (DELLA) Dialects() []Dialect {
	spread, seed := Parameter{Name: "epsilon", Flag: "spread", Default: "0.15"}, Parameter{Name: "seed", Flag: "seed", Default: "0"}
	linear := sums
	linear.Default = "false"
	return []Dialect{
		{Name: "della", Base: "base", Others: "in", Parameters: vectorParameters(sums, rescales("true"), densities, spread, seed)},
		{Name: "della_linear", Flags: map[string]string{"no-election": "true"}, Base: "base", Others: "in", Parameters: vectorParameters(linear, rescales("true"), densities, spread, seed)},
	}
}
