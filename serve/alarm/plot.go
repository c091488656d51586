package alarm

import (
	"bytes"
	"fmt"
	"math"
	"sync"

	"github.com/gimbal-ml/gimbal/report"
)

// Plot draws the evidence of a stream over its rows as SVG, with the threshold and the row at which the alarm rang (0: it did not).
// Errors: those of [report.Line.SVG].
func Plot(model string, rows, evidence []float64, threshold float64, alarm int) ([]byte, error) {
	top := 3 * threshold // beyond it the size says nothing more
	y := make([]float64, len(evidence))
	for i, e := range evidence {
		y[i] = math.Min(e, top)
	}
	p := report.Line{
		Title:      "Evidence for drift: " + model,
		X:          report.Axis{Label: "row"},
		Y:          report.Axis{Label: "log₁₀ evidence", Cover: []float64{-threshold, threshold * 1.2}},
		Series:     []report.Series{{Name: "evidence", X: rows, Y: y}},
		Thresholds: []report.Mark{{At: threshold, Label: "alarm", State: report.Bad}},
	}
	if alarm > 0 {
		p.Events = []report.Mark{{At: float64(alarm), Label: fmt.Sprintf("rang at row %d", alarm), State: report.Bad}}
	}
	var b bytes.Buffer
	if err := p.SVG(&b); err != nil {
		return nil, fmt.Errorf("alarm: %w", err)
	}
	return b.Bytes(), nil
}

// Trace keeps a stream's evidence for a plot: at most so many points, evenly, however long the stream. The zero value is an empty one. It is
// safe for concurrent use.
type Trace struct {
	mutex          sync.Mutex
	stream         uint64
	rows, evidence []float64
	gap            float64 // rows between two points, at least
}

// tracePoints is how many points a trace has at most; then every other one goes.
const tracePoints = 400

// Add notes the evidence after so many rows of a stream. A new stream begins the trace anew.
func (t *Trace) Add(stream uint64, row int, evidence float64) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if stream != t.stream {
		t.stream, t.rows, t.evidence, t.gap = stream, nil, nil, 0
	}
	n := len(t.rows)
	if n > 0 && float64(row)-t.rows[n-1] < max(t.gap, 1) {
		return
	}
	t.rows, t.evidence = append(t.rows, float64(row)), append(t.evidence, evidence)
	if len(t.rows) < tracePoints {
		return
	}
	for i := range tracePoints / 2 {
		t.rows[i], t.evidence[i] = t.rows[2*i], t.evidence[2*i]
	}
	t.rows, t.evidence = t.rows[:tracePoints/2], t.evidence[:tracePoints/2]
	t.gap = (t.rows[len(t.rows)-1] - t.rows[0]) / float64(len(t.rows)-1)
}

// Plot draws the trace; see the function of that name. The last point is the one at which the alarm rang, if it did.
func (t *Trace) Plot(model string, threshold, evidence float64, alarm int) ([]byte, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	rows, y := t.rows, t.evidence
	if n := len(rows); alarm > 0 && (n == 0 || rows[n-1] < float64(alarm)) {
		rows, y = append(rows[:n:n], float64(alarm)), append(y[:n:n], evidence)
	}
	return Plot(model, rows, y, threshold, alarm)
}
