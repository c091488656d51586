package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// vectors merges task vectors, the differences between tuned checkpoints and the one that they were tuned from. The methods that
// do so differ in what they keep of each vector and in how they join what was kept.
type vectors struct {
	weights []float64 // of each vector
	scale   float64   // of their sum
	average bool      // divide by the weights of what was added
	elect   bool      // add only what has the sign of the weighted sum
	// keep looks at one vector of a tensor and says what to leave of it; nil leaves all. It may also change the strand's unit.
	keep func(t *strand, model int) (sieve, error)
}

// sieve changes elements of a task vector in place, from number lo on.
type sieve func(vector []float64, lo int)

// merge adds what is left of the vectors to the base.
func (v vectors) merge(s sources) (*data.Checkpoint, error) {
	total := 0.0
	for _, w := range v.weights {
		total += w
	}
	if math.Abs(total) < 1e-8 { // the weights cancel; their sum divides nothing
		total = 1
	}
	return s.blend(func(t *strand) (kernel, error) {
		sieves := make([]sieve, len(v.weights))
		for m := range sieves {
			if v.keep == nil {
				break
			}
			var err error
			if sieves[m], err = v.keep(t, m); err != nil {
				return nil, err
			}
		}
		return func(dst []float64, src [][]float64, lo int) {
			base, changes := src[0], lessBase(src)
			for m, change := range changes {
				if sieves[m] != nil {
					sieves[m](change, lo)
				}
				for i := range change {
					change[i] *= v.weights[m]
				}
			}
			v.join(dst, changes, total)
			for i, x := range dst {
				dst[i] = base[i] + v.scale*x
			}
		}, nil
	})
}

// join adds weighted changes up.
func (v vectors) join(dst []float64, changes [][]float64, total float64) {
	for i := range dst {
		sum := 0.0
		for _, c := range changes {
			sum += c[i]
		}
		if !v.elect {
			if v.average {
				sum /= total
			}
			dst[i] = sum
			continue
		}
		negative := sum < 0
		kept, weight := 0.0, 0.0
		for m, c := range changes {
			if x := c[i]; x != 0 && (x < 0) == negative {
				kept += x
				weight += v.weights[m]
			}
		}
		if v.average && weight != 0 {
			kept /= weight
		}
		dst[i] = kept
	}
}

// shrink multiplies what a mask leaves so that the vector keeps its sum of magnitudes, as mergekit does: keep sets to zero what goes.
// Vectors of next to nothing stay as they are.
func (t *strand) shrink(model int, keep sieve) (sieve, error) {
	const tiny = 1e-7
	sums, err := t.only(model).sums(2, func(sum []float64, src [][]float64, from int) {
		v := change(src)
		for _, x := range v {
			sum[0] += math.Abs(x)
		}
		keep(v, from)
		for _, x := range v {
			sum[1] += math.Abs(x)
		}
	})
	if err != nil {
		return nil, err
	}
	if sums[0] < tiny || sums[1] < tiny {
		return keep, nil
	}
	factor := sums[0] / sums[1]
	return func(v []float64, lo int) {
		keep(v, lo)
		for i := range v {
			v[i] *= factor
		}
	}, nil
}

// draws are pseudo-random numbers for the elements of one vector of one tensor. They depend on seed, names and positions alone: not on
// threads, nor on how a checkpoint is cut into files.
type draws struct{ key uint64 }

func newDraws(seed uint64, tensor string, model int) draws {
	key := part.Mix(seed)
	for _, b := range []byte(tensor) {
		key = part.Mix(key ^ uint64(b))
	}
	return draws{part.Mix(key + uint64(model))}
}

// at is uniform in [0, 1).
func (d draws) at(i int) float64 {
	return float64(part.Mix(d.key^part.Mix(uint64(i)))>>11) * 0x1p-53
}

// forEach returns one number for each of n checkpoints, from a list that has one for all or one for each.
func forEach(list []float64, n int, flag string) ([]float64, error) {
	switch len(list) {
	case n:
		return list, nil
	case 1:
		all := make([]float64, n)
		for i := range all {
			all[i] = list[0]
		}
		return all, nil
	}
	return nil, fmt.Errorf("%w: --%s has %d numbers for %d checkpoints, want one for all or one for each", method.ErrConfig, flag, len(list), n)
}

// tuned aligns a base with what it was tuned to, and gives each vector its weight.
func tuned(ctx context.Context, base *data.Checkpoint, in data.Checkpoints, weights []float64) (sources, []float64, error) {
	if len(in) == 0 {
		return sources{}, nil, fmt.Errorf("%w: no checkpoints beside the base", method.ErrInput)
	}
	s, err := onto(base, in).align()
	if err != nil {
		return s, nil, err
	}
	w, err := forEach(weights, len(in), "weights")
	if err != nil {
		return s, nil, err
	}
	return s, w, ctx.Err()
}

// vectorParameters are those that recipes give to all methods on task vectors: normalize turns the flag named, which may say the
// opposite; rescale, too, has words of ours, or none where nothing is left out.
func vectorParameters(normalize Parameter, rescale Parameter, more ...Parameter) []Parameter {
	return append([]Parameter{
		{Name: "weight", Flag: "weights", EachModel: true},
		{Name: "lambda", Flag: "scale", Default: "1"},
		{Name: "int8_mask"},
		named(normalize, "normalize"), named(rescale, "rescale"),
	}, more...)
}

func named(p Parameter, name string) Parameter {
	p.Name = name
	return p
}

// What recipes say of normalize where we have Average, and where we have Sum.
var (
	averages = Parameter{Flag: "average", Default: "false"}
	sums     = Parameter{Flag: "sum", Default: "true", Words: map[string]string{"true": "false", "false": "true"}}
)

// rescales is what recipes say of rescale.
func rescales(unset string) Parameter {
	return Parameter{Flag: "rescale", Default: unset, Words: map[string]string{"true": "norm", "false": "none"}}
}

// densities is what recipes say of the share that is kept.
var densities = Parameter{Name: "density", Flag: "density", EachModel: true, Default: "1"}

// only is the strand with the base and one tuned checkpoint alone: looking at one vector reads no other.
func (t *strand) only(model int) *strand {
	return &strand{name: t.name, dtype: t.dtype, shape: t.shape, from: []data.Tensor{t.from[0], t.from[model+1]}, who: []string{t.who[0], t.who[model+1]}, unit: t.unit}
}

// change is the vector of a strand with one tuned checkpoint.
func change(src [][]float64) []float64 { return lessBase(src)[0] }
