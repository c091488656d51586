package report

import (
	"bytes"
	"encoding/xml"
	"html"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
)

// hostilePage has hostile text in every field of every block.
func hostilePage() *Page {
	blocks := []Block{
		Text(hostile + "\n\n- " + hostile + "\n\n[" + hostile + "](" + hostile + ") [x](javascript:alert(1)) [y](https://a.b/\"><script>) **" + hostile + "** `" + hostile + "`"),
		Notice{Bad, hostile}, KeyFigures{{hostile, hostile, hostile, Warn}}, Code{hostile, hostile, hostile},
		Table{Title: hostile, Caption: hostile, Columns: []Column{{Title: hostile, Unit: hostile}, {Title: hostile}},
			Rows: [][]Cell{{Words(hostile).Linked("javascript:alert(3)").Marked(Bad), Number(1)}, {Words(hostile).Linked("https://example.org/"), Estimate(1, math.Inf(-1), 2)}}},
	}
	for _, p := range hostilePlots() {
		blocks = append(blocks, p)
	}
	return &Page{Title: hostile, Subtitle: hostile, Generated: hostile, Sections: []Section{
		{Title: hostile, Lead: hostile, Blocks: blocks}, {Title: hostile}, {Title: hostile}, {Title: "***"}, {},
	}}
}

// node is what a parsed page is made of.
type node struct {
	name       string
	attributes map[string]string
	text       string // of a text node
}

// parsePage reads a page the way encoding/xml reads HTML. Style and script, whose text is not markup, are checked against the policy and taken out first.
func parsePage(t *testing.T, page string) []node {
	t.Helper()
	page, ok := strings.CutPrefix(page, "<!DOCTYPE html>")
	if !ok {
		t.Error("the page does not begin with its document type")
	}
	policy := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if policy == nil {
		t.Fatal("the page has no content security policy")
	}
	for _, name := range []string{"style", "script"} {
		open, end := "<"+name+">", "</"+name+">"
		if strings.Count(page, open) != 1 || strings.Count(page, end) != 1 || strings.Count(page, "<"+name) != 1 {
			t.Fatalf("the page has %d %s and %d %s, want one each", strings.Count(page, "<"+name), open, strings.Count(page, end), end)
		}
		before, rest, _ := strings.Cut(page, open)
		content, after, _ := strings.Cut(rest, end)
		if want := name + "-src " + digest(content); !strings.Contains(html.UnescapeString(policy[1]), want) {
			t.Errorf("the policy lacks %q", want)
		}
		page = before + after
	}
	var nodes []node
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta", "link"}, xml.HTMLEntity
	var open []string
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			n := node{name: token.Name.Local, attributes: map[string]string{}}
			for _, a := range token.Attr {
				n.attributes[a.Name.Local] = a.Value
			}
			nodes, open = append(nodes, n), append(open, n.name)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1] != token.Name.Local {
				t.Fatalf("</%s> closes %v", token.Name.Local, open)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			nodes = append(nodes, node{text: string(token)})
		}
	}
	if len(open) != 0 {
		t.Fatalf("%v are left open", open)
	}
	return nodes
}

var elementsOfAPage = strings.Fields("html head meta title link body a div header h1 h2 h3 p nav ol ul li main section dl dt dd figure figcaption svg desc path rect line circle text " +
	"details summary table thead tbody tr th td span small strong code pre samp footer")

func TestPageStructure(t *testing.T) {
	known := map[string]bool{}
	for _, e := range elementsOfAPage {
		known[e] = true
	}
	for name, p := range map[string]*Page{"sample": samplePage(), "hostile": hostilePage(), "empty": {}} {
		nodes := parsePage(t, render(t, p))
		count, ids := map[string]int{}, map[string]bool{}
		var references []string
		for _, n := range nodes {
			count[n.name]++
			if n.name != "" && !known[n.name] {
				t.Errorf("%s: element %s", name, n.name)
			}
			if n.name == "" && strings.Contains(n.text, "<script") && name != "hostile" {
				t.Errorf("%s: text %q", name, n.text)
			}
			for key, value := range n.attributes {
				switch {
				case strings.HasPrefix(key, "on"), key == "style", key == "src":
					t.Errorf("%s: %s has the attribute %s=%q", name, n.name, key, value)
				case key == "id":
					if ids[value] {
						t.Errorf("%s: the id %q stands twice", name, value)
					}
					ids[value] = true
				case key == "href" && strings.HasPrefix(value, "#"):
					references = append(references, value[1:])
				case key == "href" && n.name == "a" && !strings.HasPrefix(value, "https://"):
					t.Errorf("%s: link to %q", name, value)
				case key == "href" && n.name == "link" && !strings.HasPrefix(value, "data:"):
					t.Errorf("%s: loads %q", name, value)
				case key == "aria-labelledby":
					references = append(references, strings.Fields(value)...)
				}
			}
			if n.name == "svg" && n.attributes["role"] != "img" {
				t.Errorf("%s: an svg without a role", name)
			}
		}
		for _, r := range references {
			if !ids[r] && r != "compare" {
				t.Errorf("%s: reference to the missing id %q", name, r)
			}
		}
		titled := 0
		for _, s := range p.Sections {
			if s.Title != "" {
				titled++
			}
		}
		if count["h1"] != 1 || count["main"] != 1 || count["section"] != len(p.Sections) || count["h2"] != titled {
			t.Errorf("%s: %d h1, %d main, %d sections, %d h2; want 1, 1, %d, %d", name, count["h1"], count["main"], count["section"], count["h2"], len(p.Sections), titled)
		}
	}
	if !strings.Contains(render(t, samplePage()), `id="compare"`) {
		t.Error("the section Compare cannot be linked to")
	}
}

// What was hostile must come out as text: reading the page back gives the words, whole.
func TestHostileTextIsText(t *testing.T) {
	p := &Page{Title: hostile, Sections: []Section{{Blocks: []Block{
		Table{Columns: []Column{{Title: "a"}}, Rows: [][]Cell{{Words(hostile)}}}, Code{Output: hostile}, KeyFigures{{Value: hostile}},
	}}}}
	nodes := parsePage(t, render(t, p))
	found := 0
	for _, n := range nodes {
		if strings.Contains(n.text, "</title></svg></script></style>\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;&#0;{{.}}]]>-->\uFFFD[31m\uFFFD\uFFFD\uFFFD javascript:x `a` **b**") {
			found++
		}
	}
	if found != 5 { // title, h1, cell, output, key figure
		t.Errorf("the hostile text is found %d times, want 5", found)
	}
}

func TestMarkup(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                            "<p>plain</p>",
		"a **b** c":                        "<p>a <strong>b</strong> c</p>",
		"`a<b`":                            "<p><code>a&lt;b</code></p>",
		"**open":                           "<p>**open</p>",
		"2 * 3 ** 4":                       "<p>2 * 3 ** 4</p>",
		"`":                                "<p>`</p>",
		"****":                             "<p>****</p>",
		"[x](https://a.b/c?d=1&e=2)":       `<p><a href="https://a.b/c?d=1&amp;e=2">x</a></p>`,
		"[x](#part)":                       `<p><a href="#part">x</a></p>`,
		"[x](javascript:alert(1))":         "<p>[x](javascript:alert(1))</p>",
		"[x](data:text/html,1)":            "<p>[x](data:text/html,1)</p>",
		"[x](//a.b)":                       "<p>[x](//a.b)</p>",
		"[x](https://a.b/\"onclick=\"a\")": "<p>[x](https://a.b/&#34;onclick=&#34;a&#34;)</p>",
		"one\n\ntwo\nlines":                "<p>one</p><p>two lines</p>",
		"- a\n- **b**":                     "<ul><li>a</li><li><strong>b</strong></li></ul>",
		"- a\nb":                           "<p>- a b</p>",
		"[a] [b](c) and [d](https://e)":    `<p>[a] [b](c) and <a href="https://e">d</a></p>`,
	} {
		if got := markupHTML(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func TestSlugs(t *testing.T) {
	c := &counter{used: map[string]bool{"main": true}}
	for _, s := range []struct{ title, want string }{
		{"Drift over time", "drift-over-time"}, {"Drift, over time!", "drift-over-time-2"}, {"Main", "main-2"}, {"***", "section"}, {"???", "section-2"}, {"α = 5 %", "α-5"},
	} {
		if got := c.slug(s.title); got != s.want {
			t.Errorf("%q gets the id %q, want %q", s.title, got, s.want)
		}
	}
}

// Equal input gives equal bytes, in HTML, text and pictures.
func TestDeterministic(t *testing.T) {
	everything := func() []byte {
		p := samplePage()
		var b bytes.Buffer
		b.WriteString(render(t, p))
		if err := p.ColorText(&b, 100); err != nil {
			t.Fatal(err)
		}
		for _, plot := range samplePlots() {
			if err := plot.SVG(&b); err != nil {
				t.Fatal(err)
			}
		}
		return b.Bytes()
	}
	first := everything()
	for range 2 {
		if !bytes.Equal(first, everything()) {
			t.Fatal("two renderings of one page differ")
		}
	}
}

// The best cell is bold, ties included, and numbers carry the key that the script sorts by.
func TestTableView(t *testing.T) {
	table := Table{Columns: []Column{{Title: "m"}, {Title: "up", Best: Highest}, {Title: "down", Best: Lowest, Format: Percent(1)}},
		Rows: [][]Cell{{Words("a"), Number(2), Number(0.2)}, {Words("b"), Number(3), Number(0.1)}, {Words("c"), Number(3), {}}}}
	v := table.view("")
	var bold []string
	for _, row := range v.Rows {
		for _, c := range row {
			if strings.Contains(c.Class, "best") {
				bold = append(bold, row[0].Text+" "+c.Text)
			}
		}
	}
	if got := strings.Join(bold, ", "); got != "b 3, b 10.0, c 3" {
		t.Errorf("bold are %q", got)
	}
	if got := v.Rows[0][2].Key; got != "0.2" {
		t.Errorf("the cell sorts by %q, want its value", got)
	}
	if v.Columns[2].Unit != "%" || v.Columns[1].Class != "right" || v.Columns[0].Class != "left" || !v.Sortable {
		t.Errorf("columns %+v, sortable %v", v.Columns, v.Sortable)
	}
}
