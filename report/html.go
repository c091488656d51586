package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"unicode"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	styleCSS string
	//go:embed plot.css
	plotCSS string
	//go:embed sort.js
	sortJS string

	templates = template.Must(template.New("").Parse(pageHTML))
)

// icon is the page's own, so that no browser asks a server for one.
const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%230b69be' stroke-width='2'/%3E%3Ccircle cx='8' cy='8' r='2' fill='%230b69be'/%3E%3C/svg%3E"

// counter gives out the ids of plots and sections on one page.
type counter struct {
	plots int
	used  map[string]bool
}

// HTML writes the page as one file that needs nothing else: no network, no fonts, no scripts but its own, which a content security
// policy enforces. Nothing is written when a block is refused.
// Errors: ErrFinite, ErrShape, ErrAxis, naming section, block, series and place; and what w returns.
func (p *Page) HTML(w io.Writer) error {
	if err := p.check(); err != nil {
		return err
	}
	type contents struct{ ID, Title string }
	type sectionView struct {
		ID, Title string
		Lead      template.HTML
		Blocks    []template.HTML
	}
	style, script := "\n"+paletteCSS()+styleCSS+plotCSS, "\n"+sortJS
	view := struct {
		Title, Subtitle, Generated, Policy string
		Icon                               template.URL
		Style, Script                      template.HTML
		Contents                           []contents
		Sections                           []sectionView
	}{
		Title: clean(p.Title), Subtitle: clean(p.Subtitle), Generated: clean(p.Generated),
		Policy: "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; style-src " + digest(style) + "; script-src " + digest(script),
		Icon:   icon,
		// Both are our own embedded files, and must stay byte for byte what the policy's digests say.
		Style:  template.HTML("<style>" + style + "</style>"),
		Script: template.HTML("<script>" + script + "</script>"),
	}
	ids := &counter{used: map[string]bool{"main": true}}
	for _, s := range p.Sections {
		sv := sectionView{Title: clean(s.Title), Lead: template.HTML(inlineHTML(s.Lead))}
		if s.Title != "" {
			sv.ID = ids.slug(s.Title)
			view.Contents = append(view.Contents, contents{sv.ID, sv.Title})
		}
		for _, b := range s.Blocks {
			block, err := b.html(ids)
			if err != nil {
				return fmt.Errorf("report: section %q: %w", s.Title, err)
			}
			sv.Blocks = append(sv.Blocks, block)
		}
		view.Sections = append(view.Sections, sv)
	}
	if len(view.Contents) < 3 {
		view.Contents = nil
	}
	out, err := execute("page", view)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = io.WriteString(w, string(out))
	return err
}

func execute(name string, view any) (template.HTML, error) {
	var b bytes.Buffer
	err := templates.ExecuteTemplate(&b, name, view)
	return template.HTML(b.String()), err
}

// digest is the source expression that admits exactly this text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// slug makes a readable id that no other section has.
func (c *counter) slug(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(clean(title)) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	base := strings.Trim(b.String(), "-")
	if base == "" {
		base = "section"
	}
	id := base
	for n := 2; c.used[id]; n++ {
		id = base + "-" + strconv.Itoa(n)
	}
	c.used[id] = true
	return id
}

func (t Text) html(*counter) (template.HTML, error) {
	return execute("text", template.HTML(markupHTML(string(t))))
}

// signView is the picture of a state.
type signView struct{ Class, Word, Path string }

func (s State) sign() signView {
	v := signView{Class: s.class(), Word: s.String()}
	switch s {
	case Good:
		v.Path = "M2.5 8.5L6.5 12.5L13.5 4"
	case Warn:
		v.Path = "M8 1.8V9.6M8 13.9V14"
	case Bad:
		v.Path = "M3 3L13 13M13 3L3 13"
	}
	return v
}

func (n Notice) html(*counter) (template.HTML, error) {
	return execute("notice", struct {
		Sign signView
		Body template.HTML
	}{n.State.sign(), template.HTML(markupHTML(n.Body))})
}

func (k KeyFigures) html(*counter) (template.HTML, error) {
	type figureView struct {
		Sign         signView
		Label, Value string
		Note         template.HTML
	}
	var views []figureView
	for _, f := range k {
		views = append(views, figureView{f.State.sign(), clean(f.Label), clean(f.Value), template.HTML(inlineHTML(f.Note))})
	}
	return execute("figures", views)
}

func (c Code) html(*counter) (template.HTML, error) {
	label := clean(c.Title)
	if label == "" {
		label = "Command and output"
	}
	return execute("code", struct {
		Title, Label, Output string
		Commands             []string
	}{clean(c.Title), label, strings.TrimRight(cleanLines(c.Output), "\n"), c.commands()})
}

// commands are the lines of the command; a line continued with a backslash belongs to the one before.
func (c Code) commands() []string {
	text := strings.TrimSpace(cleanLines(c.Command))
	if text == "" {
		return nil
	}
	var out []string
	continued := false
	for _, line := range strings.Split(text, "\n") {
		if continued {
			out[len(out)-1] += "\n" + line
		} else {
			out = append(out, line)
		}
		continued = strings.HasSuffix(line, `\`)
	}
	return out
}

// figureHTML lays a plot out for page and phone, with its words and numbers behind it.
func figureHTML(p Plot, ids *counter) (template.HTML, error) {
	title, caption := p.heading()
	ids.plots++
	id := "plot" + strconv.Itoa(ids.plots)
	table := p.data().view("Data of " + strconv.Quote(title))
	return execute("plot", struct {
		Title, Summary        string
		Caption, Wide, Narrow template.HTML
		Table                 tableView
	}{
		clean(title), p.summary(), template.HTML(inlineHTML(caption)),
		template.HTML(svgElement(p, p.draw(wideWidth), "wide", id+"w")),
		template.HTML(svgElement(p, p.draw(narrowWidth), "narrow", id+"n")), table,
	})
}
