package rank

import (
	"strings"
	"unicode"

	"github.com/kljensen/snowball/english"
)

// Words cuts a text into the stems that an index counts: lower case, without the words that every text has. Numbers keep their
// points, so that an arXiv number stays one word.
func Words(text string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '.' }) {
		w = strings.Trim(w, ".")
		if w == "" || english.IsStopWord(w) {
			continue
		}
		if w[0] >= '0' && w[0] <= '9' {
			out = append(out, w)
			continue
		}
		for part := range strings.SplitSeq(w, ".") {
			if part != "" {
				out = append(out, english.Stem(part, true))
			}
		}
	}
	return out
}
