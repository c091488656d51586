package saboteurs

import (
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"github.com/gimbal-ml/gimbal/data"
)

var _ = add(&detectors, "concurrent", spoiled("a distance, worked out in shared scratch", func(_ Racy, m *honestModel) *racyModel { return &racyModel{honestModel: m} }))

// Racy keeps its scratch space in the model. Atomic words hide that from the race detector: only the results tell.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values, as [Honest] gives them but for the fault.
// Predict: N×K probabilities, as [Honest] gives them but for the fault.
// Errors:  ErrShape on another width; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/racy.go.
type Racy struct{}

type racyModel struct {
	*honestModel
	scratch [32]atomic.Uint64
}

// Score goes through the shared scratch, a few rows at a time.
func (m *racyModel) Score(in *data.Table) ([]float64, error) {
	out, err := m.honestModel.Score(in)
	for chunk := range slices.Chunk(out, len(m.scratch)) {
		for i, v := range chunk {
			m.scratch[i].Store(math.Float64bits(v))
		}
		runtime.Gosched()
		for i := range chunk {
			chunk[i] = math.Float64frombits(m.scratch[i].Load())
		}
	}
	return out, err
}
