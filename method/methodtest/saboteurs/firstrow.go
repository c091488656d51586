package saboteurs

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&drifts, "window-order", alarmed("means, the first row counted twice", func(m *soberModel) *firstrowModel { return &firstrowModel{m} }, FirstRow{}))

// FirstRow lets the first row of a window weigh more.
//
// Fits on: Table N×D.
// Test:    as [Sober] does but for the fault.
// Watch:   as [Sober] does but for the fault.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/firstrow.go.
type FirstRow struct{}

type firstrowModel struct{ *soberModel }

// Test has the fault.
func (m *firstrowModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	c, err := m.soberModel.Test(ctx, window)
	if err != nil {
		return nil, err
	}
	c.Visible += math.Min(math.Abs(float64(window.Row(0)[0])-float64(window.Row(1)[0]))/1000, 1)
	return c, nil
}
