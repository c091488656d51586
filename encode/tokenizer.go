package encode

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gimbal-ml/gimbal/data"
)

// Tokenizer turns text into token numbers as a tokenizer.json of Hugging Face says: word pieces or byte pairs, with what goes before
// and behind them. It is safe for concurrent use.
type Tokenizer struct {
	added     []addedToken // longest first
	normalize func(string) string
	split     func([]string) []string
	piece     func(word string) []int32 // the model: token numbers of one word
	before    []int32                   // special tokens of the template
	after     []int32
	length    int // most tokens, 0 for any number
}

type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
}

// part is a normalizer, pre-tokenizer, post-processor or model: its type and settings.
type part struct {
	Type string `json:"type"`
	raw  json.RawMessage
}

// UnmarshalJSON keeps the settings for whoever knows the type.
func (p *part) UnmarshalJSON(text []byte) error {
	p.raw = slices.Clone(text)
	var head struct {
		Type string `json:"type"`
	}
	err := json.Unmarshal(text, &head)
	p.Type = head.Type
	return err
}

// settings reads the part's settings.
func (p *part) settings(to any) error {
	if err := json.Unmarshal(p.raw, to); err != nil {
		return fmt.Errorf("%s: %w", p.Type, err)
	}
	return nil
}

// ReadTokenizer reads a tokenizer.json. Errors: ErrFormat, with the name of every part that is not known here.
func ReadTokenizer(text []byte) (*Tokenizer, error) {
	var file struct {
		Truncation *struct {
			MaxLength int `json:"max_length"`
		} `json:"truncation"`
		Added         []addedToken `json:"added_tokens"`
		Normalizer    *part        `json:"normalizer"`
		PreTokenizer  *part        `json:"pre_tokenizer"`
		PostProcessor *part        `json:"post_processor"`
		Model         *part        `json:"model"`
	}
	fail := func(err error) (*Tokenizer, error) {
		return nil, fmt.Errorf("%w as a tokenizer: %w", data.ErrFormat, err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return fail(err)
	}
	if file.Model == nil {
		return fail(fmt.Errorf("it has no model"))
	}
	t := &Tokenizer{added: file.Added}
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return len(b.Content) - len(a.Content) })
	if slices.ContainsFunc(t.added, func(a addedToken) bool { return a.Content == "" }) {
		return fail(fmt.Errorf("an added token has no content"))
	}
	if file.Truncation != nil {
		t.length = file.Truncation.MaxLength
	}
	var unknown []string
	t.normalize = normalizer(file.Normalizer, &unknown)
	t.split = preTokenizer(file.PreTokenizer, &unknown)
	var err error
	switch file.Model.Type {
	case "WordPiece":
		t.piece, err = wordPiece(file.Model)
	case "BPE":
		t.piece, err = bytePair(file.Model)
	default:
		unknown = append(unknown, "model "+file.Model.Type)
	}
	if err == nil {
		err = t.template(file.PostProcessor, &unknown)
	}
	if err != nil {
		return fail(err)
	}
	if len(unknown) > 0 {
		return fail(fmt.Errorf("parts that are not known here: %s", strings.Join(unknown, ", ")))
	}
	return t, nil
}

// Encode returns the token numbers of a text with the special tokens around them, at most length of them (0: as many as the
// tokenizer's own truncation says, or all). Errors: ErrShape when the special tokens alone are more.
func (t *Tokenizer) Encode(text string, length int) ([]int32, error) {
	ids := slices.Clone(t.before)
	for _, s := range t.sections(text, false) {
		if s.id >= 0 {
			ids = append(ids, s.id)
			continue
		}
		for _, u := range t.sections(t.normalize(s.text), true) {
			if u.id >= 0 {
				ids = append(ids, u.id)
				continue
			}
			if u.text == "" {
				continue
			}
			for _, word := range t.split([]string{u.text}) {
				ids = append(ids, t.piece(word)...)
			}
		}
	}
	if length == 0 {
		length = t.length
	}
	if room := length - len(t.after); length > 0 && len(ids) > room {
		if room < len(t.before) {
			return nil, fmt.Errorf("%w: %d tokens leave no room beside %d special ones", data.ErrShape, length, len(t.before)+len(t.after))
		}
		ids = ids[:room]
	}
	return append(ids, t.after...), nil
}

// section is a text between added tokens, or one of them.
type section struct {
	text string
	id   int32
}

// sections cuts a text at the added tokens that are looked for in normalised text, or in the text as it came.
func (t *Tokenizer) sections(text string, normalized bool) []section {
	var out []section
	from := 0
	for at := 0; at < len(text); {
		a := t.tokenAt(text, at, normalized)
		if a == nil {
			_, n := utf8.DecodeRuneInString(text[at:])
			at += n
			continue
		}
		before, end := text[from:at], at+len(a.Content)
		if a.LStrip {
			before = strings.TrimRightFunc(before, unicode.IsSpace)
		}
		if a.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		out = append(out, section{before, -1}, section{"", a.ID})
		from, at = end, end
	}
	return append(out, section{text[from:], -1})
}

// tokenAt returns the longest added token that begins at a place.
func (t *Tokenizer) tokenAt(text string, at int, normalized bool) *addedToken {
	for i := range t.added {
		a := &t.added[i]
		content := a.Content
		if a.Normalized != normalized || !strings.HasPrefix(text[at:], content) {
			continue
		}
		if a.SingleWord {
			last, _ := utf8.DecodeLastRuneInString(text[:at])
			next, _ := utf8.DecodeRuneInString(text[at+len(content):])
			if at > 0 && isWord(last) || at+len(content) < len(text) && isWord(next) {
				continue
			}
		}
		return a
	}
	return nil
}

// isWord is \w of the regular expressions that tokenizers are described by.
func isWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc) || r == '\u200c' || r == '\u200d'
}

// template reads what goes before and behind a single text.
func (t *Tokenizer) template(p *part, unknown *[]string) error {
	if p == nil {
		return nil
	}
	var s struct {
		Single []map[string]struct {
			ID json.RawMessage `json:"id"`
		} `json:"single"`
		Special map[string]struct {
			IDs []int32 `json:"ids"`
		} `json:"special_tokens"`
		Sep        []any  `json:"sep"`
		Cls        []any  `json:"cls"`
		Processors []part `json:"processors"`
	}
	if err := p.settings(&s); err != nil {
		return err
	}
	switch p.Type {
	case "ByteLevel": // moves offsets only
	case "Sequence":
		for i := range s.Processors {
			if err := t.template(&s.Processors[i], unknown); err != nil {
				return err
			}
		}
	case "BertProcessing", "RobertaProcessing":
		for _, e := range []struct {
			pair []any
			to   *[]int32
		}{{s.Cls, &t.before}, {s.Sep, &t.after}} {
			if len(e.pair) != 2 {
				return fmt.Errorf("%s: want a token and its number", p.Type)
			}
			id, ok := e.pair[1].(float64)
			if !ok {
				return fmt.Errorf("%s: %v is no number", p.Type, e.pair[1])
			}
			*e.to = append(*e.to, int32(id))
		}
	case "TemplateProcessing":
		to := &t.before
		for _, piece := range s.Single {
			for kind, e := range piece {
				if kind == "Sequence" {
					to = &t.after
					continue
				}
				var name string
				if err := json.Unmarshal(e.ID, &name); err != nil {
					return fmt.Errorf("%s: %w", p.Type, err)
				}
				special, ok := s.Special[name]
				if !ok {
					return fmt.Errorf("%s: special token %q is not listed", p.Type, name)
				}
				*to = append(*to, special.IDs...)
			}
		}
	default:
		*unknown = append(*unknown, "post-processor "+p.Type)
	}
	return nil
}

// wordPiece is the greedy search for the longest known piece from the left (Schuster and Nakajima 2012, as BERT uses it).
func wordPiece(p *part) (func(string) []int32, error) {
	s := struct {
		Unknown string           `json:"unk_token"`
		Prefix  string           `json:"continuing_subword_prefix"`
		Most    int              `json:"max_input_chars_per_word"`
		Vocab   map[string]int32 `json:"vocab"`
	}{"[UNK]", "##", 100, nil}
	if err := p.settings(&s); err != nil {
		return nil, err
	}
	none, ok := s.Vocab[s.Unknown]
	if !ok {
		return nil, fmt.Errorf("WordPiece: the unknown token %q is not in the vocabulary of %d", s.Unknown, len(s.Vocab))
	}
	return func(word string) []int32 {
		if utf8.RuneCountInString(word) > s.Most {
			return []int32{none}
		}
		var ids []int32
		for at := 0; at < len(word); {
			end, id, found := len(word), int32(0), false
			for ; end > at; end-- {
				if end < len(word) && !utf8.RuneStart(word[end]) {
					continue
				}
				piece := word[at:end]
				if at > 0 {
					piece = s.Prefix + piece
				}
				if id, found = s.Vocab[piece]; found {
					break
				}
			}
			if !found {
				return []int32{none}
			}
			ids, at = append(ids, id), end
		}
		return ids
	}, nil
}

// bytePair joins neighbours in the order in which the training joined them (Sennrich et al. 2016).
func bytePair(p *part) (func(string) []int32, error) {
	var s struct {
		Unknown      *string           `json:"unk_token"`
		Prefix       string            `json:"continuing_subword_prefix"`
		Suffix       string            `json:"end_of_word_suffix"`
		FuseUnknown  bool              `json:"fuse_unk"`
		ByteFallback bool              `json:"byte_fallback"`
		IgnoreMerges bool              `json:"ignore_merges"`
		Vocab        map[string]int32  `json:"vocab"`
		Merges       []json.RawMessage `json:"merges"`
	}
	if err := p.settings(&s); err != nil {
		return nil, err
	}
	if s.ByteFallback {
		return nil, fmt.Errorf("BPE: byte_fallback is not known here")
	}
	none := int32(-1)
	if s.Unknown != nil {
		id, ok := s.Vocab[*s.Unknown]
		if !ok {
			return nil, fmt.Errorf("BPE: the unknown token %q is not in the vocabulary of %d", *s.Unknown, len(s.Vocab))
		}
		none = id
	}
	ranks := make(map[[2]string]int, len(s.Merges))
	for i, raw := range s.Merges {
		var pair []string
		var text string
		if json.Unmarshal(raw, &pair) != nil {
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, fmt.Errorf("BPE: merge %d: %w", i+1, err)
			}
			pair = strings.Split(text, " ")
		}
		if len(pair) != 2 {
			return nil, fmt.Errorf("BPE: merge %d is %s, want two pieces", i+1, raw)
		}
		if _, ok := ranks[[2]string(pair)]; !ok {
			ranks[[2]string(pair)] = i
		}
	}
	return func(word string) []int32 {
		if id, ok := s.Vocab[word]; ok && s.IgnoreMerges {
			return []int32{id}
		}
		var pieces []string
		for i, r := range word {
			piece := string(r)
			if i > 0 {
				piece = s.Prefix + piece
			}
			if i+utf8.RuneLen(r) == len(word) {
				piece += s.Suffix
			}
			pieces = append(pieces, piece)
		}
		for len(pieces) > 1 {
			best, at := len(ranks)+1, -1
			for i := range len(pieces) - 1 {
				if r, ok := ranks[[2]string{pieces[i], pieces[i+1]}]; ok && r < best {
					best, at = r, i
				}
			}
			if at < 0 {
				break
			}
			pieces[at] += strings.TrimPrefix(pieces[at+1], s.Prefix)
			pieces = slices.Delete(pieces, at+1, at+2)
		}
		var ids []int32
		fused := false
		for _, piece := range pieces {
			id, ok := s.Vocab[piece]
			switch {
			case ok:
				ids, fused = append(ids, id), false
			case none >= 0 && !(fused && s.FuseUnknown):
				ids, fused = append(ids, none), true
			}
		}
		return ids
	}, nil
}
