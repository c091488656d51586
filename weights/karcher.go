package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "the mean of checkpoints on a sphere",
	Paper: "karcher1977riemannian",
}, Karcher.Apply))

// Karcher averages checkpoints as directions: the point on the sphere whose squared arcs to all of them add up to least, at the mean of their norms.
//
// It is Slerp for more than two. For checkpoints that were tuned from one start it differs little from the plain average, which is a
// little shorter.
//
// Takes:   in, M ≥ 1 checkpoints with the same tensors.
// Apply:   a checkpoint with the same names, shapes and types: for each tensor the mean direction times the weighted mean norm; tensors of zeros have no direction and count for the norm alone. All of it follows from the inner products of the tensors, so a tensor is read twice, whatever Steps is. In float64, rounded once, as it is written.
// Errors:  ErrShape listing how the checkpoints differ; ErrConfig when the number of weights is not theirs or one is negative; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: mergekit weighs all alike, and stops after 10 steps.
// Source:  karcher1977riemannian, section 1; mergekit's karcher.
// Claim:   none: it is geometry, kept because users of mergekit expect it.
type Karcher struct {
	// Weights are one for all checkpoints, or one for each in the order of the input.
	Weights []float64 `default:"1" range:"[0,)"`
	// Steps bounds the iterations.
	Steps int `default:"100" range:"[1,1e6]"`
	// Tolerance ends them: when the next step would be a shorter arc, in radians.
	Tolerance float64 `default:"1e-5" range:"(0,1)"`
}

// KarcherInput is what is averaged.
type KarcherInput struct {
	// In are M checkpoints of one architecture.
	In data.Checkpoints
}

// Apply averages.
func (c Karcher) Apply(ctx context.Context, in KarcherInput) (*data.Checkpoint, error) {
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
	total := 0.0
	for _, v := range w {
		total += v
	}
	if total == 0 {
		return nil, fmt.Errorf("%w: all --weights are zero", method.ErrConfig)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.blend(func(t *strand) (kernel, error) {
		g, err := t.grams(nil)
		if err != nil {
			return nil, err
		}
		mixing := c.mixing(g, w)
		return func(dst []float64, src [][]float64, _ int) { mix(dst, src, mixing) }, nil
	})
}

// mixing returns the weights with which the sources add up to the mean. The search never leaves the span of the M directions, so
// it goes on in their coefficients, where inner products are those of g.
func (c Karcher) mixing(g, w []float64) []float64 {
	m := len(w)
	norms, share := make([]float64, m), make([]float64, m)
	length, total, pointed := 0.0, 0.0, 0.0
	for i := range m {
		norms[i] = math.Sqrt(g[i*m+i])
		length += w[i] * norms[i]
		total += w[i]
		if norms[i] > 0 {
			pointed += w[i]
		}
	}
	length /= total
	out := make([]float64, m)
	if pointed == 0 {
		return out
	}
	cosine := func(i, j int) float64 { return g[i*m+j] / norms[i] / norms[j] }
	mean := make([]float64, m) // coefficients of the unit vectors
	first := -1
	for i := range m {
		if norms[i] > 0 && w[i] > 0 {
			share[i] = w[i] / pointed
			mean[i] = share[i]
			if first < 0 {
				first = i
			}
		}
	}
	along := func(x []float64, j int) float64 { // inner product with the j-th unit vector
		dot := 0.0
		for i, v := range x {
			if v != 0 {
				dot += v * cosine(i, j)
			}
		}
		return dot
	}
	norm := func(x []float64) float64 {
		sq := 0.0
		for j, v := range x {
			if v != 0 {
				sq += v * along(x, j)
			}
		}
		return math.Sqrt(max(sq, 0))
	}
	scale := func(x []float64, by float64) {
		for i := range x {
			x[i] *= by
		}
	}
	if n := norm(mean); n > c.Tolerance {
		scale(mean, 1/n)
	} else { // opposite directions: any of the middle ones would do; begin at the first
		clear(mean)
		mean[first] = 1
	}
	tangent := make([]float64, m)
	for range c.Steps {
		clear(tangent)
		for j := range m {
			if share[j] == 0 {
				continue
			}
			dot := max(-1, min(1, along(mean, j)))
			angle := math.Acos(dot)
			if sine := math.Sin(angle); sine > 1e-12 { // at the point itself the step is zero, opposite to it it has no direction
				f := share[j] * angle / sine
				tangent[j] += f
				for i := range m {
					tangent[i] -= f * dot * mean[i]
				}
			}
		}
		arc := norm(tangent)
		if arc < c.Tolerance {
			break
		}
		for i := range m {
			mean[i] = math.Cos(arc)*mean[i] + math.Sin(arc)*tangent[i]/arc
		}
		scale(mean, 1/norm(mean))
	}
	for i := range m {
		if norms[i] > 0 {
			out[i] = length * mean[i] / norms[i]
		}
	}
	return out
}

// Dialects says how recipes speak of it.
func (Karcher) Dialects() []Dialect {
	return []Dialect{{Name: "karcher", Others: "in", Parameters: []Parameter{
		{Name: "max_iter", Flag: "steps", Default: "10"},
		{Name: "tol", Flag: "tolerance", Default: "1e-5"},
	}}}
}
