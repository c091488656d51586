package detect

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// LogitsInput is what a detector on a classifier's outputs learns from.
type LogitsInput struct {
	// Logits are N×K raw outputs before any softmax, a column for each class. A class that is masked out has
	// [data.MaskedLogit], which files may write as −Inf.
	Logits *data.Table
}

// classes returns K. Errors: ErrInput without logits, ErrShape for fewer than two classes.
func (in LogitsInput) classes() (int, error) {
	if in.Logits == nil {
		return 0, fmt.Errorf("%w: no logits", method.ErrInput)
	}
	_, k := in.Logits.Dims()
	if k < 2 {
		return 0, fmt.Errorf("%w: logits have %d columns, want one for each of at least 2 classes; a single output x of a yes-or-no classifier is the two columns 0 and x", data.ErrShape, k)
	}
	return k, nil
}

// fitLogits does what fitting always begins with: it readies the configuration and returns the number of classes.
func fitLogits[C any](ctx context.Context, c *C, in LogitsInput) (k int, err error) {
	if err := method.Ready(c); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return in.classes()
}

// loadLogits is fitLogits for a state that holds the number of classes alone.
func loadLogits[C any](c *C, st *data.Checkpoint) (k int, err error) {
	if err := method.Ready(c); err != nil {
		return 0, err
	}
	classes, _, err := st.Ints("classes", 1)
	if err != nil {
		return 0, err
	}
	if classes[0] < 2 || classes[0] > math.MaxInt32 {
		return 0, fmt.Errorf("%w: %d classes", data.ErrShape, classes[0])
	}
	return int(classes[0]), nil
}

// logitScorer scores each row of logits by itself, and has learned nothing but how many there are in a row.
type logitScorer struct {
	name    string // of the method, for messages
	classes int
	score   func(logits []float32) float64
}

// Score returns one number for each row of logits.
func (m *logitScorer) Score(logits *data.Table) ([]float64, error) {
	if err := method.Width(m.name, logits, m.classes); err != nil {
		return nil, err
	}
	n, _ := logits.Dims()
	out := make([]float64, n)
	num.Parallel(n, 256, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			out[i] = m.score(logits.Row(i))
		}
	})
	return out, nil
}

// State returns the model as tensors.
func (m *logitScorer) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"classes": data.Int64Tensor([]int64{int64(m.classes)}, 1)}}
}

// largest returns the place and the value of a row's largest logit, the first one of equal ones.
func largest[T num.Float](row []T) (at int, top float64) {
	for c, v := range row {
		if v > row[at] {
			at = c
		}
	}
	return at, float64(row[at])
}

// oddsAgainst returns Σ exp((logit − top)/temperature) over all classes but the one at the top: their odds against it. They
// lose nothing beside the top's own 1, which is left out.
func oddsAgainst[T num.Float](row []T, at int, top, temperature float64) float64 {
	others := 0.0
	for c, v := range row {
		if c != at {
			others += math.Exp((float64(v) - top) / temperature)
		}
	}
	return others
}

// logSumExp returns T·log Σ exp(logit/T), what a classifier finds for all classes together.
func logSumExp[T num.Float](row []T, temperature float64) float64 {
	at, top := largest(row)
	return top + temperature*math.Log1p(oddsAgainst(row, at, top, temperature))
}

// notTopProbability returns 1 − max softmax(row/T), which stays exact where it is small.
func notTopProbability[T num.Float](row []T, temperature float64) float64 {
	at, top := largest(row)
	others := oddsAgainst(row, at, top, temperature)
	return others / (1 + others)
}

// collapseRows is how many training rows are looked at for whether their scores differ; with fewer than collapseLeast that
// are not like the first, equal scores may be chance.
const collapseRows, collapseLeast = 256, 8

// notCollapsed returns the model, unless it gives training rows that differ one and the same score, so that it can tell
// nothing apart: ErrDegenerate then. why says what the reason may be.
func notCollapsed[M method.Scorer](m M, train *data.Table, why string) (M, error) {
	return notWithin(m, train, func([]float32) float64 { return 0 }, why)
}

// notWithin is notCollapsed where scores count as the same when they differ by no more than the noise of some row.
func notWithin[M method.Scorer](m M, train *data.Table, noise func(row []float32) float64, why string) (none M, err error) {
	n, _ := train.Dims()
	rows := make([]int, min(n, collapseRows))
	differ, same := 0, 0.0
	for i := range rows {
		rows[i] = i * n / len(rows)
		if !slices.Equal(train.Row(rows[i]), train.Row(0)) {
			differ++
		}
		same = max(same, noise(train.Row(rows[i])))
	}
	if differ < collapseLeast {
		return m, nil // such rows say nothing of the model
	}
	scores, err := m.Score(train.Pick(rows))
	if err != nil {
		return none, err
	}
	low, high := slices.Min(scores), slices.Max(scores)
	if high-low <= max(1e-13*max(math.Abs(low), math.Abs(high)), same) { // a few roundings
		return none, fmt.Errorf("%w: scores collapse to a constant: training rows that differ all score %.6g; %s", method.ErrDegenerate, low, why)
	}
	return m, nil
}
