package detect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "divergence of a classifier's probabilities from those typical of any class",
	Paper: "hendrycks2022scaling",
}, KLMatching.Fit, loadKLMatching))

// KLMatching scores how far a row's probabilities are from the mean probabilities of the rows that a classifier gives to one class, whichever is nearest.
//
// It is the second detector of Hendrycks et al. (2022): it knows which classes are usually mistaken for each other, so that
// being torn between those is no sign of anything, which [MaxSoftmax] takes for one. O(N·K) to fit, O(K²) a row to score. Fit it on
// rows that the classifier was not trained on, whose probabilities are less sure.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2; labels are ignored. Classes that no row is given to have no typical probabilities.
// Score:   N values ≥ 0, Kullback–Leibler divergence in natural logs, higher = more unfamiliar. Adding a constant to a row of logits changes nothing.
// Errors:  ErrInput without logits; ErrShape for no rows, for fewer than two classes and on another width; ErrDegenerate when rows that differ all get one score.
// Differs: logarithms of mean probabilities are summed exactly, so that none is minus infinity and no score infinite.
// Source:  hendrycks2022scaling, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type KLMatching struct{}

// Fit learns the typical probabilities of every class.
func (c KLMatching) Fit(ctx context.Context, in LogitsInput) (*KLMatchingModel, error) {
	k, err := fitLogits(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	n, _ := in.Logits.Dims()
	if n == 0 {
		return nil, fmt.Errorf("%w: no rows to learn typical probabilities from", data.ErrShape)
	}
	// The logarithm of a mean of numbers given by their logarithms: the largest of each first, then the sum beside it.
	tops := slices.Repeat([]float64{math.Inf(-1)}, k*k)
	sums, rows := make([]float64, k*k), make([]float64, k)
	log := make([]float64, k)
	for i := range n {
		to := klmatchingLog(log, in.Logits.Row(i)) * k
		for j, v := range log {
			tops[to+j] = max(tops[to+j], v)
		}
	}
	for i := range n {
		if err := ctx.Err(); i%headRows == 0 && err != nil {
			return nil, err
		}
		to := klmatchingLog(log, in.Logits.Row(i))
		rows[to]++
		for j, v := range log {
			sums[to*k+j] += math.Exp(v - tops[to*k+j])
		}
	}
	m := &KLMatchingModel{classes: k}
	for l, count := range rows {
		if count > 0 {
			for j := range k {
				m.typical = append(m.typical, tops[l*k+j]+math.Log(sums[l*k+j]/count))
			}
		}
	}
	return notCollapsed(m, in.Logits, "the classifier's probabilities are the same for all rows of a class")
}

// klmatchingLog writes a row's log probabilities to dst and returns the class with the largest.
func klmatchingLog(dst []float64, logits []float32) int {
	at, top := largest(logits)
	whole := math.Log1p(oddsAgainst(logits, at, top, 1))
	for j, v := range logits {
		dst[j] = float64(v) - top - whole
	}
	return at
}

// KLMatchingModel is a fitted [KLMatching].
type KLMatchingModel struct {
	classes int
	typical []float64 // log probabilities, a row of K for each class that is predicted
}

// Score returns each row's divergence from the nearest class's typical probabilities.
func (m *KLMatchingModel) Score(logits *data.Table) ([]float64, error) {
	if err := method.Width("klmatching", logits, m.classes); err != nil {
		return nil, err
	}
	n, _ := logits.Dims()
	k := m.classes
	templates := len(m.typical) / k
	out := make([]float64, n)
	num.Parallel(n, 64, func(from, to int) {
		size := min(headRows, to-from)
		log, p, cross := make([]float64, k), make([]float64, size*k), make([]float64, size*templates)
		for lo := from; lo < to; lo += headRows {
			rows := min(headRows, to-lo)
			for i := range rows {
				klmatchingLog(log, logits.Row(lo+i))
				for j, v := range log {
					p[i*k+j] = math.Exp(v)
					if p[i*k+j] > 0 {
						out[lo+i] += p[i*k+j] * v
					}
				}
			}
			num.Gemm(false, true, rows, templates, k, 1, p, k, m.typical, k, 0, cross, templates)
			for i := range rows {
				out[lo+i] = max(out[lo+i]-slices.Max(cross[i*templates:(i+1)*templates]), 0) // Σ p·log p − Σ p·log d
			}
		}
	})
	return out, nil
}

// State returns the model as tensors.
func (m *KLMatchingModel) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"typical": data.Float64Tensor(m.typical, len(m.typical)/m.classes, m.classes)}}
}

func loadKLMatching(_ KLMatching, st *data.Checkpoint) (*KLMatchingModel, error) {
	typical, shape, err := st.Floats("typical", -1, -1)
	if err != nil {
		return nil, err
	}
	if len(typical) == 0 || shape[1] < 2 {
		return nil, fmt.Errorf("%w: typical probabilities of shape %v", data.ErrShape, shape)
	}
	for _, v := range typical {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%w: a typical log probability is %v", data.ErrFinite, v)
		}
	}
	return &KLMatchingModel{classes: shape[1], typical: typical}, nil
}
