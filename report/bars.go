package report

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// Bars compares amounts by length from zero, with the number beside each bar. Bars below zero run to the left.
type Bars struct {
	Title string
	// Caption may hold the inline markup of [Text].
	Caption string
	// X is the axis of the lengths. A logarithmic axis has no zero to start from, so Log is refused.
	X Axis
	// Values are drawn from top to bottom; those with the same Row share a lane.
	Values     []Bar
	References []Mark
}

// Bar is one amount. Row names the lane, Series the bar in it; no two bars share both.
type Bar struct {
	Row, Series string
	Value       float64
	// State colours the number and puts its sign before it.
	State State
}

// SVG writes the plot alone. Errors: ErrFinite, ErrShape and ErrAxis, naming row and series.
func (b Bars) SVG(w io.Writer) error { return writeSVG(w, b) }

func (b Bars) heading() (string, string) { return b.Title, b.Caption }

func (b Bars) html(ids *counter) (template.HTML, error) { return figureHTML(b, ids) }

func (b Bars) check() error {
	c := newChecker("bar plot", b.Title)
	if b.X.Log {
		c.fail("", ErrAxis, "bars start at zero, which a logarithmic axis lacks, use Intervals")
	}
	c.axis("horizontal", b.X)
	c.marks("reference", b.References, false)
	seen := map[[2]string]bool{}
	for _, v := range b.Values {
		where := fmt.Sprintf("row %q", v.Row)
		if v.Series != "" {
			where += fmt.Sprintf(": series %q", v.Series)
		}
		c.number(where, "value", 0, v.Value, false)
		c.state(where, 0, v.State)
		duplicate(c, seen, v.Row, v.Series)
	}
	return c.err
}

func (b Bars) format() Format {
	var all []float64
	for _, v := range b.Values {
		all = append(all, v.Value)
	}
	return printFormat(b.X, all)
}

func (b Bars) extent() extent {
	e := newExtent()
	e.add(0)
	for _, v := range b.Values {
		e.add(v.Value)
	}
	for _, m := range b.References {
		e.add(m.At)
	}
	return e
}

// printed is the value with the sign of its state.
func (v Bar) printed(f Format, number func(string) string) string {
	if sign := v.State.mark(); sign != "" {
		return sign + " " + number(f.text(v.Value))
	}
	return number(f.text(v.Value))
}

func (b Bars) draw(width float64) drawing {
	f := b.format()
	var values []laneValue
	for _, v := range b.Values {
		values = append(values, laneValue{v.Row, v.Series, v.printed(f, typeset)})
	}
	l := newLanes(width, values)
	if len(l.series) > 1 {
		var items []legendItem
		for k, name := range l.series {
			items = append(items, legendItem{seriesName(name, k), func(p *pen, x, y float64) {
				p.rect("bar "+colorClass(k), "", x, y-5, sampleWidth-6, 10)
				p.marker(k, "", "", x+sampleWidth-6, y, 4.5)
			}})
		}
		l.cursor += l.pen.legend(items, l.cursor, width)
	}
	e := b.extent()
	drawMarks := l.marks(b.X, e, loose, b.References)
	l.frame(b.X, e, loose)
	for k, v := range b.Values {
		row, series := index(l.rows, v.Row), index(l.series, v.Series)
		y := l.track(row, series)
		from, to := l.x.at(min(v.Value, 0)), l.x.at(max(v.Value, 0))
		l.rect("bar "+colorClass(series), strings.TrimSpace(v.Row+" "+v.Series)+": "+values[k].printed, from, y-6.5, to-from, 13)
		if len(l.series) > 1 { // the sign at the end tells series apart without colour
			l.marker(series, "", "", l.x.at(v.Value), y, 4.5)
		}
		l.printed(row, series, values[k].printed, "value "+v.State.class())
	}
	drawMarks()
	return l.finish(b.X)
}

func (b Bars) summary() string {
	var s strings.Builder
	fmt.Fprintf(&s, "Bars of %s for %s.", b.X.name("a value"), count(len(b.Values), "row", "rows"))
	f := b.format()
	for k, v := range b.Values {
		if k == 12 {
			fmt.Fprintf(&s, " And %d more in the table.", len(b.Values)-k)
			break
		}
		fmt.Fprintf(&s, " %s: %s.", strings.TrimSpace(clean(v.Row)+" "+clean(v.Series)), v.printed(f, typeset))
	}
	for _, m := range b.References {
		fmt.Fprintf(&s, " Reference %s.", quoted(m.Label, b.X.print(m.At)))
	}
	return s.String()
}

func (b Bars) data() Table {
	t := Table{Columns: []Column{{Title: "row"}, {Title: "series"}, b.X.column("value")}}
	for _, v := range b.Values {
		t.Rows = append(t.Rows, []Cell{Words(v.Row), Words(v.Series), Number(v.Value).Marked(v.State)})
	}
	return t
}
