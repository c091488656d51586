package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&drifts, "null-rate", alarmed("means, with p-values that are too small", func(m *soberModel) *nervousModel { return &nervousModel{m} }, Nervous{}))

// Nervous squares its p-value.
//
// Fits on: Table N×D.
// Test:    as [Sober] does but for the fault.
// Watch:   as [Sober] does but for the fault.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/nervous.go.
type Nervous struct{}

type nervousModel struct{ *soberModel }

// Test has the fault.
func (m *nervousModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	c, err := m.soberModel.Test(ctx, window)
	if err != nil {
		return nil, err
	}
	c.PValue *= c.PValue * c.PValue / 64
	c.PValue = max(c.PValue, 1e-300)
	c.Drift = c.PValue <= c.Level
	return c, nil
}
