package report

import (
	"fmt"
	"html/template"
)

// Page is one document. Its HTML, Text and ColorText methods render it; none of them reads a clock, so callers say in Generated when
// and by what it was made.
type Page struct {
	Title, Subtitle string
	// Generated is the footer: program, version, time, as the caller wants it.
	Generated string
	Sections  []Section
}

// Section is a part of a page under its own heading.
type Section struct {
	Title string
	// Lead is a paragraph in larger type that says what the section shows. It may hold the markup of [Text].
	Lead   string
	Blocks []Block
}

// Block is one piece of a section: words, numbers or a plot. The set is closed; the package documentation lists it.
type Block interface {
	check() error
	html(ids *counter) (template.HTML, error)
	text(t *terminal)
}

// check finds the first block that cannot be shown.
func (p *Page) check() error {
	for i, s := range p.Sections {
		name := fmt.Sprintf("section %d", i+1)
		if s.Title != "" {
			name = fmt.Sprintf("section %q", s.Title)
		}
		for j, b := range s.Blocks {
			if isNil(b) {
				return fmt.Errorf("report: %s: block %d is nil: %w", name, j+1, ErrShape)
			}
			if err := b.check(); err != nil {
				return fmt.Errorf("report: %s: %w", name, err)
			}
		}
	}
	return nil
}

// Text is one or more paragraphs, separated by empty lines. A paragraph whose lines all begin with "- " is a list.
// Inside, `code` is set as code, **words** are bold, and [words](https://…) links to a web page or, with #name, into this one.
type Text string

func (t Text) check() error { return nil }

// Notice is a short message that stands out: a verdict, a warning.
type Notice struct {
	State State
	// Body may hold the markup of [Text].
	Body string
}

func (n Notice) check() error {
	c := newChecker("notice", n.Body)
	c.state("", 0, n.State)
	return c.err
}

// KeyFigures are the few numbers that a reader must take home, set large.
type KeyFigures []KeyFigure

// KeyFigure is one of them. Value is text, so that the caller decides on digits and unit.
type KeyFigure struct {
	Label, Value, Note string
	State              State
}

func (k KeyFigures) check() error {
	for _, f := range k {
		c := newChecker("key figure", f.Label)
		c.state("", 0, f.State)
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// Code is a command and what it printed. Either may be empty; both may have several lines.
type Code struct {
	Title, Command, Output string
}

func (c Code) check() error { return nil }

// Stylesheet is the style of the package's pages, in light and dark, for others that want to look the same.
func Stylesheet() string { return paletteCSS() + styleCSS + plotCSS }
