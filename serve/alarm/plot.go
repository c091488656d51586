package alarm

import (
	"bytes"
	"fmt"
	"math"

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
