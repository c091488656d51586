package detect

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "what lies outside the features' principal space, as a logit against all classes",
	Paper:  "wang2022vim",
	Exempt: map[string]string{"far-from-zero": "the origin is where the head's logits vanish, wherever the rows are, section 4"},
}, ViM.Fit, loadViM))

// ViM scores how large a virtual class's logit, made of what a row has outside the principal space of training features, is beside the logits of the real classes.
//
// It is virtual-logit matching of Wang et al. (2022). It sees both what the classifier finds, as [Energy] does, and what it
// overlooks, as [Residual] does, and is strong on unfamiliar rows of either kind. O(N·D² + D³) to fit, in two passes,
// O(D² + K·D) a row to score.
//
// Fits on: Train N×D of features with N ≥ 2 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored. Rows must span more directions than Share of the columns, so N > Share·D.
// Score:   N values of any sign in the logits' unit (natural logs), virtual logit − log Σ exp(logit), higher = more unfamiliar. The logarithm of the odds of the virtual class.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when training rows have nothing outside the principal space, and when their largest logits are not positive on average, so that there is nothing to match the virtual one to.
// Differs: the log odds instead of the virtual class's probability, which has the same order; the number of principal directions is a share of D.
// Source:  wang2022vim, section 4.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type ViM struct {
	// Share of the D columns that the principal space has as directions, rounded down. The paper takes 1000 of 2048 and 512 of 768, OpenOOD 256 of 512.
	Share float64 `default:"0.5" range:"(0,1)"`
}

// Fit learns the principal space and the size of the virtual logit.
func (c ViM) Fit(ctx context.Context, in HeadInput) (*ViMModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	st, err := moments.FromSource(ctx, in.Train, moments.Options{})
	if err != nil {
		return nil, err
	}
	origin, ok := vimOrigin(h)
	if !ok {
		return nil, fmt.Errorf("%w: the head's weights have no pseudo-inverse", method.ErrDegenerate)
	}
	about, mean, d := st.Covariance(), st.Mean(), h.d
	for i := range d {
		for j := range d {
			about[i*d+j] += (mean[i] - origin[i]) * (mean[j] - origin[j])
		}
	}
	_, vectors, rank, ok := part.Spectrum(about, d)
	from := principal(c.Share, d)
	if !ok || rank <= from {
		return nil, fmt.Errorf("%w: the rows span %d directions and %d of them are principal, so that nothing is left; give more rows than columns, or lower --share", method.ErrDegenerate, rank, from)
	}
	m := &ViMModel{head: h, factor: 1, outside: outsideOf(origin, vectors, d, from)}
	n, _ := in.Train.Dims()
	virtual, top := make([]float64, n), make([]float64, n)
	m.outside.lengths(in.Train, virtual)
	h.each(in.Train, nil, func(i int, _, logits []float64) { _, top[i] = largest(logits) })
	sumVirtual, sumTop := 0.0, 0.0
	for i := range n {
		sumVirtual += virtual[i]
		sumTop += top[i]
	}
	switch {
	case !(sumTop > 0):
		return nil, fmt.Errorf("%w: the largest logits of the training rows are %.4g on average and a virtual one must match them; add a constant to the head's bias so that they are positive", method.ErrDegenerate, sumTop/float64(n))
	case !(sumVirtual > 0):
		return nil, fmt.Errorf("%w: the training rows have nothing outside %d directions; lower --share", method.ErrDegenerate, from)
	}
	m.factor = sumTop / sumVirtual
	return notCollapsed(m, in.Train, "the head does not tell rows apart")
}

// vimOrigin returns −W⁺b, where all logits are as near to zero as they come.
func vimOrigin(h *linearHead) ([]float64, bool) {
	// W⁺ = Wᵀ(WWᵀ)⁺, or (WᵀW)⁺Wᵀ: whichever has the smaller matrix to invert.
	small, rows := min(h.k, h.d), h.k <= h.d
	gram, to := make([]float64, small*small), make([]float64, small)
	if rows {
		num.Gemm(false, true, h.k, h.k, h.d, 1, h.weight, h.d, h.weight, h.d, 0, gram, h.k)
		copy(to, h.bias)
	} else {
		num.Gemm(true, false, h.d, h.d, h.k, 1, h.weight, h.d, h.weight, h.d, 0, gram, h.d)
		num.Gemm(true, false, h.d, 1, h.k, 1, h.weight, h.d, h.bias, 1, 0, to, 1)
	}
	values, vectors, rank, ok := part.Spectrum(gram, small)
	if !ok {
		return nil, false
	}
	inverse := make([]float64, small)
	for r := range rank {
		along := 0.0
		for i := range small {
			along += vectors[i*small+r] * to[i]
		}
		for i := range small {
			inverse[i] += vectors[i*small+r] * along / values[r]
		}
	}
	origin := inverse
	if rows {
		origin = make([]float64, h.d)
		num.Gemm(true, false, h.d, 1, h.k, 1, h.weight, h.d, inverse, 1, 0, origin, 1)
	}
	for j := range origin {
		origin[j] = -origin[j]
		if math.IsNaN(origin[j]) || math.IsInf(origin[j], 0) {
			return nil, false
		}
	}
	return origin, true
}

// ViMModel is a fitted [ViM].
type ViMModel struct {
	head    *linearHead
	outside outside
	factor  float64
}

// Factor returns what the length outside the principal space is multiplied by to be a logit, the paper's α.
func (m *ViMModel) Factor() float64 { return m.factor }

// Score returns each row's virtual logit beside the head's.
func (m *ViMModel) Score(features *data.Table) ([]float64, error) {
	if err := method.Width("vim", features, m.head.d); err != nil {
		return nil, err
	}
	n, _ := features.Dims()
	out := make([]float64, n)
	m.outside.lengths(features, out)
	m.head.each(features, nil, func(i int, _, logits []float64) { out[i] = m.factor*out[i] - logSumExp(logits, 1) })
	return out, nil
}

// State returns the model as tensors.
func (m *ViMModel) State() *data.Checkpoint {
	st := m.head.state()
	m.outside.add(st)
	st.Tensors["factor"] = data.Float64Tensor([]float64{m.factor}, 1)
	return st
}

func loadViM(c ViM, st *data.Checkpoint) (*ViMModel, error) {
	h, r, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	factor := r.Floats("factor", 1)
	o, err := loadOutside(r)
	if err != nil {
		return nil, err
	}
	if o.D != h.d {
		return nil, fmt.Errorf("%w: %d columns outside the principal space, %d for the head", data.ErrShape, o.D, h.d)
	}
	return &ViMModel{h, o, factor[0]}, nil
}
