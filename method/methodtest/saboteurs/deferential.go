package saboteurs

import (
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&auditors, "findings", audited("how torn the logits are, whatever the label", func(m *proofreaderModel) *deferentialModel { return &deferentialModel{m} }, Deferential{}))

// Deferential believes every label and scores how torn a row is.
//
// Fits on: logits, a Table N×K with labels.
// Audit:   as [Proofreader] does but for the fault.
// Errors:  ErrLabels without labels; ErrShape on another width and for fewer than two columns.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/audit/deferential.go.
type Deferential struct{}

type deferentialModel struct{ *proofreaderModel }

// Audit has the fault.
func (m *deferentialModel) Audit(in *data.Table) ([]method.Finding, error) {
	out, err := m.proofreaderModel.Audit(in)
	for i := range out {
		out[i] = method.Finding{Score: min(out[i].Score, -out[i].Score)}
	}
	return out, err
}
