package jsonl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/internal/scan"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/decimal"
)

// parser reads one line of JSON (RFC 8259) in place.
type parser struct {
	b     []byte
	ahead []byte // b and what follows it in memory: numbers are read faster when they may look beyond the line
	at    int

	masked bool // −Infinity is a number, see [rows.Block]
}

// deepest is how far arrays and objects may nest, as in encoding/json.
const deepest = 10000

func (p *parser) space() {
	for p.at < len(p.b) && (p.b[p.at] == ' ' || p.b[p.at] == '\t' || p.b[p.at] == '\r' || p.b[p.at] == '\n') {
		p.at++
	}
}

// next returns the byte ahead, 0 at the end. A zero byte in the line is no JSON anyway.
func (p *parser) next() byte {
	if p.at < len(p.b) {
		return p.b[p.at]
	}
	return 0
}

// take passes over space, the byte c and more space.
func (p *parser) take(c byte) bool {
	p.space()
	if p.next() != c {
		return false
	}
	p.at++
	p.space()
	return true
}

func (p *parser) wants(what string) error {
	if p.at >= len(p.b) {
		return fmt.Errorf("byte %d: the line ends, want %s: %w", p.at+1, what, data.ErrFormat)
	}
	return fmt.Errorf("byte %d: want %s, have %s: %w", p.at+1, what, scan.Quote(p.b[p.at:]), data.ErrFormat)
}

// object reads the line as one object and calls field with each key (between its quotes, as it is written) when the value is ahead.
func (p *parser) object(field func(key []byte) error) error {
	if !p.take('{') {
		return p.wants("an object")
	}
	if err := p.fields(field); err != nil {
		return err
	}
	if p.space(); p.at < len(p.b) {
		return p.wants("nothing after the object")
	}
	return nil
}

// fields reads what follows an opening brace.
func (p *parser) fields(field func(key []byte) error) error {
	if p.take('}') {
		return nil
	}
	for {
		key, err := p.quoted("a field name in quotes")
		if err != nil {
			return err
		}
		if !p.take(':') {
			return p.wants("a colon")
		}
		if err := field(key); err != nil {
			return err
		}
		if p.take('}') {
			return nil
		}
		if !p.take(',') {
			return p.wants("a comma or a closing brace")
		}
	}
}

// quoted takes a string and returns what is between the quotes, escapes as they are written.
func (p *parser) quoted(what string) ([]byte, error) {
	if p.next() != '"' {
		return nil, p.wants(what)
	}
	from := p.at + 1
	for i := from; i < len(p.b); i++ {
		switch c := p.b[i]; {
		case c == '"':
			p.at = i + 1
			return p.b[from:i], nil
		case c < ' ':
			p.at = i
			return nil, p.wants("no control character in a string")
		case c == '\\':
			i++
			ok := i < len(p.b) && bytes.IndexByte([]byte(`"\/bfnrtu`), p.b[i]) >= 0
			if ok && p.b[i] == 'u' {
				for range 4 {
					i++
					ok = ok && i < len(p.b) && isHex(p.b[i])
				}
			}
			if !ok {
				p.at = min(i, len(p.b))
				return nil, p.wants("an escape sequence")
			}
		}
	}
	p.at = len(p.b)
	return nil, p.wants("a closing quote")
}

func isHex(c byte) bool { return c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'f' }

// unquote turns the inside of a string into text. Escapes and damaged UTF-8 are left to encoding/json.
func unquote(b []byte) (string, error) {
	if bytes.IndexByte(b, '\\') < 0 && utf8.Valid(b) {
		return string(b), nil
	}
	var s string
	whole := append(append([]byte{'"'}, b...), '"')
	if err := json.Unmarshal(whole, &s); err != nil {
		return "", fmt.Errorf("string %s (%w): %w", scan.Quote(b), err, data.ErrFormat)
	}
	return s, nil
}

// digits takes a number as JSON writes it.
func (p *parser) digits() ([]byte, error) {
	b, i := p.b, p.at
	if i < len(b) && b[i] == '-' {
		i++
	}
	run := func() bool {
		from := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		return i > from
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !run() {
		return nil, p.wants("a value")
	}
	if i < len(b) && b[i] == '.' {
		if i++; !run() {
			return nil, p.wants("a number with digits after the point")
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !run() {
			return nil, p.wants("a number with a whole exponent")
		}
	}
	token := b[p.at:i]
	p.at = i
	return token, nil
}

// number reads a feature: a number, or true and false as 1 and 0.
func (p *parser) number() (float32, error) {
	switch c := p.next(); {
	case c == '-' && p.masked && p.word("-Infinity"):
		return data.MaskedLogit, nil
	case c-'0' <= 9 || c == '-' && !p.notANumber():
		if v, n := decimal.Float32(p.ahead[p.at:]); n > 0 && p.at+n <= len(p.b) && !p.oddStart() {
			p.at += n
			return v, nil
		}
		token, err := p.digits()
		if err != nil {
			return 0, err
		}
		return scan.Number(token)
	case c == '"':
		s, err := p.quoted("")
		if err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("\"%.36s\" is text, want a number: %w", s, data.ErrFormat)
	case c == '[':
		return 0, fmt.Errorf("is an array, want a number: %w", data.ErrFormat)
	case c == '{':
		return 0, fmt.Errorf("is an object, want a number: %w", data.ErrFormat)
	case p.word("null"):
		return 0, fmt.Errorf("is null, want a number: %w", data.ErrFormat)
	case p.word("true"):
		return 1, nil
	case p.word("false"):
		return 0, nil
	case c == '-' || p.notANumber():
		return 0, fmt.Errorf("%w", data.ErrFinite)
	}
	return 0, p.wants("a number")
}

// oddStart reports whether the number ahead begins as no number in JSON may: with a point or a needless zero. How it goes on does
// not matter: decimal.Float32 takes no point without digits behind it.
func (p *parser) oddStart() bool {
	b := p.b[p.at:]
	if b[0] == '-' {
		b = b[1:]
	}
	return len(b) == 0 || b[0]-'0' > 9 || b[0] == '0' && len(b) > 1 && b[1]-'0' <= 9
}

// word takes a literal name.
func (p *parser) word(s string) bool {
	if len(p.b)-p.at >= len(s) && string(p.b[p.at:p.at+len(s)]) == s {
		p.at += len(s)
		return true
	}
	return false
}

// notANumber takes what Python writes, against the rules, for numbers that are none.
func (p *parser) notANumber() bool {
	return p.word("NaN") || p.word("Infinity") || p.word("-Infinity")
}

// vector reads an array of exactly len(x) numbers.
func (p *parser) vector(x []float32) error {
	if p.next() != '[' {
		return p.wants("an array of numbers")
	}
	p.at++
	p.space()
	for n := 0; ; n++ {
		if n == 0 && p.next() == ']' {
			p.at++
			return fmt.Errorf("%w: an empty array, want %d numbers", data.ErrShape, len(x))
		}
		v, err := p.number()
		if err != nil {
			return fmt.Errorf("element %d: %w", n+1, err)
		}
		if n < len(x) {
			x[n] = v
		}
		p.space()
		c := p.next()
		if c != ',' && c != ']' {
			return p.wants("a comma or a closing bracket")
		}
		p.at++
		if c == ']' {
			if n+1 != len(x) {
				return fmt.Errorf("%w: %d numbers, want %d as in the first line", data.ErrShape, n+1, len(x))
			}
			return nil
		}
		p.space()
	}
}

// text reads a name: a string, a number, true or false; null and NaN are "".
func (p *parser) text() (string, error) {
	switch c := p.next(); {
	case c == '"':
		s, err := p.quoted("")
		if err != nil {
			return "", err
		}
		return unquote(s)
	case c == '[' || c == '{':
		return "", fmt.Errorf("is an array or an object, want one value: %w", data.ErrFormat)
	case p.word("null"), p.notANumber():
		return "", nil
	case p.word("true"):
		return "true", nil
	case p.word("false"):
		return "false", nil
	}
	token, err := p.digits()
	if err != nil {
		return "", err
	}
	if bytes.ContainsAny(token, ".eE") {
		if v, err := strconv.ParseFloat(string(token), 64); err == nil {
			return rows.Name(v, 64), nil
		}
	}
	return string(token), nil
}

// skip passes over any value, checking it. depth counts the arrays and objects around it.
func (p *parser) skip(depth int) error {
	c := p.next()
	if (c == '{' || c == '[') && depth >= deepest {
		return fmt.Errorf("arrays or objects nested more than %d deep: %w", deepest, data.ErrFormat)
	}
	switch {
	case c == '"':
		_, err := p.quoted("")
		return err
	case c == '{':
		p.at++
		p.space()
		return p.fields(func([]byte) error { return p.skip(depth + 1) })
	case c == '[':
		p.at++
		p.space()
		return p.elements(depth)
	case p.word("null"), p.word("true"), p.word("false"), p.notANumber():
		return nil
	}
	_, err := p.digits()
	return err
}

func (p *parser) elements(depth int) error {
	if p.take(']') {
		return nil
	}
	for {
		if err := p.skip(depth + 1); err != nil {
			return err
		}
		if p.take(']') {
			return nil
		}
		if !p.take(',') {
			return p.wants("a comma or a closing bracket")
		}
	}
}

// column reads a value of the first line and tells what its field holds.
func (p *parser) column() (c rows.Column, err error) {
	from := p.at
	switch b := p.next(); {
	case b == '"':
		c = rows.Column{Kind: rows.Text, Type: "text"}
	case b == '{':
		c = rows.Column{Kind: rows.Other, Type: "an object"}
	case b == 'n':
		c = rows.Column{Kind: rows.Unknown, Type: "null"}
	case b == '[':
		c = rows.Column{Kind: rows.Other, Type: "an array"}
	case p.notANumber(): // the right complaint comes with the row
		return rows.Column{Kind: rows.Number, Type: "a number"}, nil
	default:
		c = rows.Column{Kind: rows.Number, Type: "a number"}
	}
	if c.Type == "an array" {
		if n, ok := p.count(); ok {
			return rows.Column{Kind: rows.Vector, Width: n, Type: fmt.Sprintf("an array of %d numbers", n)}, nil
		}
		p.at = from
	}
	return c, p.skip(1)
}

// count takes an array of numbers and returns how many there are; false, and anywhere in the line, when it is another array.
func (p *parser) count() (n int, ok bool) {
	for first := true; ; first = false {
		p.at++
		p.space()
		if first && p.next() == ']' {
			return 0, false
		}
		if !p.notANumber() {
			if _, err := p.digits(); err != nil {
				return 0, false
			}
		}
		n++
		p.space()
		switch p.next() {
		case ']':
			p.at++
			return n, true
		case ',':
		default:
			return 0, false
		}
	}
}
