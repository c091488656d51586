package encode

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer reads what is done to a text before it is cut.
func normalizer(p *part, unknown *[]string) func(string) string {
	same := func(s string) string { return s }
	if p == nil {
		return same
	}
	bad := func(what string) func(string) string {
		*unknown = append(*unknown, "normalizer "+what)
		return same
	}
	switch p.Type {
	case "Sequence":
		var s struct {
			Normalizers []part `json:"normalizers"`
		}
		if p.settings(&s) != nil {
			return bad(p.Type)
		}
		var list []func(string) string
		for i := range s.Normalizers {
			list = append(list, normalizer(&s.Normalizers[i], unknown))
		}
		return func(text string) string {
			for _, f := range list {
				text = f(text)
			}
			return text
		}
	case "BertNormalizer":
		s := struct {
			Clean   bool  `json:"clean_text"`
			Chinese bool  `json:"handle_chinese_chars"`
			Strip   *bool `json:"strip_accents"`
			Lower   bool  `json:"lowercase"`
		}{true, true, nil, true}
		if p.settings(&s) != nil {
			return bad(p.Type)
		}
		strip := s.Lower
		if s.Strip != nil {
			strip = *s.Strip
		}
		return func(text string) string {
			if s.Clean {
				text = strings.Map(cleaned, text)
			}
			if s.Chinese {
				text = spaced(text, isChinese)
			}
			if strip {
				text = withoutMarks(norm.NFD.String(text))
			}
			if s.Lower {
				text = lower(text)
			}
			return text
		}
	case "Lowercase":
		return lower
	case "NFC":
		return norm.NFC.String
	case "NFD":
		return norm.NFD.String
	case "NFKC":
		return norm.NFKC.String
	case "NFKD":
		return norm.NFKD.String
	case "StripAccents":
		return withoutMarks
	case "Strip":
		var s struct {
			Left  bool `json:"strip_left"`
			Right bool `json:"strip_right"`
		}
		if p.settings(&s) != nil {
			return bad(p.Type)
		}
		return func(text string) string {
			if s.Left {
				text = strings.TrimLeftFunc(text, unicode.IsSpace)
			}
			if s.Right {
				text = strings.TrimRightFunc(text, unicode.IsSpace)
			}
			return text
		}
	case "Replace":
		find, _, ok := pattern(p)
		var s struct {
			Content string `json:"content"`
		}
		if p.settings(&s) != nil || !ok {
			return bad(p.Type)
		}
		return func(text string) string { return find.ReplaceAllLiteralString(text, s.Content) }
	}
	return bad(p.Type)
}

// pattern reads a pattern: a plain string, or a regular expression that Go's package can run.
func pattern(p *part) (find *regexp.Regexp, behavior string, ok bool) {
	var s struct {
		Pattern struct {
			String *string `json:"String"`
			Regex  *string `json:"Regex"`
		} `json:"pattern"`
		Behavior string `json:"behavior"`
	}
	if p.settings(&s) != nil {
		return nil, "", false
	}
	text := ""
	switch {
	case s.Pattern.String != nil:
		text = regexp.QuoteMeta(*s.Pattern.String)
	case s.Pattern.Regex != nil:
		// In these expressions \s is white space of all scripts; in Go's it is that of ASCII.
		text = strings.ReplaceAll(*s.Pattern.Regex, `[^\s`, `[^\s\v\x{85}\p{Z}`)
		text = regexp.MustCompile(`(^|[^\[^\\])\\s`).ReplaceAllString(text, `$1[\s\v\x{85}\p{Z}]`)
	}
	find, err := regexp.Compile(text)
	return find, s.Behavior, err == nil && text != ""
}

// lower is lower case rune by rune, as tokenizers do it; one letter becomes two.
func lower(text string) string {
	return strings.ReplaceAll(strings.Map(func(r rune) rune {
		if r == 'İ' {
			return r
		}
		return unicode.ToLower(r)
	}, text), "İ", "i̇")
}

func withoutMarks(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, text)
}

// cleaned drops control characters and makes every white space a blank.
func cleaned(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return ' '
	case r == 0 || r == utf8.RuneError || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		return -1
	case unicode.IsSpace(r):
		return ' '
	case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z):
		return -1 // unassigned
	}
	return r
}

// isChinese are the blocks that BERT puts blanks around.
func isChinese(r rune) bool {
	for _, b := range [][2]rune{{0x4e00, 0x9fff}, {0x3400, 0x4dbf}, {0x20000, 0x2a6df}, {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0xf900, 0xfaff}, {0x2f800, 0x2fa1f}} {
		if r >= b[0] && r <= b[1] {
			return true
		}
	}
	return false
}

func spaced(text string, is func(rune) bool) string {
	var out strings.Builder
	for _, r := range text {
		if is(r) {
			out.WriteByte(' ')
			out.WriteRune(r)
			out.WriteByte(' ')
		} else {
			out.WriteRune(r)
		}
	}
	return out.String()
}

// preTokenizer reads how a text is cut into words.
func preTokenizer(p *part, unknown *[]string) func([]string) []string {
	if p == nil {
		return func(words []string) []string { return words }
	}
	each := func(f func(string) []string) func([]string) []string {
		return func(words []string) []string {
			var out []string
			for _, w := range words {
				out = append(out, f(w)...)
			}
			return out
		}
	}
	bad := func(what string) func([]string) []string {
		*unknown = append(*unknown, "pre-tokenizer "+what)
		return func(words []string) []string { return words }
	}
	s := struct {
		List       []part `json:"pretokenizers"`
		Prefix     bool   `json:"add_prefix_space"`
		Regex      bool   `json:"use_regex"`
		Individual bool   `json:"individual_digits"`
		Behavior   string `json:"behavior"`
		Invert     bool   `json:"invert"`
	}{Regex: true}
	if p.settings(&s) != nil {
		return bad(p.Type)
	}
	switch p.Type {
	case "Sequence":
		var list []func([]string) []string
		for i := range s.List {
			list = append(list, preTokenizer(&s.List[i], unknown))
		}
		return func(words []string) []string {
			for _, f := range list {
				words = f(words)
			}
			return words
		}
	case "BertPreTokenizer":
		return each(func(text string) []string { return runs(text, unicode.IsSpace, isolated(isPunctuation)) })
	case "WhitespaceSplit":
		return each(strings.Fields)
	case "Whitespace":
		return each(func(text string) []string {
			return runs(text, unicode.IsSpace, func(a, b rune) bool { return isWord(a) != isWord(b) })
		})
	case "Punctuation":
		if s.Behavior != "" && s.Behavior != "Isolated" {
			return bad(p.Type + " " + s.Behavior)
		}
		return each(func(text string) []string { return runs(text, never, isolated(isPunctuation)) })
	case "Digits":
		return each(func(text string) []string {
			return runs(text, never, func(a, b rune) bool {
				return unicode.IsNumber(a) != unicode.IsNumber(b) || s.Individual && unicode.IsNumber(a)
			})
		})
	case "ByteLevel":
		return func(words []string) []string {
			var out []string
			for _, w := range words {
				if s.Prefix && !strings.HasPrefix(w, " ") {
					w = " " + w
				}
				parts := []string{w}
				if s.Regex {
					parts = gptWords(w)
				}
				for _, part := range parts {
					out = append(out, byteLetters(part))
				}
			}
			return out
		}
	case "Split":
		find, behavior, ok := pattern(p)
		if !ok || behavior != "Removed" && behavior != "Isolated" {
			return bad(p.Type + " by " + string(p.raw))
		}
		return each(func(text string) []string {
			var out []string
			add := func(w string, match bool) {
				if w != "" && (behavior == "Isolated" || match == s.Invert) {
					out = append(out, w)
				}
			}
			from := 0
			for _, m := range find.FindAllStringIndex(text, -1) {
				add(text[from:m[0]], false)
				add(text[m[0]:m[1]], true)
				from = m[1]
			}
			add(text[from:], false)
			return out
		})
	}
	return bad(p.Type)
}

func never(rune) bool { return false }

// isPunctuation counts all of ASCII that is no letter, digit or blank, as BERT does.
func isPunctuation(r rune) bool {
	return r > ' ' && r < 0x7f && !unicode.IsLetter(r) && !unicode.IsDigit(r) || unicode.Is(unicode.P, r)
}

// isolated cuts on both sides of the runes of a kind.
func isolated(is func(rune) bool) func(a, b rune) bool {
	return func(a, b rune) bool { return is(a) || is(b) }
}

// runs cuts a text where two runes want it, and drops some runes.
func runs(text string, drop func(rune) bool, cut func(a, b rune) bool) []string {
	var out []string
	from, last := -1, rune(0)
	for i, r := range text {
		switch {
		case drop(r):
			if from >= 0 {
				out = append(out, text[from:i])
			}
			from = -1
		case from < 0:
			from = i
		case cut(last, r):
			out = append(out, text[from:i])
			from = i
		}
		last = r
	}
	if from >= 0 {
		out = append(out, text[from:])
	}
	return out
}

// gptWords cuts as GPT-2's expression: contractions; letters, digits or other signs, each with one blank before; white space, whose
// last blank belongs to the word behind it.
func gptWords(text string) []string {
	var out []string
	for text != "" {
		n := gptWord(text)
		out, text = append(out, text[:n]), text[n:]
	}
	return out
}

func gptWord(text string) int {
	for _, c := range []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"} {
		if strings.HasPrefix(text, c) {
			return len(c)
		}
	}
	kind := func(r rune) int {
		switch {
		case unicode.IsSpace(r):
			return 0
		case unicode.IsLetter(r):
			return 1
		case unicode.IsNumber(r):
			return 2
		}
		return 3
	}
	first := 0
	if text[0] == ' ' {
		first = 1
	}
	if r, _ := utf8.DecodeRuneInString(text[first:]); first < len(text) && kind(r) != 0 {
		for i, q := range text[first:] {
			if kind(q) != kind(r) {
				return first + i
			}
		}
		return len(text)
	}
	last := 0 // where the last rune of the white space begins
	for i, q := range text {
		if kind(q) != 0 {
			if last == 0 {
				return i
			}
			return last
		}
		last = i
	}
	return len(text)
}

// letters are the runes that stand for bytes: printable ones for themselves, the others from U+0100 on.
var letters = func() (table [256]rune) {
	next := rune(0x100)
	for b := range 256 {
		if b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae {
			table[b] = rune(b)
		} else {
			table[b] = next
			next++
		}
	}
	return table
}()

func byteLetters(text string) string {
	var out strings.Builder
	for i := range len(text) {
		out.WriteRune(letters[text[i]])
	}
	return out.String()
}
