package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&drifts, "pieces", alarmed("a stream that forgets between its pieces", func(m *soberModel) *amnesiacModel { return &amnesiacModel{m} }, Amnesiac{}))

// Amnesiac begins to count anew with every piece.
//
// Fits on: Table N×D.
// Test:    as [Sober] does but for the fault.
// Watch:   as [Sober] does but for the fault.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/amnesiac.go.
type Amnesiac struct{}

type amnesiacModel struct{ *soberModel }

// Watch begins a stream.
func (m *amnesiacModel) Watch() method.Stream {
	return &amnesiacStream{soberStream{model: m.soberModel, Patience: 8}}
}

type amnesiacStream struct{ soberStream }

// Observe forgets what came before.
func (s *amnesiacStream) Observe(ctx context.Context, in *data.Table) error {
	s.Outside = 0
	return s.soberStream.Observe(ctx, in)
}
