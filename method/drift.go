package method

import (
	"context"
	"encoding/json"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

// Tester holds a window of rows against the reference that the model was fitted on: do both come from one distribution?
type Tester interface {
	Test(ctx context.Context, window *data.Table) (*Comparison, error)
}

// Comparison is what a test says of one window.
type Comparison struct {
	// Drift is PValue ≤ Level.
	Drift bool
	// PValue bounds how often a window without drift looks at least as odd, corrected for the number of parts; never 0.
	PValue, Level float64
	// Statistic is the method's own number, by the name that users know it under.
	Statistic float64
	Name      string
	// Effect says how large the difference is and in which unit, with an interval.
	Effect metric.Estimate
	Unit   string
	// Visible is the smallest statistic that a window of this size would show as drift four times out of five.
	Visible float64
	// Parts are the columns, or classes, that were looked at one by one; nil where the table is looked at as a whole.
	Parts []Part
}

// Part is one column, or one class, of a comparison.
type Part struct {
	Name string
	// Drift says that the part's own p-value stays at or below the level after the correction for all parts.
	Drift             bool
	PValue, Corrected float64
	Statistic         float64
	Effect            metric.Estimate
	Visible           float64
}

// Watcher begins streams, each to be held against what the model was fitted on, row by row.
type Watcher interface{ Watch() Stream }

// Stream watches rows in their order and rings once. What it has seen is saved as JSON and resumed to the same bits, so that
// rows may come in pieces of any size, over any number of runs. It is not safe for concurrent use.
type Stream interface {
	json.Marshaler
	// Observe looks at more rows. Errors: ErrShape on another width; then no row was looked at.
	Observe(ctx context.Context, rows *data.Table) error
	// Watched says how the stream stands.
	Watched() Watched
	// Resume goes on from saved bytes. Errors: ErrState when another model's stream, or none, was saved.
	Resume(saved []byte) error
}

// Watched is how a stream stands.
type Watched struct {
	// Rows were looked at; the alarm rang at AlarmRow, counted from 1, 0 when it has not, for the column AlarmColumn, from 0.
	Rows, AlarmRow, AlarmColumn int
	// ChangeRow estimates where the stretch that rang began; 0 when the method cannot tell.
	ChangeRow int
	// Evidence is the statistic now; the alarm rings when it reaches Threshold.
	Evidence, Threshold float64
	// Level bounds the probability that the alarm rings without drift within Horizon rows; Horizon 0 is the whole stream.
	Level   float64
	Horizon int
	// Visible is the smallest lasting shift of one column's mean, in its standard deviations, that is found within Within
	// rows about four times out of five.
	Visible float64
	Within  int
}
