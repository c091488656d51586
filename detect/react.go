package detect

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "free energy after unusually large activations are cut off",
	Paper: "sun2021react",
}, ReAct.Fit, loadReAct))

// ReAct scores a row by the energy that the head gives it once activations above a quantile of the training rows' are cut down to that quantile.
//
// It is the rectification of Sun et al. (2021): unfamiliar inputs often make a few units fire far beyond anything seen in
// training, which makes a network sure of itself. O(N·D) to fit, O(K·D) a row to score. Prefer it to [Energy] where features
// come out of a ReLU of a convolutional network; where their largest values are no sign of anything, as in most
// transformers, it changes little.
//
// Fits on: Train N×D of features with N ≥ 1 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored.
// Score:   N values of any sign in the logits' unit (natural logs), −log Σ exp(logit), higher = more unfamiliar.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when rows that differ all get one score.
// Differs: one threshold from all training activations, as in the paper; only the layer that the head reads.
// Source:  sun2021react, eq. (1) and section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type ReAct struct {
	// Quantile of all training activations at which larger ones are cut off: the paper's p of 90 per cent. Towards 1 the score becomes the energy.
	Quantile float64 `default:"0.9" range:"(0,1]"`
}

// Fit learns the largest activation that counts.
func (c ReAct) Fit(ctx context.Context, in HeadInput) (*ReActModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	m := newReAct(h, part.Quantile(in.Train.X(), c.Quantile))
	return notCollapsed(m, in.Train, fmt.Sprintf("activations are cut off at %.4g; raise --quantile", m.limit))
}

func newReAct(h *linearHead, limit float64) *ReActModel {
	cut := func(row []float64) {
		for j, v := range row {
			row[j] = min(v, limit) // eq. (1)
		}
	}
	return &ReActModel{headScorer{"react", h, cut, headEnergy}, limit}
}

// ReActModel is a fitted [ReAct].
type ReActModel struct {
	headScorer
	limit float64
}

// Limit returns the activation beyond which none counts.
func (m *ReActModel) Limit() float64 { return m.limit }

// State returns the model as tensors.
func (m *ReActModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["limit"] = data.Float64Tensor([]float64{m.limit}, 1)
	return st
}

func loadReAct(c ReAct, st *data.Checkpoint) (*ReActModel, error) {
	h, r, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	limit := r.Floats("limit", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return newReAct(h, limit[0]), nil
}
