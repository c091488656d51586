package report

import (
	"fmt"
	"io"
	"strings"
)

const (
	defaultTextWidth = 80
	leastTextWidth   = 40
)

// Text writes the page for a terminal of the given width, in plain characters without colours; 0 or less means 80 columns, and what is
// narrower than 40 is treated as 40. Errors: those of [Page.HTML].
func (p *Page) Text(w io.Writer, width int) error { return p.terminal(w, width, false) }

// ColorText is Text with ANSI colours.
func (p *Page) ColorText(w io.Writer, width int) error { return p.terminal(w, width, true) }

func (p *Page) terminal(w io.Writer, width int, color bool) error {
	if err := p.check(); err != nil {
		return err
	}
	if width <= 0 {
		width = defaultTextWidth
	}
	t := &terminal{width: max(width, leastTextWidth), color: color}
	t.heading(clean(p.Title), "═")
	t.wrap(clean(p.Subtitle), "", "")
	for _, s := range p.Sections {
		t.gap()
		t.heading(clean(s.Title), "─")
		t.wrap(inlineText(s.Lead), "", "")
		for _, b := range s.Blocks {
			t.gap()
			b.text(t)
		}
	}
	if p.Generated != "" {
		t.gap()
		t.painted(dim, clean(p.Generated))
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

// terminal collects lines of text.
type terminal struct {
	b     strings.Builder
	width int
	color bool
}

// The ANSI codes in use.
const (
	bold = "1"
	dim  = "2"
)

var (
	stateCodes  = map[State]string{Good: "32", Warn: "33", Bad: "31"}
	seriesCodes = [seriesColors]string{"94", "91", "92", "95", "93", "90"}
)

// paint colours text when colours were asked for.
func (t *terminal) paint(code, s string) string {
	if !t.color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// line ends a line; trailing spaces are dropped.
func (t *terminal) line(s string) {
	t.b.WriteString(strings.TrimRight(s, " ") + "\n")
}

// gap is one empty line, never two, and none at the top.
func (t *terminal) gap() {
	if s := t.b.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
		t.b.WriteString("\n")
	}
}

func (t *terminal) heading(s, rule string) {
	if s == "" {
		return
	}
	t.painted(bold, s)
	t.line(t.paint(dim, strings.Repeat(rule, min(cellWidth(s), t.width))))
}

// painted writes words in one colour, in lines of the terminal's width.
func (t *terminal) painted(code, s string) {
	for _, line := range wrapWords(s, t.width) {
		t.line(t.paint(code, line))
	}
}

// wrap writes words in lines of the terminal's width, the first after one prefix, all others after another.
func (t *terminal) wrap(s, first, others string) {
	for i, line := range wrapWords(s, t.width-cellWidth(others)) {
		prefix := others
		if i == 0 {
			prefix = first
		}
		t.line(prefix + line)
	}
}

// wrapWords breaks text into lines; a word longer than a line is broken itself.
func wrapWords(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }) { // not at unbreakable spaces
		for cellWidth(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			head := cutCells(word, width)
			lines, word = append(lines, head), word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case cellWidth(line)+1+cellWidth(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// cutCells is the longest head of s that takes at most width columns, and at least one rune.
func cutCells(s string, width int) string {
	used := 0
	for i, r := range s {
		if used += runeCells(r); used > width && i > 0 {
			return s[:i]
		}
	}
	return s
}

// shorten cuts s to a width with an ellipsis.
func shorten(s string, width int) string {
	if cellWidth(s) <= width {
		return s
	}
	if width < 2 {
		return cutCells(s, width)
	}
	return strings.TrimRight(cutCells(s, width-1), " ") + "…"
}

// pad fills s to a width on the side away from its alignment.
func pad(s string, width int, a Align) string {
	room := max(width-cellWidth(s), 0)
	switch a {
	case AlignRight:
		return strings.Repeat(" ", room) + s
	case AlignCenter:
		return strings.Repeat(" ", room/2) + s + strings.Repeat(" ", room-room/2)
	}
	return s + strings.Repeat(" ", room)
}

// asciiNumber is the number form of terminals: as it is.
func asciiNumber(s string) string { return s }

func (t Text) text(term *terminal) {
	for i, p := range paragraphs(string(t)) {
		if i > 0 {
			term.gap()
		}
		if p.items == nil {
			term.wrap(inlineText(p.text), "", "")
		}
		for _, item := range p.items {
			term.wrap(inlineText(item), "- ", "  ")
		}
	}
}

func (n Notice) text(t *terminal) {
	prefix, sign := "│ ", n.State.mark()
	if sign != "" {
		prefix = "│ " + sign + " "
	}
	for _, p := range paragraphs(n.Body) {
		texts := p.items
		if texts == nil {
			texts = []string{p.text}
		}
		for _, s := range texts {
			for _, line := range wrapWords(inlineText(s), t.width-cellWidth(prefix)) {
				t.line(t.paint(stateCodes[n.State], prefix) + line)
				prefix = "│ " + strings.Repeat(" ", cellWidth(prefix)-2)
			}
		}
	}
}

func (k KeyFigures) text(t *terminal) {
	label, value := 0, 0
	for _, f := range k {
		label = max(label, cellWidth(clean(f.Label)))
		value = max(value, cellWidth(clean(f.Value)))
	}
	label, value = min(label, t.width*2/5), min(value, t.width*2/5)
	for _, f := range k {
		sign := pad(f.State.mark(), 1, AlignLeft)
		head := pad(shorten(clean(f.Label), label), label, AlignLeft) + "  " + t.paint(stateCodes[f.State], sign) + " " +
			t.paint(bold, pad(shorten(clean(f.Value), value), value, AlignRight))
		indent := label + value + 6
		lines := wrapWords(inlineText(f.Note), max(t.width-indent, 12))
		if t.width-indent < 12 { // no room beside the value
			t.line(head)
			for _, line := range wrapWords(inlineText(f.Note), t.width-4) {
				t.line("    " + line)
			}
			continue
		}
		if len(lines) == 0 {
			t.line(head)
		}
		for i, line := range lines {
			if i > 0 {
				head = strings.Repeat(" ", indent-2)
			}
			t.line(head + "  " + line)
		}
	}
}

func (c Code) text(t *terminal) {
	t.painted(bold, clean(c.Title))
	for _, command := range c.commands() {
		t.line("  " + t.paint(dim, "$ ") + strings.ReplaceAll(command, "\n", "\n    "))
	}
	if output := strings.TrimRight(cleanLines(c.Output), "\n"); output != "" {
		for _, line := range strings.Split(output, "\n") {
			t.line("  " + line)
		}
	}
}

// title writes the head of a table or plot.
func (t *terminal) title(title, caption string) {
	t.painted(bold, clean(title))
	t.wrap(inlineText(caption), "", "")
}

// more says how much was left out.
func (t *terminal) more(n int, one, many string) {
	if n > 0 {
		t.line(t.paint(dim, fmt.Sprintf("… and %s more", count(n, one, many))))
	}
}
