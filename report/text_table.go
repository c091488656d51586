package report

import (
	"slices"
	"strings"
)

// textRows is how many rows of a table a terminal shows; the page has all.
const textRows = 60

// textCell is a cell in plain characters; the state's sign leads.
func (c Cell) textCell(f Format) string {
	s := ""
	switch c.kind {
	case cellEmpty:
		s = "-"
	case cellWords:
		s = clean(c.words)
	default:
		s = f.text(c.value)
		if interval := c.interval(f, asciiNumber); interval != "" {
			s += " " + interval
		}
	}
	if sign := c.state.mark(); sign != "" {
		return sign + " " + s
	}
	return s
}

func (t Table) text(term *terminal) {
	term.title(t.Title, t.Caption)
	if len(t.Columns) == 0 {
		return
	}
	columns, best := t.resolved()
	shown := t.Rows[:min(len(t.Rows), textRows)]
	cells := make([][]string, len(shown))
	widths := make([]int, len(columns))
	for j, c := range columns {
		widths[j] = cellWidth(c.heading())
	}
	for i, row := range shown {
		for j, c := range row {
			cells[i] = append(cells[i], c.textCell(columns[j].Format))
			widths[j] = max(widths[j], cellWidth(cells[i][j]))
		}
	}
	if !shrink(widths, columns, term.width) {
		t.records(term, columns, cells)
		term.more(len(t.Rows)-len(shown), "row", "rows")
		return
	}
	var head, rule []string
	for j, c := range columns {
		head = append(head, pad(shorten(c.heading(), widths[j]), widths[j], c.Align))
		rule = append(rule, strings.Repeat("─", widths[j]))
	}
	term.line(term.paint(bold, strings.TrimRight(strings.Join(head, "  "), " ")))
	term.line(term.paint(dim, strings.Join(rule, "──")))
	for i, row := range shown {
		var line []string
		for j, c := range columns {
			s := pad(shorten(cells[i][j], widths[j]), widths[j], c.Align)
			if best[j] >= 0 && row[j].numeric() && row[j].value == t.Rows[best[j]][j].value {
				s = term.paint(bold, s)
			}
			line = append(line, term.paint(stateCodes[row[j].state], s))
		}
		term.line(strings.Join(line, "  "))
	}
	term.more(len(t.Rows)-len(shown), "row", "rows")
}

const leastTextColumn = 8

// shrink narrows the widest columns of words until the table fits; numbers are never cut. It returns false when that is not enough.
func shrink(widths []int, columns []Column, width int) bool {
	total := 2 * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for total > width {
		widest := -1
		for j, w := range widths {
			if columns[j].Align != AlignRight && w > leastTextColumn && (widest < 0 || w > widths[widest]) {
				widest = j
			}
		}
		if widest < 0 {
			return false
		}
		widths[widest]--
		total--
	}
	return true
}

// records writes each row as lines of its own, for tables wider than the terminal.
func (t Table) records(term *terminal, columns []Column, cells [][]string) {
	var names []string
	for _, c := range columns {
		names = append(names, c.heading())
	}
	width := 0
	for _, n := range names {
		width = max(width, cellWidth(n))
	}
	width = min(width, term.width/2)
	for i := range cells {
		if i > 0 {
			term.gap()
		}
		for j, s := range cells[i] {
			indent := strings.Repeat(" ", width+2)
			term.wrap(s, pad(shorten(names[j], width), width, AlignLeft)+"  ", indent)
		}
	}
}

// heatmap in text: numbers where they fit, shades where not.
func (h Heatmap) text(t *terminal) {
	t.title(h.Title, h.Caption)
	low, high, whole := h.limits()
	cell := 0
	short := func(v float64) string {
		return strings.NewReplacer(minusSign, "-", thinSpace, "").Replace(h.short(v, whole, true))
	}
	for _, row := range h.Values {
		for _, v := range row {
			cell = max(cell, cellWidth(short(v)))
		}
	}
	label := 0
	for _, r := range h.Rows {
		label = max(label, cellWidth(clean(r)))
	}
	label = min(label, t.width/4)
	room := t.width - label - 1
	if n := len(h.Columns); n > 0 { // labels get what room the numbers leave
		longest := 0
		for _, c := range h.Columns {
			longest = max(longest, cellWidth(clean(c)))
		}
		cell = max(cell, min(longest, 12, room/n-1))
	}
	switch {
	case len(h.Rows) == 0 || len(h.Columns) == 0:
		t.line("no data")
	case (cell+1)*len(h.Columns) <= room:
		line := strings.Repeat(" ", label)
		for _, c := range h.Columns {
			line += " " + pad(shorten(clean(c), cell), cell, AlignRight)
		}
		t.line(t.paint(dim, line))
		for i, row := range h.Values {
			line = pad(shorten(clean(h.Rows[i]), label), label, AlignLeft)
			for _, v := range row {
				line += " " + pad(short(v), cell, AlignRight)
			}
			t.line(line)
		}
	case len(h.Columns) <= room:
		shades := []rune(" ░▒▓█")
		if h.Diverging {
			shades = []rune("▼▽ △▲")
		}
		for i, row := range h.Values {
			line := pad(shorten(clean(h.Rows[i]), label), label, AlignLeft) + " "
			for _, v := range row {
				line += strings.Repeat(string(shades[h.step(v, low, high)*len(shades)/rampSteps]), min(2, room/len(h.Columns)))
			}
			t.line(line)
		}
	}
	t.wrap(plainSigns(h.summary()), "", "")
}

func (b Bars) text(t *terminal) {
	t.title(b.Title, b.Caption)
	f := b.format()
	rows := laneRows(len(b.Values), func(i int) (string, string, string) {
		v := b.Values[i]
		return v.Row, v.Series, v.printed(f, asciiNumber)
	})
	w := rows.room(t.width)
	s := b.X.newScale(b.extent(), 4, loose).over(0, float64(w))
	for i, v := range b.Values {
		t.line(rows.line(t, i, barCells(s.at(min(v.Value, 0)), s.at(max(v.Value, 0)), w)))
	}
	t.lanesAxis(rows, s, w, b.References)
}

func (v Intervals) text(t *terminal) {
	t.title(v.Title, v.Caption)
	f := v.format()
	rows := laneRows(len(v.Values), func(i int) (string, string, string) {
		return v.Values[i].Row, v.Values[i].Series, v.Values[i].printed(f, asciiNumber)
	})
	w := rows.room(t.width)
	s := v.X.newScale(v.extent(), 4, loose).over(0, float64(w-1))
	for i, val := range v.Values {
		t.line(rows.line(t, i, whiskerCells(val, s, w)))
	}
	t.lanesAxis(rows, s, w, v.References)
}

// textLanes are rows of "label drawing number".
type textLanes struct {
	labels, printed   []string
	series            []int
	label, numberSize int
}

func laneRows(n int, at func(i int) (row, series, printed string)) textLanes {
	var l textLanes
	var names []string
	for i := range n {
		row, series, printed := at(i)
		k := slices.Index(names, series)
		if k < 0 {
			k, names = len(names), append(names, series)
		}
		l.series = append(l.series, k)
		l.labels = append(l.labels, strings.TrimSpace(clean(row)+" "+clean(series)))
		l.printed = append(l.printed, printed)
		l.label = max(l.label, cellWidth(l.labels[i]))
		l.numberSize = max(l.numberSize, cellWidth(printed))
	}
	return l
}

// leastDrawing is kept for bars and whiskers on the narrowest terminal.
const leastDrawing = 8

// room divides the width and returns the columns left for drawing.
func (l *textLanes) room(width int) int {
	l.numberSize = min(l.numberSize, width/2)
	l.label = min(l.label, width*2/5, width-l.numberSize-4-leastDrawing)
	return width - l.label - l.numberSize - 4
}

func (l textLanes) line(t *terminal, i int, drawing string) string {
	return pad(shorten(l.labels[i], l.label), l.label, AlignLeft) + "  " +
		t.paint(seriesCodes[l.series[i]%seriesColors], drawing) + "  " + pad(shorten(l.printed[i], l.numberSize), l.numberSize, AlignRight)
}

// lanesAxis writes the ends of the scale below the lanes and then the reference lines.
func (t *terminal) lanesAxis(l textLanes, s scale, width int, marks []Mark) {
	if len(l.labels) == 0 {
		t.line("no data")
		return
	}
	t.axisLine(strings.Repeat(" ", l.label+2), s, width)
	t.markLine(strings.Repeat(" ", l.label+2), s, width, marks)
}
