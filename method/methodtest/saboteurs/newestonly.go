package saboteurs

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&detectors, "update", spoiled("a distance to the newest classes", func(_ NewestOnly, m *honestModel) *newestOnlyModel { return &newestOnlyModel{m} }))

// NewestOnly forgets the old classes when it learns new ones.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Update:  learns the task and nothing else.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/newestonly.go.
type NewestOnly struct{}

type newestOnlyModel struct{ *honestModel }

// Update begins again.
func (m *newestOnlyModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if _, err := (&pupil{m.honestModel}).Update(ctx, task); err != nil {
		return nil, err
	}
	h, err := Honest{Floor: 1}.fit(ctx, task)
	if err != nil {
		return nil, err
	}
	return &newestOnlyModel{h}, nil
}
