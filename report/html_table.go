package report

import (
	"html/template"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tableView struct {
	Title, Label string
	Caption      template.HTML
	Sortable     bool
	Columns      []columnView
	Rows         [][]cellView
}

type columnView struct{ Title, Unit, Class string }

type cellView struct {
	Sign                             signView
	Class, Text, Interval, Href, Key string
}

// sortableRows is where sorting begins to help.
const sortableRows = 3

// longCell is the number of characters from which a text cell may break into lines.
const longCell = 42

// view prepares a table for the template. label names the scrolling box for those who cannot see it.
func (t Table) view(label string) tableView {
	v := tableView{Title: clean(t.Title), Label: clean(label), Caption: template.HTML(inlineHTML(t.Caption)), Sortable: len(t.Rows) >= sortableRows}
	columns, best := t.resolved()
	for _, c := range columns {
		v.Columns = append(v.Columns, columnView{clean(c.Title), clean(c.Unit), c.Align.class()})
	}
	for _, row := range t.Rows {
		cells := make([]cellView, len(row))
		for j, c := range row {
			isBest := best[j] >= 0 && c.numeric() && c.value == t.Rows[best[j]][j].value
			cells[j] = c.view(columns[j], isBest)
		}
		v.Rows = append(v.Rows, cells)
	}
	return v
}

func (c Cell) view(column Column, best bool) cellView {
	v := cellView{Sign: c.state.sign(), Class: column.Align.class(), Href: c.href}
	if best {
		v.Class += " best"
	}
	switch c.kind {
	case cellEmpty:
		v.Text, v.Class = "–", v.Class+" none"
	case cellWords:
		v.Text = clean(c.words)
		if utf8.RuneCountInString(v.Text) > longCell && strings.Contains(v.Text, " ") {
			v.Class += " long"
		}
	default:
		v.Text, v.Interval = typeset(column.Format.text(c.value)), c.interval(column.Format, typeset)
		v.Key = strconv.FormatFloat(c.value, 'g', -1, 64)
	}
	return v
}

func (t Table) html(*counter) (template.HTML, error) {
	label := t.Title
	if label == "" {
		label = "Table"
	}
	return execute("tableblock", t.view(label))
}
