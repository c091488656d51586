package report

import (
	"fmt"
	"math"
	"strings"
)

// moments of a series that sentences and tables tell.
type tally struct {
	rows           int
	low, mean, max float64
}

func newTally(values []float64) tally {
	t := tally{rows: len(values), low: math.Inf(1), max: math.Inf(-1)}
	for i, v := range values {
		t.low, t.max = min(t.low, v), max(t.max, v)
		t.mean += (v - t.mean) / float64(i+1)
	}
	return t
}

func (l Line) summary() string {
	var b strings.Builder
	ex, _ := l.extents()
	fmt.Fprintf(&b, "Line plot of %s", count(len(l.Series), "series", "series"))
	if !ex.empty {
		fmt.Fprintf(&b, " over %s from %s to %s", l.X.name("x"), l.X.print(ex.low), l.X.print(ex.high))
	}
	b.WriteString(".")
	for i, s := range l.Series {
		name := seriesName(s.Name, i)
		if len(s.Y) == 0 {
			fmt.Fprintf(&b, " %s: no data.", name)
			continue
		}
		t := newTally(s.Y)
		fmt.Fprintf(&b, " %s: %s to %s, last %s.", name, l.Y.print(t.low), l.Y.print(t.max), l.Y.print(s.Y[len(s.Y)-1]))
		for _, m := range l.Thresholds {
			if k := crossing(s.Y, m.At); k > 0 {
				fmt.Fprintf(&b, " It first crosses %s at %s.", quoted(m.Label, l.Y.print(m.At)), l.X.print(s.X[k]))
			}
		}
	}
	for _, m := range l.Thresholds {
		fmt.Fprintf(&b, " Threshold %s.", quoted(m.Label, l.Y.print(m.At)))
	}
	for _, m := range l.Events {
		fmt.Fprintf(&b, " Event %s.", quoted(m.Label, l.X.print(m.At)))
	}
	for _, f := range l.Phases {
		fmt.Fprintf(&b, " Phase %s to %s.", quoted(f.Label, l.X.print(f.From)), l.X.print(f.To))
	}
	return b.String()
}

// crossing is the first point on the other side of a threshold than the first point, or 0.
func crossing(values []float64, threshold float64) int {
	for i, v := range values {
		if v > threshold != (values[0] > threshold) {
			return i
		}
	}
	return 0
}

// quoted is a label with its place, or the place alone.
func quoted(label, place string) string {
	if label = clean(label); label != "" {
		return label + " (" + place + ")"
	}
	return place
}

func seriesName(name string, i int) string {
	if name == "" {
		return fmt.Sprintf("series %d", i+1)
	}
	return clean(name)
}

// count is "1 row", "12 000 rows".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return groupDigits(fmt.Sprint(n)) + " " + many
}

// tabledPoints is how many points a figure's data table lists; longer series are summed up.
const tabledPoints = 200

func (l Line) data() Table {
	total, banded := 0, false
	for _, s := range l.Series {
		total += len(s.X)
		banded = banded || s.Low != nil
	}
	if total > tabledPoints {
		return l.sums()
	}
	t := Table{Columns: []Column{{Title: "series"}, l.X.column("x"), l.Y.column("y")}}
	if banded {
		t.Columns = append(t.Columns, l.Y.column("").titled("low"), l.Y.column("").titled("high"))
	}
	for i, s := range l.Series {
		for k := range s.X {
			row := []Cell{Words(seriesName(s.Name, i)), Number(s.X[k]), Number(s.Y[k])}
			if banded && s.Low != nil {
				row = append(row, Number(s.Low[k]), Number(s.High[k]))
			} else if banded {
				row = append(row, Cell{}, Cell{})
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

// sums is the data table of long series.
func (l Line) sums() Table {
	x, y := l.X.column("x"), l.Y.column("y")
	t := Table{Columns: []Column{
		{Title: "series"}, {Title: "points"}, x.titled("first " + x.Title), x.titled("last " + x.Title),
		y.titled("least " + y.Title), y.titled("mean"), y.titled("greatest"), y.titled("last"),
	}}
	for i, s := range l.Series {
		row := []Cell{Words(seriesName(s.Name, i)), Number(float64(len(s.X)))}
		if n := len(s.X); n > 0 {
			y := newTally(s.Y)
			row = append(row, Number(s.X[0]), Number(s.X[n-1]), Number(y.low), Number(y.mean), Number(y.max), Number(s.Y[n-1]))
		}
		for len(row) < len(t.Columns) {
			row = append(row, Cell{})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// column is the table column for values of this axis.
func (a Axis) column(otherwise string) Column {
	c := Column{Title: a.name(otherwise), Unit: a.Unit}
	if a.Percent {
		c.Format = Percent(2)
	}
	return c
}

func (c Column) titled(title string) Column {
	c.Title = title
	return c
}
