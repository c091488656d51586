package detect

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "length outside the principal space of familiar rows",
	Paper: "wang2022vim",
}, 0, Residual.FitMoments, loadResidual))

// Residual scores how much of a row lies outside the space of the leading principal components of familiar rows.
//
// It is the part of Wang et al. (2022) that sees features alone: no labels, no head, one pass, O(N·D²+D³) to fit, O(D²) a row to
// score. It finds rows that use combinations of features that no familiar row uses, and is blind to any that stay in the
// space: [ViM] adds what a classifier finds there, [GaussianAD] weighs all directions by their variance.
//
// Fits on: Table N×D with N ≥ 2; labels are ignored. Where rows span fewer directions than the principal space has, all that they do not span lies outside.
// Score:   N values ≥ 0, Euclidean length (not squared) in the features' unit, higher = more unlike training.
// Errors:  ErrDegenerate when all rows are equal; ErrShape on another width.
// Differs: the origin is the rows' mean, as in principal component analysis, not where the head's logits vanish, for which it would need the head; the number of directions is a share of D, and never more than have any variance.
// Source:  wang2022vim, section 4.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type Residual struct {
	// Share of the D columns that the principal space has as directions, rounded down. The paper takes 1000 of 2048 and 512 of 768, OpenOOD 256 of 512.
	Share float64 `default:"0.5" range:"(0,1)"`
}

// Fit learns the principal space from a table or a stream, in one or two passes.
func (c Residual) Fit(ctx context.Context, train data.Source) (*ResidualModel, error) {
	return method.FitMoments(ctx, 0, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c Residual) FitMoments(s *moments.State) (*ResidualModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	d, _ := s.Dims()
	_, vectors, rank, ok := part.Spectrum(s.Covariance(), d)
	if !ok || rank == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so there is no principal space", method.ErrDegenerate, s.Rows())
	}
	return &ResidualModel{outsideOf(s.Mean(), vectors, d, min(principal(c.Share, d), rank, d-1))}, nil
}

// ResidualModel is a fitted [Residual].
type ResidualModel struct{ outside outside }

// Score returns each row's length outside the principal space.
func (m *ResidualModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("residual", in, m.outside.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out := make([]float64, n)
	m.outside.lengths(in, out)
	return out, nil
}

// State returns the model as tensors.
func (m *ResidualModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	m.outside.add(st)
	return st
}

func loadResidual(_ Residual, st *data.Checkpoint) (*ResidualModel, error) {
	o, err := loadOutside(st.Read())
	if err != nil {
		return nil, err
	}
	return &ResidualModel{o}, nil
}
