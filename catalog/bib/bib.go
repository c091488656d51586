// Package bib reads papers that users bring: JSON lines, BibTeX, and arXiv's exports in Atom and OAI-PMH.
package bib

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/gimbal-ml/gimbal/catalog"
)

// ErrFormat says that a file is in none of the formats.
var ErrFormat = errors.New("neither JSON lines, BibTeX, Atom nor OAI-PMH")

// Problem is an entry that could not be read, or not whole.
type Problem struct {
	Where string // line or entry
	Why   string
}

func (p Problem) String() string { return p.Where + ": " + p.Why }

// limit is the largest file that is read: a hundred thousand papers with abstracts are a third of it.
const limit = 1 << 30

// Read reads all papers of a file, whatever its format. Entries that are broken become problems and the others are kept; the
// error is for what makes the whole unreadable.
func Read(r io.Reader) ([]catalog.Paper, []Problem, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, limit+1), 1<<16)
	head, err := in.Peek(4096)
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return nil, nil, err
	}
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	switch {
	case len(head) == 0:
		return nil, nil, fmt.Errorf("%w: the file is empty", ErrFormat)
	case head[0] == '{':
		return jsonLines(in)
	case head[0] == '<':
		return arxiv(in)
	case bytes.ContainsRune(head, '@'):
		return bibtex(in)
	}
	return nil, nil, ErrFormat
}

func jsonLines(in *bufio.Reader) (papers []catalog.Paper, problems []Problem, err error) {
	s := bufio.NewScanner(in)
	s.Buffer(nil, 1<<20)
	line := 0
	for s.Scan() {
		line++
		text := bytes.TrimSpace(bytes.TrimPrefix(s.Bytes(), []byte("\ufeff")))
		if len(text) == 0 {
			continue
		}
		var p catalog.Paper
		if err := json.Unmarshal(text, &p); err != nil {
			problems = append(problems, Problem{fmt.Sprintf("line %d", line), err.Error()})
			continue
		}
		if why := complete(&p); why != "" {
			problems = append(problems, Problem{fmt.Sprintf("line %d", line), why})
			continue
		}
		papers = append(papers, p)
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		return papers, problems, fmt.Errorf("line %d is longer than 1 MiB", line+1)
	}
	return papers, problems, s.Err()
}

// complete gives a paper its key, cleans its texts, and says what it lacks.
func complete(p *catalog.Paper) (why string) {
	p.Title = clean(p.Title)
	var authors []string
	for _, a := range p.Authors {
		if a = clean(a); a != "" {
			authors = append(authors, a)
		}
	}
	p.Authors = authors
	if p.Title == "" {
		return "no title"
	}
	if p.Key == "" {
		p.Key = key(*p)
	}
	p.Methods, p.State = nil, "own"
	return ""
}

// clean joins lines and drops control characters, which a terminal or a page would obey.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return ' '
		}
		return c
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// key is first author, year, first word of the title that says something.
func key(p catalog.Paper) string {
	author := "anonymous"
	if len(p.Authors) > 0 {
		names := strings.Fields(p.Authors[0])
		if before, _, ok := strings.Cut(p.Authors[0], ","); ok && before != "" {
			names = []string{before}
		}
		author = cmp.Or(letters(names[len(names)-1]), author)
	}
	year := "nodate"
	if p.Year > 0 {
		year = strconv.Itoa(p.Year)
	}
	word := ""
	for _, w := range strings.Fields(p.Title) {
		if w = letters(w); len(w) > 3 {
			word = w
			break
		}
	}
	return author + year + word
}

// normal joins letters with their accents.
func normal(s string) string { return norm.NFC.String(s) }

// letters are a name's letters without their accents.
func letters(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c
		}
		return -1
	}, strings.ToLower(norm.NFKD.String(s)))
}

var arxivNumber = regexp.MustCompile(`(?:[a-z-]+(?:\.[A-Z]{2})?/\d{7}|\d{4}\.\d{4,5})`)

// year finds a year in a date.
func year(date string) (int, bool) {
	date = strings.TrimSpace(date)
	if len(date) < 4 {
		return 0, false
	}
	y, err := strconv.Atoi(date[:4])
	return y, err == nil && y >= 1500 && y <= 2200
}
