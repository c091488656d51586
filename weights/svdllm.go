package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "matrices of low rank that put out nearly the same for what they read",
	Paper: "wang2025svd",
}, SVDLLM.Apply))

// SVDLLM replaces matrices by the ones of a given rank whose outputs, on what the matrix reads, are nearest in the mean square.
//
// A plain truncated decomposition keeps what is large in the weights; this one keeps what is large in the outputs, by whitening the
// inputs first. LoRAExtract from a checkpoint of zeros turns the result into its two factors.
//
// Takes:   in, a checkpoint; moments, a moments state of what its matrices read: column NAME.j is what column j of the matrix NAME is multiplied with. A state whose columns have other names, as many as the only matrix has columns, is about that matrix.
// Apply:   a checkpoint with the same names, shapes and types. Every matrix W that the state knows becomes the truncated singular value decomposition of W·L, times L⁻¹, with L·Lᵀ the mean products of its inputs, Ridge of their mean diagonal added; a matrix whose rank would not fall stays, and so do other tensors. In float64, rounded once; a matrix is in memory as a whole.
// Errors:  ErrShape when a column of a matrix is missing in the state; ErrInput when the state knows no matrix; ErrDegenerate naming a matrix whose products cannot be factored, or whose singular values were not found; ErrFinite naming tensor and element, when that tensor is asked for.
// Differs: the paper also updates the layers behind; one pass of moments does not tell how.
// Source:  wang2025svd, section 3.1 (truncation-aware data whitening).
// Claim:   none: its claim needs a language model; that no matrix of the rank does better is tested.
type SVDLLM struct {
	// Share is the rank of a matrix afterwards as a share of its smaller side, rounded up. Two factors of it are smaller than the matrix below m·n/(m+n).
	Share float64 `default:"0.5" range:"(0,1)"`
	// Ridge is added to the mean products' diagonal, as a share of its mean, against columns that never moved.
	Ridge float64 `default:"1e-6" range:"(0,1]"`
}

// SVDLLMInput is a network and what it reads.
type SVDLLMInput struct {
	// In is the checkpoint.
	In *data.Checkpoint
	// Moments is a moments state of activations.
	Moments *data.Checkpoint
}

// Apply replaces the matrices.
func (c SVDLLM) Apply(ctx context.Context, in SVDLLMInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := sources{data.Checkpoints{in.In}, []string{"the checkpoint"}}.align()
	if err != nil {
		return nil, err
	}
	a, err := newActivity("the moments state", in.Moments)
	if err != nil {
		return nil, err
	}
	out := &data.Checkpoint{Meta: s.meta(), Tensors: map[string]data.Tensor{}}
	known, only := 0, matrices(in.In) == 1
	for _, name := range in.In.Names() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		t := in.In.Tensors[name]
		out.Tensors[name] = t
		if !t.DType.Float() || len(t.Shape) < 2 || t.Len() == 0 {
			continue
		}
		columns, ok, err := a.block(name, t.Len()/t.Shape[0], only)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		known++
		side := min(t.Shape[0], len(columns))
		rank := int(math.Ceil(c.Share * float64(side)))
		if rank == side {
			continue
		}
		made, err := data.LazyTensor(t.DType, t.Shape, func() ([]byte, error) {
			v, err := c.reduce(name, t, a.gram(columns), rank)
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
	if known == 0 {
		return nil, fmt.Errorf("%w: no column of the moments state is named after a matrix of the checkpoint, as in NAME.0", method.ErrInput)
	}
	return out, nil
}

// reduce computes one matrix.
func (c SVDLLM) reduce(name string, t data.Tensor, gram []float64, r int) ([]float64, error) {
	w, m, n, err := matrixOf("the checkpoint", name, t)
	if err != nil {
		return nil, err
	}
	trace := 0.0
	for i := range n {
		trace += gram[i*n+i] / float64(n)
	}
	if trace == 0 { // it reads nothing but zeros: any matrix does as well
		trace = 1
	}
	for i := range n {
		gram[i*n+i] += c.Ridge * trace
	}
	chol, ok := num.NewChol(gram, n)
	if !ok || math.IsNaN(trace) {
		return nil, fmt.Errorf("tensor %q: %w: the products of what it reads cannot be factored; take a larger --ridge", name, method.ErrDegenerate)
	}
	white := make([]float64, m*n) // W·L
	num.Gemm(false, false, m, n, n, 1, w, n, chol.L(), n, 0, white, n)
	u, s, v, ok := num.SVD(white, m, n)
	if !ok {
		return nil, fmt.Errorf("tensor %q: %w: its singular values were not found", name, method.ErrDegenerate)
	}
	// U·S·Vᵀ·L⁻¹ of the leading ones: rows of Vᵀ are solved against Lᵀ.
	k := len(s)
	left, right := make([]float64, m*r), make([]float64, n*r)
	for i := range m {
		for j := range r {
			left[i*r+j] = u[i*k+j] * s[j]
		}
	}
	for i := range n {
		copy(right[i*r:(i+1)*r], v[i*k:])
	}
	num.Trsm(true, true, true, n, r, chol.L(), n, right, r) // L⁻ᵀ·V, n×r
	num.Gemm(false, true, m, n, r, 1, left, r, right, r, 0, white, n)
	return white, nil
}
