package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// Intervals compares estimates with their uncertainty: a sign at each value, a whisker over its interval, the numbers beside it.
type Intervals struct {
	Title string
	// Caption may hold the inline markup of [Text].
	Caption string
	X       Axis
	// Values are drawn from top to bottom; those with the same Row share a lane.
	Values []Interval
	// References are vertical lines: chance, a published figure, a baseline.
	References []Mark
}

// Interval is one estimate. An infinite end says that the data say nothing about that side, as in metric.Estimate; no whisker is drawn there.
type Interval struct {
	// Row names the lane, Series the sign in it; no two intervals share both.
	Row, Series      string
	Value, Low, High float64
}

// SVG writes the plot alone. Errors: ErrFinite, ErrShape and ErrAxis, naming row and series.
func (v Intervals) SVG(w io.Writer) error { return writeSVG(w, v) }

func (v Intervals) heading() (string, string) { return v.Title, v.Caption }

func (v Intervals) html(ids *counter) (template.HTML, error) { return figureHTML(v, ids) }

func (v Intervals) check() error {
	c := newChecker("interval plot", v.Title)
	c.axis("horizontal", v.X)
	c.marks("reference", v.References, v.X.Log)
	seen := map[[2]string]bool{}
	for _, i := range v.Values {
		where := fmt.Sprintf("row %q", i.Row)
		if i.Series != "" {
			where += fmt.Sprintf(": series %q", i.Series)
		}
		c.number(where, "value", 0, i.Value, v.X.Log)
		checkInterval(c, where, i.Low, i.High)
		for _, end := range appendFinite(nil, i.Low, i.High) {
			c.number(where, "end", 0, end, v.X.Log)
		}
		duplicate(c, seen, i.Row, i.Series)
	}
	return c.err
}

func (v Intervals) extent() extent {
	e := newExtent()
	for _, i := range v.Values {
		e.add(appendFinite([]float64{i.Value}, i.Low, i.High)...)
	}
	for _, m := range v.References {
		e.add(m.At)
	}
	return e
}

func (v Intervals) format() Format {
	var all []float64
	for _, i := range v.Values {
		all = appendFinite(append(all, i.Value), i.Low, i.High)
	}
	return printFormat(v.X, all)
}

// printed is "93.4 [92.8, 94.0]".
func (i Interval) printed(f Format, number func(string) string) string {
	s := number(f.text(i.Value))
	if interval := Estimate(i.Value, i.Low, i.High).interval(f, number); interval != "" {
		s += " " + interval
	}
	return s
}

func (v Intervals) draw(width float64) drawing {
	f := v.format()
	var values []laneValue
	for _, i := range v.Values {
		values = append(values, laneValue{i.Row, i.Series, i.printed(f, typeset)})
	}
	l := newLanes(width, values)
	if len(l.series) > 1 {
		var items []legendItem
		for k, name := range l.series {
			items = append(items, legendItem{seriesName(name, k), func(p *pen, x, y float64) {
				p.line("whisker "+colorClass(k), x, y, x+sampleWidth, y)
				p.marker(k, "", "", x+sampleWidth/2, y, 4.5)
			}})
		}
		l.cursor += l.pen.legend(items, l.cursor, width)
	}
	e := v.extent()
	drawMarks := l.marks(v.X, e, loose, v.References)
	l.frame(v.X, e, loose)
	drawMarks()
	for k, i := range v.Values {
		row, series := index(l.rows, i.Row), index(l.series, i.Series)
		y := l.track(row, series)
		title := strings.TrimSpace(i.Row+" "+i.Series) + ": " + values[k].printed
		l.whisker(i, series, y)
		l.marker(series, "", title, l.x.at(i.Value), y, 4.5)
		l.printed(row, series, values[k].printed, "value")
	}
	return l.finish(v.X)
}

// whisker draws the interval; a closed end has a cap, an open one has none and stops at the value.
func (l *lanes) whisker(i Interval, series int, y float64) {
	low, high := i.Low, i.High
	if math.IsInf(low, 0) {
		low = min(i.Value, high)
	}
	if math.IsInf(high, 0) {
		high = max(i.Value, low)
	}
	if low == high {
		return
	}
	var t track
	t.move(l.x.at(low), y)
	t.to(l.x.at(high), y)
	for _, end := range []float64{i.Low, i.High} {
		if !math.IsInf(end, 0) {
			t.move(l.x.at(end), y-4)
			t.to(l.x.at(end), y+4)
		}
	}
	l.path("whisker "+colorClass(series), "", t.String())
}

func (v Intervals) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Estimates with intervals of %s for %s.", v.X.name("a value"), count(len(v.Values), "row", "rows"))
	f := v.format()
	for k, i := range v.Values {
		if k == 12 {
			fmt.Fprintf(&b, " And %d more in the table.", len(v.Values)-k)
			break
		}
		fmt.Fprintf(&b, " %s: %s.", strings.TrimSpace(clean(i.Row)+" "+clean(i.Series)), i.printed(f, typeset))
	}
	for _, m := range v.References {
		fmt.Fprintf(&b, " Reference %s.", quoted(m.Label, v.X.print(m.At)))
	}
	return b.String()
}

func (v Intervals) data() Table {
	value := v.X.column("value")
	t := Table{Columns: []Column{{Title: "row"}, {Title: "series"}, value, value.titled("low"), value.titled("high")}}
	end := func(x float64) Cell {
		if math.IsInf(x, 0) {
			return Cell{}
		}
		return Number(x)
	}
	for _, i := range v.Values {
		t.Rows = append(t.Rows, []Cell{Words(i.Row), Words(i.Series), Number(i.Value), end(i.Low), end(i.High)})
	}
	return t
}
