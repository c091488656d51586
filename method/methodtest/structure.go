package methodtest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gimbal-ml/gimbal/method"
)

// template lists the lines that a method's doc comment must have.
func template(s method.Spec) []string {
	lines := []string{"Errors", "Source", "Claim"}
	if s.Learns() {
		lines = append(lines, "Fits on")
	} else {
		lines = append(lines, "Takes", "Apply")
	}
	for _, v := range s.Verbs {
		lines = append(lines, strings.ToUpper(v[:1])+v[1:])
	}
	return lines
}

// docLine returns what stands behind a word and a colon at the start of a line.
func docLine(doc, word string) (string, bool) {
	for line := range strings.Lines(doc) {
		if rest, ok := strings.CutPrefix(line, word+":"); ok {
			return strings.TrimSpace(rest), strings.TrimSpace(rest) != ""
		}
	}
	return "", false
}

// checkDoc: the doc comment follows the template, every field is explained, and what the words say of defaults is true.
func checkDoc(t *T) {
	s := t.Spec
	if s.Title == "" || strings.ContainsAny(s.Title, "\n") || strings.HasSuffix(s.Title, ".") || unicode.IsUpper([]rune(s.Title + " ")[0]) && !acronym(s.Title) {
		t.Errorf("Info.Title %q: want one line that goes on after the method's name: lower case, no full stop", s.Title)
	}
	if s.Paper == "" {
		t.Errorf("Info.Paper is empty: name the source's key in the catalog")
	}
	h, err := s.Help()
	if err != nil {
		t.Fatalf("%v", err)
	}
	first, _, _ := strings.Cut(h.Doc, " ")
	if strings.ToLower(first) != s.Name {
		t.Errorf("the doc comment begins with %q, want the type's name", first)
	}
	for _, word := range template(s) {
		if _, ok := docLine(h.Doc, word); !ok {
			t.Errorf("the doc comment has no line %q", word+":")
		}
	}
	if text, ok := docLine(h.Doc, "Source"); ok && !strings.Contains(text, s.Paper) {
		t.Errorf("the line Source: %q does not name %s", text, s.Paper)
	}
	text, ok := docLine(h.Doc, "Claim")
	if why, none := strings.CutPrefix(text, "none: "); ok && !strings.Contains(text, "claims/"+s.ID()+".go") && (!none || s.Claimed() || len(strings.Fields(why)) < 3) {
		t.Errorf("the line Claim: %q neither names claims/%s.go nor says none: and why", text, s.ID())
	}
	for _, p := range s.Params {
		text := h.Fields[p.Name]
		if !strings.HasPrefix(text, p.Field+" ") {
			t.Errorf("field %s: the comment %.40q does not begin with the field's name", p.Field, text)
		}
		if said, ok := saidDefault(text); ok && !sameText(said, p.Default) {
			t.Errorf("field %s: the comment says the default is %s, the tag says %q", p.Field, said, p.Default)
		}
	}
}

func acronym(title string) bool {
	word := []rune(strings.Fields(title)[0])
	return len(word) == 1 || unicode.IsUpper(word[1]) || unicode.IsDigit(word[1]) || word[1] == '-'
}

var defaultWords = regexp.MustCompile(`(?i)\b(?:defaults?(?: is| to| of|:)?|by default) ([^\s,;)]+)`)

// saidDefault finds a number or a truth value that a comment calls the default. Other words, as in "the default of the
// paper's code", are prose.
func saidDefault(text string) (string, bool) {
	for _, m := range defaultWords.FindAllStringSubmatch(text, -1) {
		word := strings.Trim(m[1], `."`+"`")
		if _, err := strconv.ParseFloat(word, 64); err == nil || word == "true" || word == "false" {
			return word, true
		}
	}
	return "", false
}

func sameText(a, b string) bool {
	if b == "" {
		b = "0" // no default tag: zero is the default
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return a == b || errX == nil && errY == nil && x == y || a == "false" && b == "0"
}

// checkZeroIsHonest: a field with a default has no meaning at zero; a field without one runs at zero.
func checkZeroIsHonest(t *T) {
	for _, p := range t.Spec.Params {
		zero := slices.Contains(p.Enum, "")
		switch p.Type {
		case "bool":
			zero = true
		case "float64", "int", "uint64":
			zero = p.AllowsZero()
		case "[]int", "[]float64":
			zero = false // an empty list can only be one that was not given
		}
		switch {
		case p.Default != "" && zero:
			t.Errorf("field %s: zero is legal (%s%s) and yet stands for the default %s: nobody can ask for it", p.Field, p.Type, p.Range, p.Default)
		case p.Default == "" && !zero && !strings.HasPrefix(p.Type, "[]") && !(p.Type == "string" && p.Enum == nil):
			t.Errorf("field %s: zero is outside %s%s and there is no default", p.Field, p.Range, strings.Join(p.Enum, ","))
		}
		if p.Default == "" {
			continue
		}
		if _, err := t.Spec.Configure(map[string]string{p.Name: p.Default}); err != nil {
			t.Errorf("field %s: its own default is refused: %v", p.Field, err)
		}
	}
}

// checkDefaultsRun: the zero configuration does everything the method can on the toy set, soon.
func checkDefaultsRun(t *T) {
	if !t.Spec.Learns() && t.Spec.Output == "" || t.Spec.Learns() && len(t.Spec.Verbs) == 0 {
		t.Fatalf("the method has no verb")
	}
	start := time.Now()
	for _, a := range t.observe(t.Spec.Config(), toys(t.Spec)[0]) {
		if a.err != nil {
			t.Errorf("%s: %v (inputs: %s)", a.verb, a.err, slotNames(t.Spec))
		}
	}
	if took := time.Since(start); took > t.limit {
		t.Errorf("the toy set takes %v, want at most %v: choose cheaper defaults", took.Round(time.Millisecond), t.limit)
	}
}
