package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
)

// Heatmap shows a matrix as coloured cells: accuracy by task over time, a confusion matrix, a matrix of differences.
type Heatmap struct {
	Title string
	// Caption may hold the inline markup of [Text].
	Caption string
	// RowName and ColumnName say what the labels are: "true class", "predicted".
	RowName, ColumnName string
	// Rows and Columns are the labels, at most 256 each.
	Rows, Columns []string
	// Values has one slice for each row. A row may be shorter than Columns: what it lacks stays blank, as above the diagonal of
	// a triangular matrix.
	Values [][]float64
	// Value describes the numbers; Log is refused.
	Value Axis
	// Diverging colours by distance from zero, one hue below and one above.
	Diverging bool
}

const (
	maxHeatmapSide = 256
	// Grids up to this many cells are drawn cell by cell, each telling its value on hovering; larger ones by colour.
	hoverCells = 400
)

// SVG writes the plot alone. Errors: ErrFinite, ErrShape and ErrAxis, naming row and column.
func (h Heatmap) SVG(w io.Writer) error { return writeSVG(w, h) }

func (h Heatmap) heading() (string, string) { return h.Title, h.Caption }

func (h Heatmap) html(ids *counter) (template.HTML, error) { return figureHTML(h, ids) }

func (h Heatmap) check() error {
	c := newChecker("heatmap", h.Title)
	if h.Value.Log {
		c.fail("", ErrAxis, "colours are linear, pass logarithms instead")
	}
	c.axis("value", h.Value)
	if len(h.Values) != len(h.Rows) {
		c.fail("", ErrShape, "%d rows of values, %d row labels", len(h.Values), len(h.Rows))
	}
	if len(h.Rows) > maxHeatmapSide || len(h.Columns) > maxHeatmapSide {
		c.fail("", ErrShape, "%d×%d cells, drawn are at most %d×%d, join classes first", len(h.Rows), len(h.Columns), maxHeatmapSide, maxHeatmapSide)
	}
	if c.err != nil {
		return c.err
	}
	for i, row := range h.Values {
		where := fmt.Sprintf("row %q", h.Rows[i])
		if len(row) > len(h.Columns) {
			c.fail(where, ErrShape, "%d values, %d columns", len(row), len(h.Columns))
		}
		c.numbers(where, "value", row, false)
	}
	return c.err
}

// limits are the values of the first and last colour.
func (h Heatmap) limits() (low, high float64, whole bool) {
	e := newExtent()
	e.add(h.Value.Cover...)
	for _, row := range h.Values {
		e.add(row...)
	}
	if e.empty {
		return 0, 1, true
	}
	if h.Diverging {
		size := max(math.Abs(e.low), math.Abs(e.high))
		if size == 0 {
			size = 1
		}
		return -size, size, e.whole
	}
	return e.low, e.high, e.whole
}

// step is the place of a value on the ramp, 0 to 8. On a diverging ramp 4 is zero.
func (h Heatmap) step(v, low, high float64) int {
	switch {
	case h.Diverging:
		return clampInt(int(math.Round(4*(v/high)))+4, 0, rampSteps-1)
	case high == low:
		return rampSteps / 2
	}
	return clampInt(int(rampSteps*((v-low)/(high-low))), 0, rampSteps-1)
}

// classes are the CSS classes of cell and text at a step.
func (h Heatmap) classes(step int) (cell, text string) {
	n := strconv.Itoa(step)
	if h.Diverging {
		return "d" + n, "q" + n
	}
	return "h" + n, "p" + n
}

// short prints a cell in few digits.
func (h Heatmap) short(v float64, whole, narrow bool) string {
	switch {
	case h.Value.Percent && (narrow || whole):
		return typeset(Percent(0).text(v))
	case h.Value.Percent:
		return typeset(Percent(1).text(v))
	case whole, math.Abs(v) >= 1000:
		return printNumber(v)
	case math.Abs(v) >= 100:
		return typeset(Fixed(0).text(v))
	case math.Abs(v) >= 10:
		return typeset(Fixed(1).text(v))
	case v != 0 && math.Abs(v) < 0.005:
		return typeset(trimExponent(Scientific(0).text(v)))
	}
	return typeset(Fixed(2).text(v))
}

// grid is the place of the cells.
type grid struct {
	left, top, width, height float64 // of the first cell
	low, high                float64
	whole                    bool
}

func (h Heatmap) draw(width float64) drawing {
	p := &pen{}
	var g grid
	g.low, g.high, g.whole = h.limits()
	if len(h.Rows) == 0 || len(h.Columns) == 0 {
		p.text("empty", "middle", width/2, 30, "no data")
		return drawing{width, 50, p.b.String()}
	}
	narrow := width < narrowBelow
	for _, r := range h.Rows {
		g.left = max(g.left, textWidth(clean(r), tickSize)+10)
	}
	g.left = min(g.left, 0.3*width)
	g.width = min((width-g.left-2)/float64(len(h.Columns)), 64)
	g.height = clamp(g.width*0.75, min(g.width, 22), 36)
	g.top = h.head(p, g, width)
	every := int(math.Ceil(13 / g.height)) // not more row labels than fit
	for i, r := range h.Rows {
		if i%every == 0 {
			p.fitted("tick", "end", g.left-6, g.top+(float64(i)+0.5)*g.height+4, tickSize, g.left-8, r)
		}
	}
	if len(h.Rows)*len(h.Columns) <= hoverCells {
		h.cells(p, g, narrow)
	} else {
		h.runs(p, g)
	}
	bottom := g.top + float64(len(h.Rows))*g.height
	return drawing{width, h.ramp(p, g, bottom+16, width), p.b.String()}
}

// head writes names and labels of the columns and returns where the cells begin.
func (h Heatmap) head(p *pen, g grid, width float64) float64 {
	top := 0.0
	if h.RowName != "" || h.ColumnName != "" {
		row, column := clean(h.RowName), clean(h.ColumnName)
		if row != "" {
			row = "↓ " + row
			p.fitted("axis-name", "start", 0, 13, tickSize, width/2, row)
		}
		if column != "" {
			x := max(g.left, min(textWidth(row, tickSize), width/2)+16)
			p.fitted("axis-name", "start", x, 13, tickSize, width-x, "→ "+column)
		}
		top = 22
	}
	longest := 0.0
	for _, c := range h.Columns {
		longest = max(longest, textWidth(clean(c), tickSize))
	}
	center := func(j int) float64 { return g.left + (float64(j)+0.5)*g.width }
	switch {
	case longest <= g.width-4:
		for j, c := range h.Columns {
			p.text("tick", "middle", center(j), top+14, c)
		}
		return top + 20
	case g.width >= 13: // turned, reading upwards
		length := min(longest, 96)
		for j, c := range h.Columns {
			short, _ := fitText(clean(c), tickSize, length)
			x, y := coordinate(center(j)+4), coordinate(top+length+4)
			p.open("text", "tick", "x", x, "y", y, "transform", "rotate(-90 "+x+" "+y+")")
			p.b.WriteString(">" + escape(short) + "<title>" + escape(c) + "</title></text>")
		}
		return top + length + 12
	}
	every := int(math.Ceil((min(longest, 80) + labelGap) / g.width))
	for j := 0; j < len(h.Columns); j += every {
		x := g.left + float64(j)*g.width
		if room := min(float64(every)*g.width-4, width-x); textWidth(clean(h.Columns[j]), tickSize) <= room || j == 0 {
			p.fitted("tick", "start", x, top+14, tickSize, room, h.Columns[j])
		}
	}
	return top + 20
}

// cells draws each cell on its own, with its number where all numbers fit.
func (h Heatmap) cells(p *pen, g grid, narrow bool) {
	numbers := g.height >= 16
	for _, row := range h.Values {
		for _, v := range row {
			numbers = numbers && textWidth(h.short(v, g.whole, narrow), tickSize) <= g.width-3
		}
	}
	for i, row := range h.Values {
		for j, v := range row {
			cell, text := h.classes(h.step(v, g.low, g.high))
			x, y := g.left+float64(j)*g.width, g.top+float64(i)*g.height
			p.rect("cell "+cell, h.Rows[i]+" × "+h.Columns[j]+": "+h.Value.print(v), x+0.5, y+0.5, g.width-1, g.height-1)
			if numbers {
				p.text("cell-value "+text, "middle", x+g.width/2, y+g.height/2+4, h.short(v, g.whole, narrow))
			}
		}
		for j := len(row); j < len(h.Columns); j++ {
			p.rect("blank", "", g.left+float64(j)*g.width+0.5, g.top+float64(i)*g.height+0.5, g.width-1, g.height-1)
		}
	}
}

// runs draws a large grid as one path for each colour, neighbours of one colour joined.
func (h Heatmap) runs(p *pen, g grid) {
	var tracks [rampSteps]track
	for i, row := range h.Values {
		y := g.top + float64(i)*g.height
		for j := 0; j < len(row); {
			step, from := h.step(row[j], g.low, g.high), j
			for j < len(row) && h.step(row[j], g.low, g.high) == step {
				j++
			}
			tracks[step].b.WriteString("M" + coordinate(g.left+float64(from)*g.width) + " " + coordinate(y) +
				"H" + coordinate(g.left+float64(j)*g.width) + "V" + coordinate(y+g.height) + "H" + coordinate(g.left+float64(from)*g.width) + "Z")
		}
	}
	for step := range tracks {
		cell, _ := h.classes(step)
		p.path("cell "+cell, "", tracks[step].String())
	}
	p.rect("outline", "", g.left, g.top, float64(len(h.Columns))*g.width, float64(len(h.Rows))*g.height)
}

// ramp explains the colours below the grid and returns the height reached.
func (h Heatmap) ramp(p *pen, g grid, y, width float64) float64 {
	low, high := h.Value.printBare(g.low), h.Value.printBare(g.high)
	x, step := g.left, 16.0
	if width < narrowBelow {
		step = 10
	}
	room := width - x - textWidth(low+high, tickSize) - rampSteps*step - 26
	if name := clean(h.Value.caption(0)); name != "" && room > 30 {
		p.fitted("axis-name", "start", x, y+10, tickSize, room, name)
		x += min(textWidth(name, tickSize), room) + 14
	}
	p.text("tick", "start", x, y+10, low)
	x += textWidth(low, tickSize) + 6
	for k := range rampSteps {
		cell, _ := h.classes(k)
		p.rect("cell "+cell, "", x, y, step, 12)
		x += step
	}
	p.text("tick", "start", x+6, y+10, high)
	return y + 18
}

// printBare is a value in the axis's units without the unit.
func (a Axis) printBare(v float64) string {
	if a.Percent {
		v *= 100
	}
	return printNumber(v)
}

func (h Heatmap) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Heatmap of %s, %s by %s.", h.Value.name("values"), count(len(h.Rows), "row", "rows"), count(len(h.Columns), "column", "columns"))
	least, most := math.Inf(1), math.Inf(-1)
	var leastAt, mostAt string
	for i, row := range h.Values {
		for j, v := range row {
			at := clean(h.Rows[i]) + " × " + clean(h.Columns[j])
			if v < least {
				least, leastAt = v, at
			}
			if v > most {
				most, mostAt = v, at
			}
		}
	}
	if leastAt != "" {
		fmt.Fprintf(&b, " Least %s at %s, greatest %s at %s.", h.Value.print(least), leastAt, h.Value.print(most), mostAt)
	}
	return b.String()
}

// tabledCells is how many cells a data table lists; larger matrices are summed up row by row.
const tabledCells = 900

func (h Heatmap) data() Table {
	if len(h.Rows)*len(h.Columns) > tabledCells {
		return h.sums()
	}
	t := Table{Columns: []Column{{Title: clean(h.RowName)}}}
	value := h.Value.column("")
	for _, c := range h.Columns {
		t.Columns = append(t.Columns, value.titled(c))
	}
	for i, row := range h.Values {
		cells := []Cell{Words(h.Rows[i])}
		for _, v := range row {
			cells = append(cells, Number(v))
		}
		for len(cells) < len(t.Columns) {
			cells = append(cells, Cell{})
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// sums is the data table of a large matrix.
func (h Heatmap) sums() Table {
	value := h.Value.column("value")
	t := Table{Columns: []Column{{Title: clean(h.RowName)}, {Title: "cells"}, value.titled("least"), value.titled("mean"), value.titled("greatest")}}
	for i, row := range h.Values {
		cells := []Cell{Words(h.Rows[i]), Number(float64(len(row))), {}, {}, {}}
		if len(row) > 0 {
			sum := newTally(row)
			cells[2], cells[3], cells[4] = Number(sum.low), Number(sum.mean), Number(sum.max)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}
