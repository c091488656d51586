package saboteurs

import (
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&drifts, "false-alarms", alarmed("a stream that rings at the first odd row", func(m *soberModel) *hastyModel { return &hastyModel{m} }, Hasty{}))

// Hasty rings at the first odd row, and says that it rarely does.
//
// Fits on: Table N×D.
// Test:    as [Sober] does but for the fault.
// Watch:   as [Sober] does but for the fault.
// Errors:  ErrShape on another width and for fewer than two rows.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/drift/hasty.go.
type Hasty struct{}

type hastyModel struct{ *soberModel }

// Watch begins a stream.
func (m *hastyModel) Watch() method.Stream { return &soberStream{model: m.soberModel, Patience: 1} }
