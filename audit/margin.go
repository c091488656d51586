package audit

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.FromSource[Margin, LogitsInput](method.Info{
	Title: "how much more probable another class is than the label",
	Paper: "northcutt2021confident",
}, Margin.FitSource, loadMargin))

// Margin orders labels by the largest probability of another class, less that of the label.
//
// It is the normalised margin by which Northcutt, Jiang and Chuang (2021) rank, without their confident joint: nothing is learned
// but the classes. It calls every label wrong that is not the classifier's favourite; prefer [ConfidentLearning] for how many to
// look at, which knows that some classes are never favourites.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities, of a classifier that has not learned from these rows; all rows labelled.
// Audit:   scores in [−1, 1], the margin, higher = more likely wrong. Suspect: another class is more probable.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: the sign is turned, so that higher means more likely wrong.
// Source:  northcutt2021confident, section 3.2.
// Claim:   none: it is here to be compared with.
type Margin struct {
	// Probabilities says that rows are probabilities instead of logits.
	Probabilities bool
}

// Fit is FitSource on a table in memory.
func (c Margin) Fit(ctx context.Context, in LogitsInput) (*MarginModel, error) {
	if in.Logits == nil {
		return nil, fmt.Errorf("%w: no logits", method.ErrInput)
	}
	return c.FitSource(ctx, in.Logits)
}

// FitSource learns the classes, and looks at all rows so that a bad one is told now.
func (c Margin) FitSource(ctx context.Context, src data.Source) (*MarginModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &MarginModel{outputs{name: "margin", probabilities: c.Probabilities}}
	if err := m.begin(ctx, src); err != nil {
		return nil, err
	}
	err := m.pass(ctx, src, func(b *data.Table, _ []int, first int) error { return m.each(b, first, func(int, shares) {}) })
	if err != nil {
		return nil, err
	}
	return m, nil
}

// MarginModel is a fitted [Margin].
type MarginModel struct{ outputs }

// Audit scores labels by margin.
func (m *MarginModel) Audit(in *data.Table) ([]method.Finding, error) {
	labels, err := m.labels(in, 0)
	if err != nil {
		return nil, err
	}
	out := make([]method.Finding, len(labels))
	err = m.each(in, 0, func(i int, p shares) {
		c, margin := p.against(labels[i])
		if out[i].Score = margin; margin > 0 {
			out[i].Suspect, out[i].Suggested = true, m.classes[c]
			out[i].Reason = fmt.Sprintf("%.3f for %s, %.3f for its own", p.at(c), m.classes[c], p.at(labels[i]))
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// State returns the classes.
func (m *MarginModel) State() *data.Checkpoint {
	return m.state(map[string]data.Tensor{"classes": data.Int64Tensor([]int64{int64(m.k)}, 1)})
}

func loadMargin(c Margin, st *data.Checkpoint) (*MarginModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	base, err := load("margin", st.Read(), c.Probabilities)
	if err != nil {
		return nil, err
	}
	if k, _, err := st.Ints("classes", 1); err != nil || k[0] != int64(base.k) {
		return nil, fmt.Errorf("%w: %d classes and %d names of them: %v", data.ErrShape, k, base.k, err)
	}
	return &MarginModel{base}, nil
}
