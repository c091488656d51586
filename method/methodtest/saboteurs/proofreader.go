package saboteurs

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&auditors, "", audited("how far the label's logit is behind the largest other one", func(m *proofreaderModel) *proofreaderModel { return m }, Proofreader{}))

// Proofreader audits labels without a fault: the suite must find nothing wrong with it.
//
// Fits on: logits, a Table N×K with labels.
// Audit:   a score for each row's label.
// Errors:  ErrLabels without labels; ErrShape on another width and for fewer than two columns.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/audit/proofreader.go.
type Proofreader struct{}

// audited is the proofreader but for what spoil makes of the fitted model.
func audited[C any, M method.Model](title string, spoil func(m *proofreaderModel) M, _ C) method.Spec {
	return method.Learned(info(title),
		func(_ C, ctx context.Context, in logits) (m M, err error) {
			if err := ctx.Err(); err != nil {
				return m, err
			}
			_, classes, err := in.Logits.ColumnLabels()
			if err != nil {
				return m, err
			}
			if len(classes) < 2 {
				return m, fmt.Errorf("proofreader: %w: %d columns", data.ErrShape, len(classes))
			}
			return spoil(&proofreaderModel{classes}), nil
		},
		func(_ C, st *data.Checkpoint) (m M, err error) {
			r := st.Read()
			s := &proofreaderModel{r.Strings("classes")}
			n := r.Floats("number", 1)
			if err := r.Err(); err != nil {
				return m, err
			}
			if int(n[0]) != len(s.classes) || len(s.classes) < 2 {
				return m, fmt.Errorf("proofreader: %w: %d classes", data.ErrShape, len(s.classes))
			}
			return spoil(s), nil
		})
}

type proofreaderModel struct{ classes []string }

// State returns the classes.
func (m *proofreaderModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{"number": data.Float64Tensor([]float64{float64(len(m.classes))}, 1)}}
	st.SetStrings("classes", m.classes)
	return st
}

// Audit compares logits.
func (m *proofreaderModel) Audit(in *data.Table) ([]method.Finding, error) {
	n, k := in.Dims()
	if k != len(m.classes) {
		return nil, fmt.Errorf("proofreader: %w: table has %d columns, fitted on %d", data.ErrShape, k, len(m.classes))
	}
	if _, err := in.Labels(); err != nil {
		return nil, err
	}
	out := make([]method.Finding, n)
	for i := range out {
		own, best := -1, -1
		for c, name := range m.classes {
			if name == in.ClassName(i) {
				own = c
			} else if best < 0 || in.Row(i)[c] > in.Row(i)[best] {
				best = c
			}
		}
		if own < 0 {
			return nil, fmt.Errorf("proofreader: %w: class %q", data.ErrLabels, in.ClassName(i))
		}
		if out[i].Score = float64(in.Row(i)[best]) - float64(in.Row(i)[own]); out[i].Score > 0 {
			out[i].Suspect, out[i].Suggested, out[i].Reason = true, m.classes[best], "a larger logit"
		}
	}
	return out, nil
}
