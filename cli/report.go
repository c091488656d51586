package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/report"
)

// writeReport writes a comparison as one HTML page: a plot of one column's estimates, and the whole listing. Without a
// path it does nothing.
func (e *env) writeReport(path, title, plotted string, l *listing) error {
	if path == "" {
		return nil
	}
	page := &report.Page{
		Title:     title,
		Generated: fmt.Sprintf("gimbal %v, %s", versions().get("gimbal"), time.Now().UTC().Format("2006-01-02 15:04 MST")),
		Sections:  []report.Section{{Title: "Results", Blocks: []report.Block{l.intervals(plotted), l.table()}}},
	}
	if err := atomic.Write(path, func(w io.Writer) error { return page.HTML(w) }); err != nil {
		return err
	}
	e.say("%s: written", path)
	return nil
}

// intervals plots a column of estimates: a lane a method, a sign for each value of a second column of words.
func (l *listing) intervals(name string) report.Block {
	plot := report.Intervals{Title: "With 95 % intervals", X: report.Axis{Label: name}}
	for j, c := range l.columns {
		if c.name != name {
			continue
		}
		plot.X = report.Axis{Label: c.name, Percent: c.percent}
		for _, row := range l.rows {
			v, ok := row[j].(metric.Estimate)
			if !ok {
				continue
			}
			series := name
			if s, ok := row[1].(string); ok {
				series = s
			}
			plot.Values = append(plot.Values, report.Interval{Row: row[0].(string), Series: series, Value: v.Value, Low: v.Low, High: v.High})
		}
	}
	if len(plot.Values) == 0 {
		return report.Notice{State: report.Warn, Body: "No method has a result; the table says why."}
	}
	return plot
}

func (l *listing) table() report.Table {
	t := report.Table{Title: "All figures"}
	for _, c := range l.columns {
		f := report.Format{}
		if c.percent {
			f = report.Percent(2)
		}
		t.Columns = append(t.Columns, report.Column{Title: c.name, Format: f})
	}
	for _, row := range l.rows {
		var cells []report.Cell
		for _, cell := range row {
			switch v := cell.(type) {
			case metric.Estimate:
				cells = append(cells, report.Estimate(v.Value, v.Low, v.High))
			case float64:
				cells = append(cells, report.Number(v))
			case int:
				cells = append(cells, report.Number(float64(v)))
			default:
				cells = append(cells, report.Words(plain(cell)))
			}
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}
