package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"sort"
	"strings"
)

// Histogram lays the distributions of several groups over each other. Each is drawn as shares of its own rows, so that groups of
// different size compare. On a linear axis, far tails are gathered in the outermost bins, and the drawing says so.
type Histogram struct {
	Title string
	// Caption may hold the inline markup of [Text].
	Caption string
	// X is the axis of the values.
	X      Axis
	Groups []Group
	// Thresholds are vertical lines.
	Thresholds []Mark
	// Bins is about how many bins to draw, up to 200, for edges are round numbers; zero chooses by the number of rows.
	Bins int
}

// Group is one distribution.
type Group struct {
	Name string
	// Values are N numbers in any order.
	Values []float64
}

// SVG writes the plot alone. Errors: ErrFinite, ErrShape and ErrAxis, naming the group and the value.
func (h Histogram) SVG(w io.Writer) error { return writeSVG(w, h) }

func (h Histogram) heading() (string, string) { return h.Title, h.Caption }

func (h Histogram) html(ids *counter) (template.HTML, error) { return figureHTML(h, ids) }

const maxBins = 200

func (h Histogram) check() error {
	c := newChecker("histogram", h.Title)
	c.axis("horizontal", h.X)
	for _, g := range h.Groups {
		where := "group"
		if g.Name != "" {
			where = fmt.Sprintf("group %q", g.Name)
		}
		c.numbers(where, "value", g.Values, h.X.Log)
	}
	c.marks("threshold", h.Thresholds, h.X.Log)
	if h.Bins < 0 || h.Bins > maxBins {
		c.fail("", ErrShape, "%d bins, possible are 1 to %d, or 0 to choose", h.Bins, maxBins)
	}
	return c.err
}

// binned is a histogram counted: B bins with B+1 edges.
type binned struct {
	edges  []float64
	shares [][]float64 // group × bin, each group sums to 1, or to 0 when it is empty
	// below and above count the rows gathered in the outermost bins though they lie beyond them.
	below, above int
	whole        bool // all values are whole numbers
}

func (h Histogram) count() binned {
	var b binned
	e, low, high := h.reach()
	if e.empty {
		b.shares = make([][]float64, len(h.Groups))
		return b
	}
	b.edges, b.whole = h.edges(low, high, e.whole), e.whole
	first, last := b.edges[0], b.edges[len(b.edges)-1]
	for _, g := range h.Groups {
		shares := make([]float64, len(b.edges)-1)
		for _, v := range g.Values {
			k := sort.SearchFloat64s(b.edges, v)
			if k == len(b.edges) || b.edges[k] != v {
				k--
			}
			shares[clampInt(k, 0, len(shares)-1)]++
			if v < first {
				b.below++
			}
			if v > last {
				b.above++
			}
		}
		if rows := len(g.Values); rows > 0 {
			for k := range shares {
				shares[k] /= float64(rows)
			}
		}
		b.shares = append(b.shares, shares)
	}
	return b
}

// reach is the extent of all values and the range to show: every group's central 98 %, all thresholds, and the tails as far as they are near.
func (h Histogram) reach() (e extent, low, high float64) {
	e = newExtent()
	low, high = math.Inf(1), math.Inf(-1)
	for _, g := range h.Groups {
		if len(g.Values) == 0 {
			continue
		}
		e.add(g.Values...)
		sorted := slices.Sorted(slices.Values(g.Values))
		tail := len(sorted) / 100
		low, high = min(low, sorted[tail]), max(high, sorted[len(sorted)-1-tail])
	}
	if e.empty {
		return e, 0, 0
	}
	for _, m := range h.Thresholds {
		low, high = min(low, m.At), max(high, m.At)
		e.add(m.At)
	}
	if h.X.Log || low == high {
		return e, e.low, e.high
	}
	const far = 0.6 // of the central width: nearer tails are simply shown
	from, to := low-far*(high-low), high+far*(high-low)
	for _, g := range h.Groups {
		for _, v := range g.Values {
			if v >= from && v <= to {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	return e, low, high
}

// edges are round numbers on a linear axis and equal ratios on a logarithmic one.
func (h Histogram) edges(low, high float64, whole bool) []float64 {
	wanted := h.Bins
	if wanted == 0 {
		rows := 0
		for _, g := range h.Groups {
			rows = max(rows, len(g.Values))
		}
		wanted = clampInt(int(2.5*math.Cbrt(float64(rows))), 8, 50)
	}
	var edges []float64
	if h.X.Log {
		if high/low < 1+axisResolution {
			low, high = low/2, high*2
		}
		from, width := math.Log(low), math.Log(high)-math.Log(low)
		for k := range wanted + 1 {
			edges = append(edges, math.Exp(from+width*float64(k)/float64(wanted)))
		}
		edges[0], edges[wanted] = low, high
		return edges
	}
	low, high = widen(low, high, whole)
	l := newLadder(low, high, wanted*8/5, whole)                           // round steps come in ratios of about two: this keeps within 0.64 and 1.6 of what is wanted
	if float64(l.first)*float64(l.mantissa)*math.Pow10(l.exponent) > low { // guard against rounding at the ends
		l.first--
	}
	for k := l.first; k <= l.last; k++ {
		edges = append(edges, l.value(k))
	}
	if whole && l.mantissa == 1 && l.exponent == 0 { // one bin for each whole number, around it
		for k := range edges {
			edges[k] -= 0.5
		}
		return append(edges, edges[len(edges)-1]+1)
	}
	if edges[len(edges)-1] == high && whole { // whole numbers equal to the last edge get a bin of their own
		edges = append(edges, l.value(l.last+1))
	}
	return edges
}

func (h Histogram) draw(width float64) drawing {
	p := newPanel(width)
	b := h.count()
	shareAxis := Axis{Label: "share of rows", Percent: true, Cover: []float64{0}}
	ex, ey := newExtent(), newExtent()
	ex.add(b.edges...)
	for _, shares := range b.shares {
		ey.add(shares...)
	}
	ex.whole = b.whole
	for _, m := range h.Thresholds {
		ex.add(m.At)
	}
	p.yAxis(shareAxis, ey, 4)
	p.x = h.X.horizontalScale(ex, tight, p.left, p.right)
	var legend []legendItem
	for i, g := range h.Groups {
		label := seriesName(g.Name, i) + " · " + count(len(g.Values), "row", "rows")
		legend = append(legend, legendItem{label, func(p *pen, x, y float64) {
			p.rect("fill "+colorClass(i), "", x, y-6, sampleWidth, 12)
			p.line("line "+seriesClass(i), x, y-6, x+sampleWidth, y-6)
		}})
	}
	p.legend(legend)
	p.caption(shareAxis.caption(p.y.factor))
	marks, rows := p.markRows(h.Thresholds)
	p.cursor += float64(rows) * rowHeight
	base := p.cursor
	height := 240.0
	if p.narrow {
		height = 210
	}
	xName := h.X.caption(p.x.factor)
	p.area(height, xName)
	for i := range b.shares {
		h.outline(p, b, i, "fill "+colorClass(i), true)
	}
	for i := range b.shares {
		h.outline(p, b, i, "line "+seriesClass(i), false)
	}
	p.markLines(marks, base)
	if b.edges == nil {
		p.text("empty", "middle", (p.left+p.right)/2, (p.top+p.bottom)/2, "no data")
	}
	d := p.finish(xName)
	if note := b.note(h.X); note != "" {
		d.height += 18
		p.fitted("axis-name", "middle", p.width/2, d.height-6, tickSize, p.width, note)
		d.body = p.b.String()
	}
	return d
}

// outline draws group i as a staircase; runs of equal height are one step, empty bins are left out of the line.
func (h Histogram) outline(p *panel, b binned, i int, class string, filled bool) {
	if len(h.Groups[i].Values) == 0 {
		return
	}
	var t track
	up := false
	for k, share := range b.shares[i] {
		left, right, y := p.x.at(b.edges[k]), p.x.at(b.edges[k+1]), p.y.at(share)
		if share == 0 {
			if up {
				t.to(left, p.bottom)
			}
			up = false
			continue
		}
		if !up {
			t.move(left, p.bottom)
		}
		up = true
		t.to(left, y)
		t.to(right, y)
	}
	if up {
		t.to(p.x.at(b.edges[len(b.edges)-1]), p.bottom)
	}
	if filled {
		p.path(class, "", t.close())
		return
	}
	p.path(class, "", t.String())
}

// note says which rows the outermost bins gather.
func (b binned) note(x Axis) string {
	var parts []string
	if b.below > 0 {
		parts = append(parts, "the first bin also holds "+count(b.below, "row", "rows")+" below "+x.print(b.edges[0]))
	}
	if b.above > 0 {
		parts = append(parts, "the last bin also holds "+count(b.above, "row", "rows")+" above "+x.print(b.edges[len(b.edges)-1]))
	}
	return strings.Join(parts, "; ")
}

// above is the share of values greater than a threshold.
func (g Group) above(threshold float64) float64 {
	n := 0
	for _, v := range g.Values {
		if v > threshold {
			n++
		}
	}
	return float64(n) / float64(len(g.Values))
}

func (h Histogram) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Histogram of %s for %s.", h.X.name("values"), count(len(h.Groups), "group", "groups"))
	for i, g := range h.Groups {
		name := seriesName(g.Name, i)
		if len(g.Values) == 0 {
			fmt.Fprintf(&b, " %s: no data.", name)
			continue
		}
		sorted := slices.Sorted(slices.Values(g.Values))
		fmt.Fprintf(&b, " %s: %s, median %s, from %s to %s.", name, count(len(sorted), "row", "rows"),
			h.X.print(sorted[len(sorted)/2]), h.X.print(sorted[0]), h.X.print(sorted[len(sorted)-1]))
		for _, m := range h.Thresholds {
			fmt.Fprintf(&b, " %s above %s.", Axis{Percent: true}.print(math.Round(g.above(m.At)*1e4)/1e4), quoted(m.Label, h.X.print(m.At)))
		}
	}
	if note := h.count().note(h.X); note != "" {
		b.WriteString(" Drawn so that " + note + ".")
	}
	return b.String()
}

func (h Histogram) data() Table {
	b := h.count()
	t := Table{Columns: []Column{h.X.column("value").titled("from"), h.X.column("value").titled("to")}}
	for i, g := range h.Groups {
		t.Columns = append(t.Columns, Column{Title: seriesName(g.Name, i), Format: Percent(2)})
	}
	for k := 0; k+1 < len(b.edges); k++ {
		row := []Cell{Number(b.edges[k]), Number(b.edges[k+1])}
		for i := range h.Groups {
			if len(h.Groups[i].Values) == 0 {
				row = append(row, Cell{})
				continue
			}
			row = append(row, Number(b.shares[i][k]))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
