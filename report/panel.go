package report

import (
	"math"
	"slices"
	"sort"
)

// Mark is a threshold or an event: a line across the plot at a value of one axis.
type Mark struct {
	At    float64
	Label string
	State State
}

// panel is a plot area with two axes, and the rows of labels above it.
type panel struct {
	pen
	width                    float64
	narrow                   bool
	left, right, top, bottom float64 // edges of the plot area
	x, y                     scale
	cursor                   float64 // where the next row above the area begins
}

func newPanel(width float64) *panel {
	return &panel{width: width, narrow: width < narrowBelow, right: width - 14}
}

// legendItem explains one sign.
type legendItem struct {
	label  string
	sample func(p *pen, x, y float64) // draws within x…x+26, centred on y
}

const sampleWidth = 26.0

// legend writes items in rows across the whole width, above everything else, so it never covers data.
func (p *panel) legend(items []legendItem) { p.cursor += p.pen.legend(items, p.cursor, p.width) }

// legend writes items in rows that start at top and returns their height.
func (p *pen) legend(items []legendItem, top, width float64) float64 {
	if len(items) == 0 {
		return 0
	}
	x, y := 0.0, top+10
	for _, item := range items {
		label := clean(item.label)
		if need := sampleWidth + 6 + min(textWidth(label, labelSize), width-sampleWidth-6); x > 0 && x+need > width {
			x, y = 0, y+rowHeight+2
		}
		item.sample(p, x, y)
		p.fitted("label", "start", x+sampleWidth+6, y+4.5, labelSize, width-sampleWidth-6, label)
		x += sampleWidth + 6 + textWidth(label, labelSize) + 18
	}
	return y + 18 - top
}

// caption writes the name of the vertical axis above it, level and not turned.
func (p *panel) caption(s string) {
	if s != "" {
		p.fitted("axis-name", "start", 0, p.cursor+13, tickSize, p.width, s)
		p.cursor += 20
	}
}

// yAxis fits the vertical scale and makes room for its labels on the left.
func (p *panel) yAxis(a Axis, e extent, wanted int) {
	p.y = a.newScale(e, wanted, loose)
	for _, t := range p.y.ticks {
		p.left = max(p.left, textWidth(t.label, tickSize)+8)
	}
}

// area fixes the plot area below the rows and draws grid, ticks and both axes' labels.
func (p *panel) area(height float64, xName string) {
	p.top = p.cursor + 8
	p.bottom = p.top + height
	p.y = p.y.over(p.bottom, p.top)
	for _, t := range p.y.ticks {
		y := p.y.place(t.value)
		class := "grid"
		if t.value == 0 && !p.y.log {
			class = "zero"
		}
		p.line(class, p.left, y, p.right, y)
		p.text("tick", "end", p.left-7, y+4, t.label)
	}
	p.line("axis", p.left, p.bottom, p.right, p.bottom)
	for _, t := range p.x.ticks {
		x := p.x.place(t.value)
		p.line("axis", x, p.bottom, x, p.bottom+4)
		half := textWidth(t.label, tickSize) / 2
		p.text("tick", "middle", clamp(x, half, p.width-half), p.bottom+17, t.label)
	}
	p.fitted("axis-name", "middle", (p.left+p.right)/2, p.bottom+36, tickSize, 2*min((p.left+p.right)/2, p.width-(p.left+p.right)/2), xName)
}

// finish closes the drawing below the horizontal axis.
func (p *panel) finish(xName string) drawing {
	height := p.bottom + 24
	if xName != "" {
		height += 18
	}
	return drawing{p.width, height, p.b.String()}
}

func clamp(v, low, high float64) float64 { return math.Max(low, math.Min(high, v)) }

const maxMarkRows = 4

// placedMark is a mark with the row of its label, counted upwards from the plot area; -1 is a mark that keeps no label.
type placedMark struct {
	Mark
	x     float64
	row   int
	short string
	end   bool // the label stands left of the line
}

// markRows reserves rows for the labels of vertical lines. From right to left each label takes the lowest row in which it
// reaches no line of a label already placed, so that no line crosses a label.
func (p *panel) markRows(marks []Mark) (placed []placedMark, rows int) {
	for _, m := range marks {
		placed = append(placed, placedMark{Mark: m, x: p.x.at(m.At), row: -1})
	}
	slices.SortStableFunc(placed, func(a, b placedMark) int {
		switch {
		case a.x < b.x:
			return -1
		case a.x > b.x:
			return 1
		}
		return 0
	})
	var reach [maxMarkRows]float64
	for r := range reach {
		reach[r] = math.Inf(1)
	}
	for i := len(placed) - 1; i >= 0; i-- {
		m := &placed[i]
		label := markLabel(m.Mark)
		if label == "" {
			continue
		}
		m.short, _ = fitText(label, tickSize, p.width*0.6)
		width := textWidth(m.short, tickSize) + 5
		from := m.x
		if m.x+width > p.width {
			from, m.end = m.x-width, true
			if from < 0 {
				m.short, _ = fitText(label, tickSize, m.x-5)
				from = 0
			}
		}
		for r := range reach {
			if from+width+4 < reach[r] {
				m.row = r
				break
			}
		}
		if m.row < 0 {
			continue
		}
		rows = max(rows, m.row+1)
		for r := 0; r <= m.row; r++ { // the line passes all rows up to its own
			reach[r] = min(reach[r], from)
		}
	}
	return placed, rows
}

// markLabel is the label with the sign of its state.
func markLabel(m Mark) string {
	if sign := m.State.mark(); sign != "" && m.Label != "" {
		return sign + " " + clean(m.Label)
	}
	return clean(m.Label)
}

// markLines draws what markRows placed: lines first, then labels.
func (p *panel) markLines(placed []placedMark, base float64) {
	for _, m := range placed {
		top := base - float64(m.row)*rowHeight - 12
		if m.row < 0 { // ends below the labels of others
			top = base + 2
		}
		p.line("event "+m.State.class(), m.x, top, m.x, p.bottom)
	}
	for _, m := range placed {
		if m.row < 0 {
			continue
		}
		x, anchor := m.x+5, "start"
		if m.end {
			x, anchor = m.x-5, "end"
		}
		p.text("label halo "+m.State.class(), anchor, x, base-float64(m.row)*rowHeight-2, m.short)
	}
}

// endLabel names a line at its right end.
type endLabel struct {
	text, class string
	y           float64
}

const endLabelStep = 15.0

// spread moves labels apart vertically as little as needed, within [top, bottom]. It returns false when they have no room.
func spread(labels []endLabel, top, bottom float64) bool {
	if float64(len(labels)-1)*endLabelStep > bottom-top {
		return false
	}
	sort.SliceStable(labels, func(i, j int) bool { return labels[i].y < labels[j].y })
	for i := range labels {
		labels[i].y = max(labels[i].y, top+float64(i)*endLabelStep)
		if i > 0 {
			labels[i].y = max(labels[i].y, labels[i-1].y+endLabelStep)
		}
	}
	for i := len(labels) - 1; i >= 0; i-- {
		limit := bottom - float64(len(labels)-1-i)*endLabelStep
		if i+1 < len(labels) {
			limit = min(limit, labels[i+1].y-endLabelStep)
		}
		labels[i].y = min(labels[i].y, limit)
	}
	return true
}
