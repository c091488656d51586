package bib

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/gimbal-ml/gimbal/catalog"
)

// entry is a paper in Atom, or in one of the two metadata forms of OAI-PMH that arXiv serves.
type entry struct {
	ID        string `xml:"id"`
	Title     string `xml:"title"`
	Summary   string `xml:"summary"`
	Published string `xml:"published"`
	Updated   string `xml:"updated"`
	Atom      []struct {
		Name     string `xml:"name"`      // Atom
		Keyname  string `xml:"keyname"`   // arXiv
		Forename string `xml:"forenames"` // arXiv
	} `xml:"author"`
	Listed []struct {
		Keyname  string `xml:"keyname"`
		Forename string `xml:"forenames"`
	} `xml:"authors>author"`
	Abstract   string   `xml:"abstract"`
	Created    string   `xml:"created"`
	DOI        string   `xml:"doi"`
	Creator    []string `xml:"creator"` // Dublin Core
	Identifier []string `xml:"identifier"`
	Date       []string `xml:"date"`
	About      []string `xml:"description"`
}

// arxiv reads a feed element by element, so that a long export needs no memory beyond its papers.
func arxiv(in io.Reader) (papers []catalog.Paper, problems []Problem, err error) {
	d := xml.NewDecoder(in)
	d.Strict = true
	n := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			if n == 0 {
				return nil, nil, fmt.Errorf("%w: XML without entries", ErrFormat)
			}
			return papers, problems, nil
		}
		if err != nil {
			return papers, problems, fmt.Errorf("after %d entries: %w", n, err)
		}
		start, ok := tok.(xml.StartElement)
		if !ok {
			continue
		}
		switch start.Name.Local {
		case "entry", "arXiv", "dc": // Atom, and OAI-PMH's two
		default:
			continue
		}
		n++
		var e entry
		if err := d.DecodeElement(&e, &start); err != nil {
			return papers, problems, fmt.Errorf("entry %d: %w", n, err)
		}
		p, notes := e.paper()
		where := fmt.Sprintf("entry %d", n)
		for _, note := range notes {
			problems = append(problems, Problem{where, note})
		}
		if why := complete(&p); why != "" {
			problems = append(problems, Problem{where, why})
			continue
		}
		papers = append(papers, p)
	}
}

func (e entry) paper() (p catalog.Paper, notes []string) {
	p.Title = e.Title
	for _, a := range e.Atom {
		p.Authors = append(p.Authors, strings.TrimSpace(a.Name+a.Forename+" "+a.Keyname))
	}
	for _, a := range e.Listed {
		p.Authors = append(p.Authors, strings.TrimSpace(a.Forename+" "+a.Keyname))
	}
	for _, a := range e.Creator {
		last, first, _ := strings.Cut(a, ",")
		p.Authors = append(p.Authors, strings.TrimSpace(strings.TrimSpace(first)+" "+last))
	}
	for _, id := range append([]string{e.ID}, e.Identifier...) {
		if m := arxivNumber.FindString(id); m != "" {
			p.Identifier = "arXiv:" + m
			break
		}
	}
	if p.Identifier == "" && e.DOI != "" {
		p.Identifier = "doi:" + strings.TrimSpace(e.DOI)
	}
	dates := append([]string{e.Published, e.Created}, append(e.Date, e.Updated)...)
	for _, date := range dates {
		if strings.TrimSpace(date) == "" {
			continue
		}
		y, ok := year(date)
		if ok {
			p.Year = y
			break
		}
		notes = append(notes, fmt.Sprintf("%q is not a date; the paper is kept without its year", clean(date)))
	}
	for _, text := range append([]string{e.Summary, e.Abstract}, e.About...) {
		if p.Headline == "" {
			p.Headline = clean(text)
		}
	}
	return p, notes
}
