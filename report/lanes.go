package report

import (
	"fmt"
	"math"
)

// lanes is the layout that Intervals and Bars share: one lane for each row label, one track in it for each series.
// On a page the label stands left of its lane and the printed value right of it; on a phone both stand above it.
type lanes struct {
	pen
	width       float64
	narrow      bool
	rows        []string // labels in order of first appearance
	series      []string
	left, right float64
	top, bottom float64
	x           scale
	laneHeight  float64
	trackHeight float64
	cursor      float64
}

// laneValue is one measured value with its place.
type laneValue struct {
	row, series string
	printed     string
}

// newLanes collects rows and series in order of first appearance and fits the margins to the labels.
func newLanes(width float64, values []laneValue) *lanes {
	l := &lanes{width: width, narrow: width < narrowBelow, right: width - 8}
	label, printed := 0.0, 0.0
	seenRow, seenSeries := map[string]int{}, map[string]int{}
	for _, v := range values {
		if _, seen := seenRow[v.row]; !seen {
			seenRow[v.row] = len(l.rows)
			l.rows = append(l.rows, v.row)
		}
		if _, seen := seenSeries[v.series]; !seen {
			seenSeries[v.series] = len(l.series)
			l.series = append(l.series, v.series)
		}
		label = max(label, textWidth(clean(v.row), labelSize))
		printed = max(printed, textWidth(v.printed, tickSize))
	}
	tracks := float64(max(len(l.series), 1))
	l.trackHeight = 16
	l.laneHeight = tracks*l.trackHeight + 12
	if l.narrow {
		l.left = 8
		l.laneHeight += 18
		return l
	}
	l.left = min(label, 0.3*width) + 14
	l.right = width - min(printed, 0.3*width) - 16
	return l
}

// frame fixes the lanes below what has been written so far and draws grid, labels and axis.
func (l *lanes) frame(axis Axis, e extent, f fit) {
	l.x = axis.horizontalScale(e, f, l.left, l.right)
	l.top = l.cursor + 4
	l.bottom = l.top + float64(max(len(l.rows), 1))*l.laneHeight + 2
	for _, t := range l.x.ticks {
		x := l.x.place(t.value)
		class := "grid"
		if t.value == 0 && !l.x.log {
			class = "zero"
		}
		l.line(class, x, l.top, x, l.bottom)
		half := textWidth(t.label, tickSize) / 2
		l.text("tick", "middle", clamp(x, half, l.width-half), l.bottom+16, t.label)
	}
	l.line("axis", l.left, l.bottom, l.right, l.bottom)
	for r, label := range l.rows {
		top := l.laneTop(r)
		if r > 0 {
			l.line("lane", 0, top, l.width, top)
		}
		if l.narrow {
			l.fitted("row-name", "start", 0, top+16, labelSize, l.width*0.6, label)
			continue
		}
		l.fitted("row-name", "start", 0, top+l.laneHeight/2+4.5, labelSize, l.left-14, label)
	}
}

func (l *lanes) laneTop(row int) float64 { return l.top + float64(row)*l.laneHeight }

// track is the vertical middle of a series' track in a row.
func (l *lanes) track(row, series int) float64 {
	offset := 6.0
	if l.narrow {
		offset += 18
	}
	return l.laneTop(row) + offset + (float64(series)+0.5)*l.trackHeight
}

// printed writes a value beside its track, or, on a phone with one series, on the line of the label.
func (l *lanes) printed(row, series int, s, class string) {
	y := l.track(row, series) + 4
	switch {
	case !l.narrow:
		l.fitted(class, "end", l.width, y, tickSize, l.width-l.right-8, s)
	case len(l.series) == 1:
		l.fitted(class, "end", l.width, l.laneTop(row)+16, tickSize, l.width*0.45, s)
	}
}

// finish closes the drawing with the axis name.
func (l *lanes) finish(axis Axis) drawing {
	name := axis.caption(l.x.factor)
	height := l.bottom + 22
	if name != "" {
		l.fitted("axis-name", "middle", (l.left+l.right)/2, l.bottom+34, tickSize, 2*min((l.left+l.right)/2, l.width-(l.left+l.right)/2), name)
		height += 18
	}
	return drawing{l.width, height, l.b.String()}
}

// marks draws vertical reference lines with their labels in rows above the lanes. It is called before frame fixes the scale's place
// for good, so it fits the scale itself; frame then arrives at the same one.
func (l *lanes) marks(axis Axis, e extent, f fit, marks []Mark) func() {
	if len(marks) == 0 {
		return func() {}
	}
	p := &panel{width: l.width, narrow: l.narrow, x: axis.horizontalScale(e, f, l.left, l.right)}
	placed, rows := p.markRows(marks)
	l.cursor += float64(rows) * rowHeight
	base := l.cursor
	return func() {
		p.bottom = l.bottom
		p.markLines(placed, base)
		l.b.WriteString(p.b.String())
	}
}

// index finds a name in a short list.
func index(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

// duplicate reports a second value for one row and series.
func duplicate(c *checker, seen map[[2]string]bool, row, series string) {
	key := [2]string{row, series}
	if seen[key] {
		where := fmt.Sprintf("row %q", row)
		if series != "" {
			where += fmt.Sprintf(": series %q", series)
		}
		c.fail(where, ErrShape, "there are two values")
	}
	seen[key] = true
}

// printFormat is the common format of values that are printed below each other.
func printFormat(a Axis, values []float64) Format {
	if a.Percent {
		return Percent(percentDecimals(values))
	}
	return Format{}.resolve(values)
}

// percentDecimals is one decimal, two when all values lie close together or near an end.
func percentDecimals(values []float64) int {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	if high-low < 0.05 || high < 0.05 {
		return 2
	}
	return 1
}
