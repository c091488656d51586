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
	Title: "the matrices whose outputs lie nearest those of all checkpoints, each on what it reads",
	Paper: "jin2023dataless",
}, RegMean.Apply))

// RegMean merges linear layers by least squares: the matrix that best repeats, on each checkpoint's own inputs, what that checkpoint puts out.
//
// It needs the second moments of what every layer reads, not the rows: a moments state for each checkpoint, which one pass over its
// own data makes.
//
// Takes:   in, M ≥ 1 checkpoints with the same tensors; moments, M moments states in the same order, whose column NAME.j is what column j of the matrix NAME is multiplied with. States whose columns have other names, as many as the only matrix has columns, are about that matrix.
// Apply:   a checkpoint with the names, shapes and types of the first: for every matrix that the states know, (Σ wᵢ·Xᵢ·Gᵢ)(Σ wᵢ·Gᵢ)⁻¹, Gᵢ the mean products of what it reads, off the diagonal times Share; for all other tensors the average by weight. In float64, rounded once; a matrix is in memory as a whole.
// Errors:  ErrShape listing how the checkpoints differ, or naming a column that a state lacks; ErrInput when there are not as many states as checkpoints; ErrConfig for weights that are not theirs or all zero; ErrDegenerate naming a matrix whose products cannot be inverted; ErrFinite naming tensor and element.
// Differs: mean products instead of sums, so that each checkpoint counts by its weight and not by its rows.
// Source:  jin2023dataless, section 3.2, eq. (2), and section 3.3 for the scaling off the diagonal.
// Claim:   none: it is one of the merges that users expect; that it is the least-squares solution is tested.
type RegMean struct {
	// Weights are one for all checkpoints, or one for each in the order of the input.
	Weights []float64 `default:"1" range:"[0,)"`
	// Share is what is left of products of different columns, the paper's α: 1 takes them as they are, less guards against states of few rows.
	Share float64 `default:"0.9" range:"(0,1]"`
}

// RegMeanInput is what is merged, and what each reads.
type RegMeanInput struct {
	// In are M checkpoints of one architecture.
	In data.Checkpoints
	// Moments are M moments states of activations.
	Moments data.Checkpoints
}

// Apply merges.
func (c RegMean) Apply(ctx context.Context, in RegMeanInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := numbered(in.In).align()
	if err != nil {
		return nil, err
	}
	m := len(in.In)
	if len(in.Moments) != m {
		return nil, fmt.Errorf("%w: %d moments states for %d checkpoints", method.ErrInput, len(in.Moments), m)
	}
	w, err := forEach(c.Weights, m, "weights")
	if err != nil {
		return nil, err
	}
	if slices.Max(w) == 0 {
		return nil, fmt.Errorf("%w: all --weights are zero", method.ErrConfig)
	}
	states := make([]*activity, m)
	for i := range states {
		if states[i], err = newActivity(fmt.Sprintf("moments state %d", i+1), in.Moments[i]); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	average := slices.Clone(w)
	for i := range average {
		sum := 0.0
		for _, v := range w {
			sum += v
		}
		average[i] /= sum
	}
	out, err := s.blend(func(*strand) (kernel, error) {
		return func(dst []float64, src [][]float64, _ int) { mix(dst, src, average) }, nil
	})
	if err != nil {
		return nil, err
	}
	only := matrices(s.list[0]) == 1
	for _, name := range s.list[0].Names() {
		t := s.list[0].Tensors[name]
		if !t.DType.Float() || len(t.Shape) < 2 || t.Len() == 0 {
			continue
		}
		columns := make([][]int, m)
		known := 0
		for i, a := range states {
			var ok bool
			if columns[i], ok, err = a.block(name, t.Len()/t.Shape[0], only); err != nil {
				return nil, err
			}
			if ok {
				known++
			}
		}
		if known == 0 {
			continue
		}
		if known < m {
			return nil, fmt.Errorf("%w: %d of %d moments states have no columns for %q", data.ErrShape, m-known, m, name)
		}
		made, err := data.LazyTensor(t.DType, t.Shape, func() ([]byte, error) {
			v, err := c.solve(s, name, states, columns, w)
			if err != nil {
				return nil, err
			}
			return data.CastTensor(t.DType, v, t.Shape...).Bytes()
		})
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out.Tensors[name] = made
	}
	return out, nil
}

// solve computes one matrix.
func (c RegMean) solve(s sources, name string, states []*activity, columns [][]int, w []float64) ([]float64, error) {
	var top, below []float64
	var rows, n int
	for i, cp := range s.list {
		x, r, k, err := matrixOf(s.who[i], name, cp.Tensors[name])
		if err != nil {
			return nil, err
		}
		if top == nil {
			rows, n = r, k
			top, below = make([]float64, rows*n), make([]float64, n*n)
		}
		g := states[i].gram(columns[i])
		for p := range n {
			for q := range n {
				if p != q {
					g[p*n+q] *= c.Share
				}
				below[p*n+q] += w[i] * g[p*n+q]
			}
		}
		num.Gemm(false, false, rows, n, n, w[i], x, n, g, n, 1, top, n)
	}
	chol, ok := num.NewChol(below, n)
	if !ok {
		return nil, fmt.Errorf("tensor %q: %w: the products of what it reads cannot be inverted; take a smaller --share", name, method.ErrDegenerate)
	}
	turned := make([]float64, len(top)) // n×rows: the solver takes columns
	num.Transpose(turned, top, n, rows, n)
	chol.Solve(turned, rows)
	num.Transpose(top, turned, rows, n, rows)
	return top, nil
}
