package method

import (
	"fmt"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
)

// Family is what a family's package says of itself: the question that it answers, and which of its methods to take when.
type Family struct {
	Name string
	// Text is what stands before the first table, a paragraph.
	Text string
	// Tables are one or more lists of choices, each with what stands before it.
	Tables []Choices
}

// Choices is a table of methods.
type Choices struct {
	Text    string   // the paragraph before it; empty for the first
	Columns []string // what each column but the first says: takes, keeps, when; empty where the table has no heading
	Rows    []Choice
}

// Choice is one or several methods that one row is about.
type Choice struct {
	Methods []string // IDs
	Cells   []string // as many as columns
}

var (
	choiceLink   = regexp.MustCompile(`\[(\w+)\]`)
	choiceColumn = regexp.MustCompile(`\s{2,}`)
)

// ReadFamily reads the doc comment of the package that a method is in. Errors: a source that is missing or cannot be read.
func ReadFamily(s Spec) (Family, error) {
	f := Family{Name: s.Family}
	file := s.Family + ".go"
	src, err := s.set.Source.ReadFile(file)
	if err != nil {
		return f, fmt.Errorf("family %s: no source for its help: %w", s.Family, err)
	}
	tree, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		return f, fmt.Errorf("family %s: %w", s.Family, err)
	}
	names := map[string]string{}
	for _, other := range s.set.All() {
		names[other.Name] = other.ID()
	}
	var before []string
	table := false
	for _, line := range strings.Split(tree.Doc.Text(), "\n") {
		row, indented := strings.CutPrefix(line, "\t")
		switch {
		case !indented:
			if table = false; strings.TrimSpace(line) == "" {
				if len(before) > 0 && before[len(before)-1] != "" {
					before = append(before, "")
				}
			} else {
				before = append(before, line)
			}
		case !table:
			table = true
			text := lastParagraph(before)
			if len(f.Tables) == 0 {
				f.Text, text = strings.TrimPrefix(strings.Join(strings.Fields(strings.Join(before, " ")), " "), "Package "), ""
			}
			before = nil
			f.Tables = append(f.Tables, Choices{Text: text})
			if rest, ok := strings.CutPrefix(row, "which one?"); ok {
				f.Tables[len(f.Tables)-1].Columns = choiceColumn.Split(strings.TrimSpace(rest), -1)
				continue
			}
			fallthrough
		default:
			t := &f.Tables[len(f.Tables)-1]
			c := Choice{}
			end := 0
			for _, at := range choiceLink.FindAllStringSubmatchIndex(row, -1) {
				if id := names[strings.ToLower(row[at[2]:at[3]])]; id != "" && strings.Trim(row[end:at[0]], " ,") == "" {
					c.Methods, end = append(c.Methods, id), at[1]
				}
			}
			columns := len(t.Columns)
			if columns == 0 {
				columns = -1 // as many as there are
			}
			c.Cells = choiceColumn.Split(strings.TrimSpace(row[end:]), columns)
			if len(t.Columns) > 0 && len(c.Cells) < len(t.Columns) { // only one space lies between the first two where a name is long
				c.Cells = append(c.Cells, make([]string, len(t.Columns)-len(c.Cells))...)
			}
			t.Rows = append(t.Rows, c)
		}
	}
	return f, nil
}

func lastParagraph(lines []string) string {
	text := strings.TrimSpace(strings.Join(lines, "\n"))
	if i := strings.LastIndex(text, "\n\n"); i >= 0 {
		text = text[i+2:]
	}
	return strings.Join(strings.Fields(text), " ")
}
