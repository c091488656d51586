package report

import (
	"bytes"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "rewrite testdata/sample.txt")

func textOf(t *testing.T, p *Page, width int) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.Text(&b, width); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// testdata/sample.txt is the sample page in 80 columns, to be read by people: a change in it is a change in what users see.
func TestTextGolden(t *testing.T) {
	const file = "testdata/sample.txt"
	got := textOf(t, samplePage(), 80)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d of the sample in text differs from %s, see -update:\n%q", i+1, file, g[min(i, len(g)-1)])
		}
	}
}

// codeLines are the lines of a page's code blocks.
func codeLines(p *Page) map[string]bool {
	lines := map[string]bool{}
	for _, s := range p.Sections {
		for _, b := range s.Blocks {
			if c, ok := b.(Code); ok {
				for _, line := range strings.Split(cleanLines(c.Command+"\n"+c.Output), "\n") {
					lines[strings.Trim(line, " $")] = true
				}
			}
		}
	}
	return lines
}

// No line is wider than the terminal, none ends in spaces, and no control character but the line break gets through.
func TestTextFits(t *testing.T) {
	extreme := &Page{Title: strings.Repeat("wide ", 40), Sections: []Section{{Title: strings.Repeat("x", 200)}}}
	for _, p := range extremePlots(rand.New(rand.NewPCG(15, 16))) {
		extreme.Sections[0].Blocks = append(extreme.Sections[0].Blocks, p)
	}
	for name, p := range map[string]*Page{"sample": samplePage(), "hostile": hostilePage(), "extreme": extreme, "empty": {}} {
		for _, width := range []int{0, 1, 57, 132} {
			limit := max(width, leastTextWidth)
			if width <= 0 {
				limit = defaultTextWidth
			}
			text := textOf(t, p, width)
			code := codeLines(p) // is never cut
			for i, line := range strings.Split(text, "\n") {
				if cellWidth(line) > limit && !code[strings.Trim(line, " $")] {
					t.Errorf("%s, %d columns: line %d has %d: %q", name, width, i+1, cellWidth(line), line)
				}
				if strings.TrimRight(line, " ") != line {
					t.Errorf("%s, %d columns: line %d ends in spaces", name, width, i+1)
				}
			}
			for _, r := range text {
				if unicode.IsControl(r) && r != '\n' || r >= 0x202a && r <= 0x202e {
					t.Fatalf("%s: control character %U", name, r)
				}
			}
			if bad := forbiddenNumber.FindString(text); bad != "" {
				t.Errorf("%s: holds %q", name, bad)
			}
		}
	}
}

// Colours are only added: without the codes, both forms are the same.
func TestColorTextIsTextInColor(t *testing.T) {
	var b bytes.Buffer
	if err := samplePage().ColorText(&b, 80); err != nil {
		t.Fatal(err)
	}
	colored := b.String()
	if !strings.Contains(colored, "\x1b[1mGuard report") {
		t.Error("the title is not bold")
	}
	var plain strings.Builder
	for i, part := range strings.Split(colored, "\x1b[") {
		if i > 0 {
			_, part, _ = strings.Cut(part, "m")
		}
		plain.WriteString(part)
	}
	trim := func(s string) string { // inside codes, padding may stand at the end of a line
		lines := strings.Split(s, "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return strings.Join(lines, "\n")
	}
	if trim(plain.String()) != textOf(t, samplePage(), 80) {
		t.Error("text in colour says something else than text without")
	}
}

func TestWrapWords(t *testing.T) {
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"a bc def", 4, "a bc|def"},
		{"abcdefghij", 4, "abcd|efgh|ij"},
		{"a abcdefgh b", 4, "a|abcd|efgh|b"},
		{"日本語 text", 6, "日本語|text"},
		{"日本語", 1, "日|本|語"},
		{"5\u00a0% of", 3, "5\u00a0%|of"},
		{"", 4, ""},
	} {
		if got := strings.Join(wrapWords(c.in, c.width), "|"); got != c.want {
			t.Errorf("%q in %d columns: %q, want %q", c.in, c.width, got, c.want)
		}
	}
}

func TestTextDrawings(t *testing.T) {
	if got := spark([]float64{0, 0.01, 0.25, 0.5, 1}); got != " ▁▂▄█" {
		t.Errorf("spark %q", got)
	}
	if got := barCells(0, 2.5, 4); got != "██▌ " {
		t.Errorf("bar %q", got)
	}
	e := newExtent()
	e.add(0, 10)
	s := Axis{}.newScale(e, 5, tight).over(0, 10)
	for want, v := range map[string]Interval{
		"  ├──●──┤  ": {Value: 5, Low: 2, High: 8},
		"  ├──●     ": {Value: 5, Low: 2, High: math.Inf(1)},
		"     ●     ": {Value: 5, Low: math.Inf(-1), High: math.Inf(1)},
		"●──┤       ": {Value: 0, Low: 0, High: 3},
	} {
		if got := whiskerCells(v, s, 11); got != want {
			t.Errorf("%+v: %q, want %q", v, got, want)
		}
	}
	c := newCanvas(2, 1)
	c.segment(0, 0, 3, 3)
	if got := c.line(0); got != "⠑⢄" { // dots (0,0) (1,1) and (2,2) (3,3)
		t.Errorf("diagonal %q", got)
	}
}
