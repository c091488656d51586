package report

import (
	"encoding/xml"
	"io"
	"math"
	"strconv"
	"strings"
)

// Plot is a block that draws. Beside its place on a page it can be written alone, as a picture for a README or a paper.
type Plot interface {
	Block
	// SVG writes a complete picture with its title, its own style sheet for light and dark, and a description in words.
	// Errors: ErrFinite, ErrShape and ErrAxis as the plot's type says, and what w returns.
	SVG(w io.Writer) error

	heading() (title, caption string)
	draw(width float64) drawing
	summary() string
	data() Table
}

// Pictures are laid out twice, for a page and for a phone, so that text keeps its size on both.
const (
	wideWidth   = 720.0
	narrowWidth = 360.0
	narrowBelow = 500.0

	labelSize = 13.0 // font sizes; plot.css says the same
	tickSize  = 12.0
	labelGap  = 10.0 // least distance between labels in a row
	rowHeight = 18.0 // of a row of labels
)

// drawing is the inside of an svg element.
type drawing struct {
	width, height float64
	body          string
}

// pen collects SVG elements.
type pen struct{ b strings.Builder }

// coordinate prints a pixel with one decimal, which is finer than a screen at the sizes we draw.
func coordinate(v float64) string {
	s := strconv.FormatFloat(v, 'f', 1, 64)
	return unsignedZero(strings.TrimSuffix(s, ".0"))
}

// escape makes text safe in SVG and HTML, in elements and in attributes.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(clean(s))) // a Builder does not fail
	return b.String()
}

// open starts an element; attributes come in pairs, numbers already printed.
func (p *pen) open(name, class string, attributes ...string) {
	p.b.WriteString("<" + name)
	if class != "" {
		p.b.WriteString(` class="` + class + `"`)
	}
	for i := 0; i+1 < len(attributes); i += 2 {
		p.b.WriteString(" " + attributes[i] + `="` + attributes[i+1] + `"`)
	}
}

// element writes an element; a title, when given, is shown on hovering.
func (p *pen) element(name, class, title string, attributes ...string) {
	p.open(name, class, attributes...)
	if title == "" {
		p.b.WriteString("/>")
		return
	}
	p.b.WriteString("><title>" + escape(title) + "</title></" + name + ">")
}

func (p *pen) line(class string, x1, y1, x2, y2 float64) {
	p.element("line", class, "", "x1", coordinate(x1), "y1", coordinate(y1), "x2", coordinate(x2), "y2", coordinate(y2))
}

func (p *pen) rect(class, title string, x, y, width, height float64) {
	p.element("rect", class, title, "x", coordinate(x), "y", coordinate(y), "width", coordinate(max(width, 0)), "height", coordinate(max(height, 0)))
}

func (p *pen) path(class, title, d string) {
	if d != "" {
		p.element("path", class, title, "d", d)
	}
}

// text writes one label; anchor is start, middle or end.
func (p *pen) text(class, anchor string, x, y float64, s string) {
	if s == "" {
		return
	}
	attributes := []string{"x", coordinate(x), "y", coordinate(y)}
	if anchor != "start" {
		attributes = append(attributes, "text-anchor", anchor)
	}
	p.open("text", class, attributes...)
	p.b.WriteString(">" + escape(s) + "</text>")
}

// fitted writes a label shortened to a width; what was cut is shown on hovering.
func (p *pen) fitted(class, anchor string, x, y, size, width float64, s string) {
	short, cut := fitText(clean(s), size, width)
	if !cut {
		p.text(class, anchor, x, y, short)
		return
	}
	p.open("text", class, "x", coordinate(x), "y", coordinate(y), "text-anchor", anchor)
	p.b.WriteString(">" + escape(short) + "<title>" + escape(s) + "</title></text>")
}

// track collects a path.
type track struct{ b strings.Builder }

func (t *track) move(x, y float64) {
	t.b.WriteString("M" + coordinate(x) + " " + coordinate(y))
}

func (t *track) to(x, y float64) {
	t.b.WriteString("L" + coordinate(x) + " " + coordinate(y))
}

func (t *track) close() string { return t.String() + "Z" }

func (t *track) String() string { return t.b.String() }

// seriesClass is colour and dash of series i: 24 different pairs before one returns.
func seriesClass(i int) string {
	return "s" + strconv.Itoa(i%seriesColors) + dashClass(i)
}

func dashClass(i int) string {
	if k := (i + i/seriesColors) % 4; k > 0 {
		return " k" + strconv.Itoa(k)
	}
	return ""
}

// colorClass is the colour of series i alone.
func colorClass(i int) string { return "s" + strconv.Itoa(i%seriesColors) }

// marker draws the sign of series i: 36 different pairs of colour and shape before one returns.
func (p *pen) marker(i int, class, title string, x, y, r float64) {
	class = strings.TrimSpace("mark " + colorClass(i) + " " + class)
	var t track
	switch (i + i/seriesColors) % 6 {
	case 0:
		p.element("circle", class, title, "cx", coordinate(x), "cy", coordinate(y), "r", coordinate(r))
		return
	case 1:
		r *= 0.88
		polygon(&t, x-r, y-r, x+r, y-r, x+r, y+r, x-r, y+r)
	case 2:
		r *= 1.2
		polygon(&t, x, y-r, x+r*0.95, y+r*0.7, x-r*0.95, y+r*0.7)
	case 3:
		r *= 1.25
		polygon(&t, x, y-r, x+r, y, x, y+r, x-r, y)
	case 4:
		r *= 1.2
		polygon(&t, x, y+r, x+r*0.95, y-r*0.7, x-r*0.95, y-r*0.7)
	default: // a plus
		a, b := r*1.2, r*0.42
		polygon(&t, x-b, y-a, x+b, y-a, x+b, y-b, x+a, y-b, x+a, y+b, x+b, y+b, x+b, y+a, x-b, y+a, x-b, y+b, x-a, y+b, x-a, y-b, x-b, y-b)
	}
	p.path(class, title, t.close())
}

func polygon(t *track, xy ...float64) {
	t.move(xy[0], xy[1])
	for i := 2; i+1 < len(xy); i += 2 {
		t.to(xy[i], xy[i+1])
	}
}

// svgElement wraps a drawing for a page. id makes its title and description addressable.
func svgElement(p Plot, d drawing, class, id string) string {
	title, _ := p.heading()
	if title == "" {
		title = "Plot"
	}
	var b strings.Builder
	b.WriteString(`<svg class="plot ` + class + `" viewBox="0 0 ` + coordinate(d.width) + " " + coordinate(d.height) +
		`" role="img" aria-labelledby="` + id + `-t ` + id + `-d"><title id="` + id + `-t">` + escape(title) +
		`</title><desc id="` + id + `-d">` + escape(p.summary()) + `</desc>` + d.body + `</svg>`)
	return b.String()
}

// writeSVG is the SVG method of all plots: the wide drawing on its own paper, under its title.
func writeSVG(w io.Writer, p Plot) error {
	if err := p.check(); err != nil {
		return err
	}
	const margin = 20.0
	title, _ := p.heading()
	top := margin
	if title != "" {
		top += 26
	}
	d := p.draw(wideWidth)
	width, height := d.width+2*margin, math.Ceil(d.height+top+margin)
	var b pen
	b.b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	b.open("svg", "plot", "xmlns", "http://www.w3.org/2000/svg", "width", coordinate(width), "height", coordinate(height),
		"viewBox", "0 0 "+coordinate(width)+" "+coordinate(height), "role", "img", "aria-labelledby", "t d")
	b.b.WriteString(`><title id="t">` + escape(title) + `</title><desc id="d">` + escape(p.summary()) + `</desc><style>` +
		resolveCSS(".plot{font-family:"+fontStack+"}"+plotCSS) + `</style>`)
	b.rect("paper", "", 0, 0, width, height)
	b.fitted("title", "start", margin, margin+12, 16, d.width, title)
	b.b.WriteString(`<g transform="translate(` + coordinate(margin) + " " + coordinate(top) + `)">` + d.body + "</g></svg>\n")
	_, err := io.WriteString(w, b.b.String())
	return err
}

// fontStack is used where the page does not set one. It has no quotes, so it may stand in any attribute or style.
const fontStack = "system-ui,-apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif"
