package detect

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// MahalanobisInput is rows to learn the layers' weights from: some hundreds of each kind, none of them trained on.
type MahalanobisInput struct {
	// Familiar are N×D rows like those trained on.
	Familiar *data.Table
	// Unfamiliar are N×D rows that are not. Where none can be had, the paper takes the features of attacked inputs.
	Unfamiliar *data.Table
	// Network is what the features come from: then both tables are its inputs, and so are all rows that the refined model is asked about.
	Network *data.Checkpoint `optional:"true"`
}

// Combine returns the model with weights for its layers from rows known to be familiar and rows known not to be: a logistic
// regression on the layers' distances, with weights ≥ 0, in which each kind counts one half. With the network, it is a model
// of the network's inputs, which moves them before it scores, by the step of the paper's grid (0 to 0.2 standard deviations
// of the familiar inputs) at which the two kinds are told apart best, its layers weighed anew at every step. Errors: ErrInput
// when a kind is missing; ErrShape on another width, without rows, or when the network has no such layers (see [NewNetwork]);
// ErrDegenerate when in no layer the unfamiliar rows lie farther away.
func (m *MahalanobisModel) Combine(ctx context.Context, in MahalanobisInput) (*MahalanobisModel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Familiar == nil || in.Unfamiliar == nil {
		return nil, fmt.Errorf("mahalanobis: %w: want familiar and unfamiliar rows to weigh layers by", method.ErrInput)
	}
	sides := [2]*data.Table{in.Familiar, in.Unfamiliar}
	for i, side := range sides {
		if n, _ := side.Dims(); n == 0 {
			return nil, fmt.Errorf("mahalanobis: %w: no %s rows to weigh layers by", data.ErrShape, []string{"familiar", "unfamiliar"}[i])
		}
	}
	m = m.bare()
	if in.Network == nil {
		return m.weigh(sides)
	}
	_, inputs := in.Familiar.Dims()
	network, err := newChainNetwork(in.Network, inputs, m.widths())
	if err != nil {
		return nil, fmt.Errorf("mahalanobis: %w", err)
	}
	step, err := chooseStep(ctx, "mahalanobis", m, network, sides, func(sides [2]*data.Table) (familiar, unfamiliar []float64, err error) {
		weighed, err := m.weigh(sides)
		if err != nil {
			return nil, nil, err
		}
		if familiar, err = weighed.Score(sides[0]); err != nil {
			return nil, nil, err
		}
		unfamiliar, err = weighed.Score(sides[1])
		return familiar, unfamiliar, err
	})
	if err != nil {
		return nil, err
	}
	for i := range sides {
		if sides[i], err = perturbed("mahalanobis", m, network, sides[i], step); err != nil {
			return nil, err
		}
	}
	best, err := m.weigh(sides)
	if err != nil {
		return nil, err
	}
	best.network, best.step = network, step
	return best, nil
}

// weigh weighs layers by features of both kinds.
func (m *MahalanobisModel) weigh(sides [2]*data.Table) (*MahalanobisModel, error) {
	var squared [2][]float64
	for i, side := range sides {
		var err error
		if squared[i], err = m.layers(side); err != nil {
			return nil, err
		}
	}
	next := *m
	next.weights, next.bias = part.NonnegativeLogistic(squared[0], squared[1], len(m.spans))
	if slices.Max(next.weights) <= 0 {
		return nil, fmt.Errorf("mahalanobis: %w: the unfamiliar rows lie no farther away than the familiar ones in any layer, so no weights tell them apart", method.ErrDegenerate)
	}
	return &next, nil
}

// widths are those of the layers.
func (m *MahalanobisModel) widths() (widths []int) {
	for _, s := range m.spans {
		widths = append(widths, s.width())
	}
	return widths
}

// ScorePerturbed scores inputs after each of their values has moved by step in the direction in which the score falls:
// familiar inputs have nearer to fall than others, which sets the two further apart. The paper tries steps from 0 to 0.2
// of the pixels' deviation and chooses by rows known to be unfamiliar; a model refined with its network does so by itself
// ([MahalanobisModel.Combine]). Errors: ErrConfig when step is negative or not finite; those of the network. Source:
// lee2018simple, eq. (3).
func (m *MahalanobisModel) ScorePerturbed(network Network, inputs *data.Table, step float64) ([]float64, error) {
	m = m.bare()
	features, err := perturbed("mahalanobis", m, network, inputs, step)
	if err != nil {
		return nil, err
	}
	return m.Score(features)
}

// bare is the model on features.
func (m *MahalanobisModel) bare() *MahalanobisModel {
	next := *m
	next.network = nil
	return &next
}

// features are what the model looks at: rows as they are, or what its network makes of inputs.
func (m *MahalanobisModel) features(in *data.Table) (*data.Table, error) {
	if m.network == nil {
		return in, nil
	}
	if err := method.Width("mahalanobis", in, m.network.chain.Inputs()); err != nil {
		return nil, err
	}
	return m.network.Features(in)
}
