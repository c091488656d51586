package report

import (
	"fmt"
	"math"
	"strings"
)

// bar heights in eighths of a character.
var sparks = []rune(" ▁▂▃▄▅▆▇█")

// spark draws values in [0, 1]; what is above zero never looks empty.
func spark(values []float64) string {
	var b strings.Builder
	for _, v := range values {
		k := clampInt(int(math.Round(v*8)), 0, 8)
		if v > 0 && k == 0 {
			k = 1
		}
		b.WriteRune(sparks[k])
	}
	return b.String()
}

// barCells fills the characters between two places; the right end is drawn in eighths.
func barCells(from, to float64, width int) string {
	parts := []rune(" ▏▎▍▌▋▊▉█")
	var b strings.Builder
	first := math.Round(from)
	for c := range width {
		covered := clamp(to-float64(c), 0, 1)
		if float64(c) < first {
			covered = 0
		}
		b.WriteRune(parts[int(math.Round(covered*8))])
	}
	return b.String()
}

// whiskerCells draws an interval.
func whiskerCells(v Interval, s scale, width int) string {
	line := []rune(strings.Repeat(" ", width))
	place := func(x float64) int { return clampInt(int(math.Round(s.at(x))), 0, width-1) }
	low, high := v.Low, v.High
	if math.IsInf(low, 0) {
		low = min(v.Value, high)
	}
	if math.IsInf(high, 0) {
		high = max(v.Value, low)
	}
	for c := place(low); c <= place(high); c++ {
		line[c] = '─'
	}
	if !math.IsInf(v.Low, 0) {
		line[place(low)] = '├'
	}
	if !math.IsInf(v.High, 0) {
		line[place(high)] = '┤'
	}
	line[place(v.Value)] = '●'
	return string(line)
}

// axisLine writes the two ends of a scale.
func (t *terminal) axisLine(indent string, s scale, width int) {
	low, high := asciiValue(s.low), asciiValue(s.high)
	if len(low)+len(high)+1 > width {
		t.line(t.paint(dim, indent+low+" … "+high))
		return
	}
	t.line(t.paint(dim, indent+low+strings.Repeat(" ", width-len(low)-len(high))+high))
}

func asciiValue(v float64) string { return shortNumber(v) }

// markLine writes a row of pointers and a legend of what they point at.
func (t *terminal) markLine(indent string, s scale, width int, marks []Mark) {
	if len(marks) == 0 {
		return
	}
	line := []rune(strings.Repeat(" ", width))
	for _, m := range marks {
		line[clampInt(int(math.Round(s.at(m.At))), 0, width-1)] = '▲'
	}
	t.line(indent + string(line))
	for _, m := range marks {
		t.wrap(markText(m, s), t.paint(stateCodes[m.State], "▲")+" ", "  ")
	}
}

// markText is "✗ alarm at 4.6".
func markText(m Mark, s scale) string {
	place := asciiValue(m.At * s.mul)
	if s.mul == 100 {
		place += " %"
	}
	if label := markLabel(m); label != "" {
		return label + " at " + place
	}
	return "at " + place
}

const chartHeight = 8

// chartLabelRoom is kept free for the labels of a chart, whose width is known only later.
const chartLabelRoom = 12

func (l Line) text(t *terminal) {
	t.title(l.Title, l.Caption)
	ex, ey := l.extents()
	if ex.empty {
		t.line("no data")
		return
	}
	if len(l.Series) > 1 {
		l.sparks(t, ex, ey)
		return
	}
	w := t.width - chartLabelRoom
	c := newCanvas(w, chartHeight)
	y := l.Y.newScale(ey, 3, loose).over(4*chartHeight-1, 0)
	x := l.X.newScale(ex, 4, tight).over(0, float64(2*w-1))
	for _, m := range l.Thresholds {
		for d := 0; d < 2*w; d += 4 {
			c.set(d, int(math.Round(y.at(m.At))))
		}
	}
	for _, m := range l.Events {
		for d := 0; d < 4*chartHeight; d += 2 {
			c.set(int(math.Round(x.at(m.At))), d)
		}
	}
	for _, s := range l.Series {
		for i := range s.X {
			k := max(i-1, 0)
			if s.Step {
				c.segment(x.at(s.X[k]), y.at(s.Y[k]), x.at(s.X[i]), y.at(s.Y[k]))
				c.segment(x.at(s.X[i]), y.at(s.Y[k]), x.at(s.X[i]), y.at(s.Y[i]))
				continue
			}
			c.segment(x.at(s.X[k]), y.at(s.Y[k]), x.at(s.X[i]), y.at(s.Y[i]))
		}
	}
	if name := l.Y.caption(0); name != "" {
		t.line(t.paint(dim, shorten(name, t.width)))
	}
	code := ""
	if len(l.Series) == 1 {
		code = seriesCodes[0]
	}
	indent := t.chart(c, y, code)
	t.axisLine(indent, x, w)
	if name := l.X.caption(0); name != "" {
		t.line(t.paint(dim, indent+shorten(name, t.width-len(indent))))
	}
	l.textNotes(t, x, y, indent, w)
}

// sparks writes several series as one line of characters each, on one scale.
func (l Line) sparks(t *terminal, ex, ey extent) {
	name := 0
	for i, s := range l.Series {
		name = max(name, cellWidth(seriesName(s.Name, i)))
	}
	name = min(name, t.width/3)
	const size = 12 // of a number
	numbers := 2 * size
	if t.width < 60 {
		numbers = size
	}
	w := t.width - name - numbers - 2
	y := l.Y.newScale(ey, 3, loose).over(0, 1)
	x := l.X.newScale(ex, 4, tight).over(0, float64(w))
	head := pad("last", size, AlignRight)
	if numbers > size {
		head = pad("first", size, AlignRight) + head
	}
	t.line(t.paint(dim, pad("", name+2+w, AlignLeft)+head))
	for i, s := range l.Series {
		label := pad(shorten(seriesName(s.Name, i), name), name, AlignLeft)
		if len(s.X) == 0 {
			t.line(label + "  no data")
			continue
		}
		last := len(s.Y) - 1
		tail := pad(asciiValue(s.Y[last]*y.mul), size, AlignRight)
		if numbers > size {
			tail = pad(asciiValue(s.Y[0]*y.mul), size, AlignRight) + tail
		}
		t.line(label + "  " + t.paint(seriesCodes[i%seriesColors], spark(s.columns(x, y, w))) + tail)
	}
	indent := strings.Repeat(" ", name+2)
	t.axisLine(indent, x, w)
	up := l.Y.caption(0)
	if up == "" {
		up = "y"
	}
	t.wrap(fmt.Sprintf("up: %s from %s to %s", up, asciiValue(y.low), asciiValue(y.high)), indent, indent)
	if across := l.X.caption(0); across != "" {
		t.wrap("across: "+across, indent, indent)
	}
	l.textNotes(t, x, y, indent, w)
}

// plainSigns replaces typeset signs by those that every terminal has; the unbreakable spaces keep numbers and units on one line.
func plainSigns(s string) string {
	return strings.NewReplacer(minusSign, "-", thinSpace, "\u00a0").Replace(s)
}

// columns averages a series in each of w columns; columns without points repeat the one before.
func (s Series) columns(x, y scale, w int) []float64 {
	sums, counts := make([]float64, w), make([]float64, w)
	for i := range s.X {
		c := clampInt(int(x.at(s.X[i])), 0, w-1)
		counts[c]++
		sums[c] += y.at(s.Y[i])
	}
	out := make([]float64, w)
	before, seen := 0.0, false
	lastColumn := clampInt(int(x.at(s.X[len(s.X)-1])), 0, w-1)
	for c := range out {
		switch {
		case counts[c] > 0:
			before, seen = max(sums[c]/counts[c], 0.01), true
		case !seen || c > lastColumn:
			continue
		}
		out[c] = before
	}
	return out
}

// textNotes writes events, thresholds and phases below a line plot.
func (l Line) textNotes(t *terminal, x, y scale, indent string, w int) {
	eventScale := x.over(0, float64(w-1))
	t.markLine(indent, eventScale, w, l.Events)
	for _, m := range l.Thresholds {
		note := markText(m, y)
		for i, s := range l.Series {
			if k := crossing(s.Y, m.At); k > 0 {
				note += fmt.Sprintf("; %s first crosses it at %s", seriesName(s.Name, i), asciiValue(s.X[k]*x.mul))
			}
		}
		t.wrap(note, t.paint(stateCodes[m.State], "┄")+" ", "  ")
	}
	for _, f := range l.Phases {
		t.wrap(fmt.Sprintf("%s: %s to %s", markLabel(Mark{Label: f.Label, State: f.State}), asciiValue(f.From*x.mul), asciiValue(f.To*x.mul)), "░ ", "  ")
	}
}

func (h Histogram) text(t *terminal) {
	t.title(h.Title, h.Caption)
	b := h.count()
	if b.edges == nil {
		t.line("no data")
		return
	}
	name := 0
	for i, g := range h.Groups {
		name = max(name, cellWidth(seriesName(g.Name, i)))
	}
	name = min(name, t.width/3)
	bins := len(b.edges) - 1
	w := t.width - name - 16
	most := 0.0
	for _, shares := range b.shares {
		for _, s := range shares {
			most = max(most, s)
		}
	}
	ex := newExtent()
	ex.add(b.edges...)
	ex.whole = b.whole
	s := h.X.newScale(ex, 4, tight).over(0, float64(w))
	for i, g := range h.Groups {
		label := pad(shorten(seriesName(g.Name, i), name), name, AlignLeft)
		if len(g.Values) == 0 {
			t.line(label + "  no data")
			continue
		}
		columns := make([]float64, w)
		for k := range bins { // a character shows the highest bin that touches it
			from := int(s.at(b.edges[k]) + 1e-9)
			for c := from; c < w && (c == from || float64(c) < s.at(b.edges[k+1])-1e-9); c++ {
				columns[c] = max(columns[c], b.shares[i][k]/most)
			}
		}
		t.line(label + "  " + t.paint(seriesCodes[i%seriesColors], spark(columns)) + pad(fmt.Sprintf("n=%d", len(g.Values)), 14, AlignRight))
	}
	indent := strings.Repeat(" ", name+2)
	t.axisLine(indent, s, w)
	t.markLine(indent, s.over(0, float64(w-1)), w, h.Thresholds)
	for _, m := range h.Thresholds {
		for i, g := range h.Groups {
			if len(g.Values) > 0 {
				t.wrap(fmt.Sprintf("%s%% of %s lie above %s", asciiValue(math.Round(g.above(m.At)*1e4)/100), seriesName(g.Name, i), markText(m, s)), "  ", "  ")
			}
		}
	}
	if note := b.note(h.X); note != "" {
		t.wrap(plainSigns(note), "  ", "  ")
	}
}

func (s Scatter) text(t *terminal) {
	t.title(s.Title, s.Caption)
	ex, ey := s.extents()
	if ex.empty {
		t.line("no data")
		return
	}
	w, height := min(t.width-chartLabelRoom, 60), 12
	if s.Diagonal != "" {
		w = min(w, 2*height)
	}
	c := newCanvas(w, height)
	y := s.Y.newScale(ey, 3, loose).over(float64(4*height-1), 0)
	x := s.X.newScale(ex, 4, loose).over(0, float64(2*w-1))
	if s.Diagonal != "" {
		x.low, x.high = y.low, y.high
		for d := 0; d < 2*w; d += 3 {
			c.set(d, 4*height-1-int(math.Round(float64(d)*float64(4*height-1)/float64(2*w-1))))
		}
	}
	for _, cloud := range s.Clouds {
		for _, p := range cloud.Points {
			px, py := int(math.Round(x.at(p.X))), int(math.Round(y.at(p.Y)))
			c.set(px, py)
			if len(cloud.Points) <= hoverPoints { // few points: large dots
				c.set(px+1, py)
				c.set(px, py+1)
				c.set(px+1, py+1)
			}
		}
	}
	if name := s.Y.caption(0); name != "" {
		t.line(t.paint(dim, shorten(name, t.width)))
	}
	indent := t.chart(c, y, "")
	t.axisLine(indent, x, w)
	t.wrap(plainSigns(s.summary()), "", "")
}
