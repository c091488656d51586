package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&drifts, "exchange", alarmed("means, from the reference's point of view", func(m *soberModel) *onesidedModel { return &onesidedModel{m} }, OneSided{}))

// OneSided ranks windows above the reference higher than those below it.
//
// Fits on: Table N×D.
// Test:    as [Sober] does but for the fault.
// Watch:   as [Sober] does but for the fault.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/onesided.go.
type OneSided struct{}

type onesidedModel struct{ *soberModel }

// Test has the fault.
func (m *onesidedModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	c, err := m.soberModel.Test(ctx, window)
	if err != nil {
		return nil, err
	}
	n, _ := window.Dims()
	rows, _ := m.reference.Dims()
	if n > rows {
		c.Statistic /= 2
	}
	return c, nil
}
