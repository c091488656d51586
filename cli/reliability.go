package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/report"
)

// writeReliability draws the reliability diagram of what was compared as a page. Errors: ErrLabels without a labelled row.
func (e *env) writeReliability(o *predictOptions, model string, c *comparison) error {
	if len(c.labels) == 0 {
		return fmt.Errorf("%s: %w: no row has a class that the model knows", listed(o.inputs), data.ErrLabels)
	}
	right := make([]bool, len(c.labels))
	for i, y := range c.labels {
		right[i] = c.predicted[i] == y
	}
	bins, err := metric.Reliability(metric.Bins{}, c.confidence, right)
	if err != nil {
		return err
	}
	page := &report.Page{
		Title:     "How sure, and how often right",
		Subtitle:  fmt.Sprintf("%s predicted by %s", listed(o.inputs), model),
		Generated: fmt.Sprintf("gimbal %v, %s", versions().get("gimbal"), time.Now().UTC().Format("2006-01-02 15:04 MST")),
		Sections:  []report.Section{{Title: "Reliability", Blocks: reliabilityBlocks(bins)}},
	}
	if o.reliability == "-" {
		return page.HTML(e.stdout)
	}
	if err := atomic.Write(o.reliability, func(w io.Writer) error { return page.HTML(w) }); err != nil {
		return err
	}
	e.say("%s: reliability of %s", o.reliability, plural(len(right), "row"))
	return nil
}

// reliabilityBlocks are the diagram and its numbers.
func reliabilityBlocks(bins []metric.ReliabilityBin) []report.Block {
	cloud := report.Cloud{Name: "bins of rows"}
	for _, b := range bins {
		cloud.Points = append(cloud.Points, report.Point{
			X: b.Confidence, Y: b.Accuracy.Value, Low: b.Accuracy.Low, High: b.Accuracy.High, Weight: float64(b.Rows),
			Label: fmt.Sprintf("%s: confidence %.3f, right %s", plural(b.Rows, "row"), b.Confidence, b.Accuracy.Plain(3)),
		})
	}
	return []report.Block{report.Scatter{
		Title:    "Reliability diagram",
		Caption:  "Rows in 15 bins of equal width by the probability of their predicted class. Below the diagonal the model is too sure of itself; a whisker that does not reach it is no chance at 95 %.",
		X:        report.Axis{Label: "mean confidence"},
		Y:        report.Axis{Label: "share that is right"},
		Clouds:   []report.Cloud{cloud},
		Diagonal: "calibrated",
	}}
}
