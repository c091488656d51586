package bib

import (
	"fmt"
	"io"
	"strings"

	"github.com/gimbal-ml/gimbal/catalog"
)

// bibtex reads entries of the form @type{key, field = value, …}. Strings that the file defines are put in; accents written in
// TeX become letters.
func bibtex(in io.Reader) ([]catalog.Paper, []Problem, error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, nil, err
	}
	b := bibReader{text: string(text), line: 1, strings: months()}
	for b.next() {
		b.entry()
	}
	return b.papers, b.problems, nil
}

func months() map[string]string {
	m := map[string]string{}
	for _, name := range strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec") {
		m[name] = name
	}
	return m
}

type bibReader struct {
	text     string
	at       int
	line     int
	strings  map[string]string
	papers   []catalog.Paper
	problems []Problem
}

// next goes to the next @ that begins an entry.
func (b *bibReader) next() bool {
	for b.at < len(b.text) {
		if b.text[b.at] == '@' {
			return true
		}
		b.step()
	}
	return false
}

func (b *bibReader) step() {
	if b.text[b.at] == '\n' {
		b.line++
	}
	b.at++
}

func (b *bibReader) blank() {
	for b.at < len(b.text) && strings.IndexByte(" \t\r\n", b.text[b.at]) >= 0 {
		b.step()
	}
}

func (b *bibReader) word() string {
	from := b.at
	for b.at < len(b.text) && strings.IndexByte(" \t\r\n{}(),=#\"@", b.text[b.at]) < 0 {
		b.at++
	}
	return b.text[from:b.at]
}

// entry reads what follows an @. An entry that is broken is named, and reading goes on at the next line that begins with @.
func (b *bibReader) entry() {
	start := b.line
	fail := func(format string, a ...any) {
		b.problems = append(b.problems, Problem{fmt.Sprintf("line %d", start), fmt.Sprintf(format, a...)})
		for b.at < len(b.text) && !(b.text[b.at] == '@' && b.at > 0 && b.text[b.at-1] == '\n') {
			b.step()
		}
	}
	b.at++
	kind := strings.ToLower(b.word())
	b.blank()
	if b.at == len(b.text) || b.text[b.at] != '{' && b.text[b.at] != '(' {
		if kind == "" || strings.ContainsAny(kind, ".:") { // an address in a comment between entries
			return
		}
		fail("@%s is not followed by {", kind)
		return
	}
	closing := byte('}')
	if b.text[b.at] == '(' {
		closing = ')'
	}
	switch kind {
	case "comment", "preamble":
		if _, ok := b.braced(closing); !ok {
			fail("@%s is not closed", kind)
		}
		return
	}
	b.step()
	b.blank()
	name := ""
	if kind != "string" {
		name = b.word()
		b.blank()
		if b.at == len(b.text) || b.text[b.at] != ',' && b.text[b.at] != closing {
			fail("@%s{%s: want a comma after the key", kind, clean(name))
			return
		}
		if b.text[b.at] == ',' {
			b.step()
		}
	}
	fields := map[string]string{}
	for {
		b.blank()
		if b.at == len(b.text) {
			fail("@%s{%s is not closed", kind, clean(name))
			return
		}
		if b.text[b.at] == closing {
			b.step()
			break
		}
		field := strings.ToLower(b.word())
		b.blank()
		if field == "" || b.at == len(b.text) || b.text[b.at] != '=' {
			fail("@%s{%s: want field = value in line %d", kind, clean(name), b.line)
			return
		}
		b.step()
		value, ok := b.value()
		if !ok {
			fail("@%s{%s: the value of %s is not closed", kind, clean(name), clean(field))
			return
		}
		fields[field] = value
		b.blank()
		if b.at < len(b.text) && b.text[b.at] == ',' {
			b.step()
		}
	}
	if kind == "string" {
		for k, v := range fields {
			b.strings[k] = v
		}
		return
	}
	p := bibPaper(name, fields)
	if y := fields["year"]; y != "" && p.Year == 0 {
		b.problems = append(b.problems, Problem{fmt.Sprintf("line %d", start), fmt.Sprintf("%q is not a year; the paper is kept without", clean(y))})
	}
	if why := complete(&p); why != "" {
		b.problems = append(b.problems, Problem{fmt.Sprintf("line %d", start), fmt.Sprintf("@%s{%s: %s", kind, clean(name), why)})
		return
	}
	b.papers = append(b.papers, p)
}

// braced reads from an opening bracket to its closing one and returns what is between.
func (b *bibReader) braced(closing byte) (string, bool) {
	from, depth := b.at+1, 0
	for b.at < len(b.text) {
		switch c := b.text[b.at]; {
		case c == '\\' && b.at+1 < len(b.text):
			b.step()
		case c == '{' || c == '(' && closing == ')':
			depth++
		case c == '}' && closing == '}' || c == closing:
			if depth--; depth == 0 {
				b.step()
				return b.text[from : b.at-1], true
			}
		case c == '}':
			depth--
		}
		if b.at < len(b.text) {
			b.step()
		}
	}
	return "", false
}

// value reads {…}, "…", a number or a string's name, and # between them.
func (b *bibReader) value() (string, bool) {
	var out strings.Builder
	for {
		b.blank()
		if b.at == len(b.text) {
			return "", false
		}
		switch b.text[b.at] {
		case '{':
			s, ok := b.braced('}')
			if !ok {
				return "", false
			}
			out.WriteString(s)
		case '"':
			b.step()
			from, depth := b.at, 0
			for b.at < len(b.text) && (b.text[b.at] != '"' || depth > 0) {
				switch b.text[b.at] {
				case '{':
					depth++
				case '}':
					depth--
				}
				b.step()
			}
			if b.at == len(b.text) {
				return "", false
			}
			out.WriteString(b.text[from:b.at])
			b.step()
		default:
			w := b.word()
			if w == "" {
				return "", false
			}
			if s, ok := b.strings[strings.ToLower(w)]; ok {
				w = s
			}
			out.WriteString(w)
		}
		b.blank()
		if b.at == len(b.text) || b.text[b.at] != '#' {
			return out.String(), true
		}
		b.step()
	}
}

func bibPaper(name string, f map[string]string) catalog.Paper {
	p := catalog.Paper{Key: clean(name), Title: plain(f["title"]), Headline: plain(f["abstract"])}
	for _, a := range strings.Split(strings.ReplaceAll(plain(f["author"]), "\n", " "), " and ") {
		if a = strings.TrimSpace(a); a != "" {
			if last, first, ok := strings.Cut(a, ","); ok {
				a = strings.TrimSpace(first) + " " + strings.TrimSpace(last)
			}
			p.Authors = append(p.Authors, a)
		}
	}
	for _, field := range []string{"year", "date"} {
		if y, ok := year(f[field]); ok && p.Year == 0 {
			p.Year = y
		}
	}
	for _, field := range []string{"booktitle", "journal", "journaltitle"} {
		if p.Venue == "" {
			p.Venue = plain(f[field])
		}
	}
	switch id := arxivNumber.FindString(f["eprint"]); {
	case id != "":
		p.Identifier = "arXiv:" + id
	case f["doi"] != "":
		p.Identifier = "doi:" + strings.TrimPrefix(strings.TrimSpace(f["doi"]), "https://doi.org/")
	default:
		if id := arxivNumber.FindString(f["url"] + " " + f["journal"]); id != "" && strings.Contains(strings.ToLower(f["url"]+f["journal"]), "arxiv") {
			p.Identifier = "arXiv:" + id
		}
	}
	return p
}

// accents are TeX's, as the marks that follow a letter.
var accents = map[byte]string{'"': "\u0308", '\'': "\u0301", '`': "\u0300", '^': "\u0302", '~': "\u0303", '=': "\u0304", '.': "\u0307", 'c': "\u0327", 'v': "\u030c", 'u': "\u0306", 'H': "\u030b", 'k': "\u0328", 'r': "\u030a"}

// symbols are TeX's names of letters and signs.
var symbols = map[string]string{"ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "i": "i", "j": "j"}

// plain turns a TeX text into letters: accents and a few signs are put in, braces and other commands fall away.
func plain(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '{' || c == '}' || c == '$':
			i++
		case c == '~':
			out.WriteByte(' ')
			i++
		case c == '-' && strings.HasPrefix(s[i:], "--"):
			out.WriteString("–")
			for i < len(s) && s[i] == '-' {
				i++
			}
		case c == '\\' && i+1 < len(s):
			n := 1
			for i+1+n < len(s) && isLetter(s[i+1]) && isLetter(s[i+1+n]) {
				n++
			}
			name := s[i+1 : i+1+n]
			i += 1 + n
			switch mark, isAccent := accents[name[0]]; {
			case symbols[name] != "":
				out.WriteString(symbols[name])
				for i < len(s) && s[i] == ' ' {
					i++
				}
			case n == 1 && isAccent:
				for i < len(s) && (s[i] == '{' || s[i] == ' ' || s[i] == '\\') {
					i++
				}
				if i < len(s) && s[i] < 0x80 {
					out.WriteByte(s[i])
					out.WriteString(mark)
					i++
				}
			case !isLetter(name[0]):
				out.WriteString(name)
			}
		default:
			out.WriteByte(c)
			i++
		}
	}
	return clean(normal(out.String()))
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
