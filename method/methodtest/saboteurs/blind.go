package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&drifts, "planted-drift", alarmed("means, half asleep", func(m *soberModel) *blindModel { return &blindModel{m} }, Blind{}))

// Blind never sees drift.
//
// Fits on: Table N×D.
// Test:    as [Sober] does but for the fault.
// Watch:   as [Sober] does but for the fault.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/blind.go.
type Blind struct{}

type blindModel struct{ *soberModel }

// Test has the fault.
func (m *blindModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	c, err := m.soberModel.Test(ctx, window)
	if err != nil {
		return nil, err
	}
	c.PValue, c.Drift = max(c.PValue, 0.5), false
	return c, nil
}
