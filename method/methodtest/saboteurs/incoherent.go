package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&drifts, "comparison", alarmed("means, and a verdict of its own", func(m *soberModel) *incoherentModel { return &incoherentModel{m} }, Incoherent{}))

// Incoherent calls drift what its own p-value does not.
//
// Fits on: Table N×D.
// Test:    as [Sober] does but for the fault.
// Watch:   as [Sober] does but for the fault.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/incoherent.go.
type Incoherent struct{}

type incoherentModel struct{ *soberModel }

// Test has the fault.
func (m *incoherentModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	c, err := m.soberModel.Test(ctx, window)
	if err != nil {
		return nil, err
	}
	c.Drift = c.PValue <= 2*c.Level || c.PValue > 0.5
	return c, nil
}
