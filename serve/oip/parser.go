package oip

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/gimbal-ml/gimbal/data"
)

// parser reads JSON of a known form from one piece of memory, without reflection.
type parser struct {
	b  []byte
	at int
}

func (p *parser) wrong(format string, a ...any) error {
	return fmt.Errorf("byte %d: "+format+": %w", append(append([]any{p.at}, a...), data.ErrFormat)...)
}

func (p *parser) unexpected(want string) error {
	if p.at >= len(p.b) {
		return p.wrong("the text ends, want %s", want)
	}
	return p.wrong("%q, want %s", p.b[p.at:min(p.at+12, len(p.b))], want)
}

func (p *parser) space() {
	for p.at < len(p.b) && (p.b[p.at] == ' ' || p.b[p.at] == '\n' || p.b[p.at] == '\t' || p.b[p.at] == '\r') {
		p.at++
	}
}

// peek passes over space and returns the next byte, 0 at the end.
func (p *parser) peek() byte {
	p.space()
	if p.at == len(p.b) {
		return 0
	}
	return p.b[p.at]
}

func (p *parser) expect(c byte) error {
	if p.peek() != c || p.at == len(p.b) {
		return p.unexpected(string(c))
	}
	p.at++
	return nil
}

func (p *parser) end() error {
	if p.peek(); p.at < len(p.b) {
		return p.unexpected("the end")
	}
	return nil
}

// object calls value for each key, to read what stands behind it.
func (p *parser) object(value func(key string) error) error {
	if err := p.expect('{'); err != nil {
		return err
	}
	if p.peek() == '}' {
		p.at++
		return nil
	}
	for {
		key, err := p.string()
		if err != nil {
			return err
		}
		if err := p.expect(':'); err != nil {
			return err
		}
		if p.peek(); bytes.HasPrefix(p.b[p.at:], []byte("null")) { // some clients write out what they leave open
			p.at += 4
		} else if err := value(key); err != nil {
			return err
		}
		switch p.peek() {
		case ',':
			p.at++
		case '}':
			p.at++
			return nil
		default:
			return p.unexpected("a comma or a closing brace")
		}
	}
}

// array calls value for each element, to read it.
func (p *parser) array(value func() error) error {
	if err := p.expect('['); err != nil {
		return err
	}
	if p.peek() == ']' {
		p.at++
		return nil
	}
	for {
		if err := value(); err != nil {
			return err
		}
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return nil
		default:
			return p.unexpected("a comma or a closing bracket")
		}
	}
}

// words are strings that need no memory of their own.
var words = func() map[string]string {
	m := map[string]string{}
	for d := range dtypes {
		m[string(d)] = string(d)
	}
	for _, s := range []string{"BYTES", "id", "parameters", "inputs", "outputs", "name", "shape", "datatype", "data", "binary_data_size", "binary_data", "binary_data_output", "model_name", "model_version"} {
		m[s] = s
	}
	return m
}()

func (p *parser) string() (string, error) {
	if p.peek() != '"' {
		return "", p.unexpected("a string")
	}
	start := p.at + 1
	plain := true
	for i := start; i < len(p.b); i++ {
		switch c := p.b[i]; {
		case c == '"':
			span := p.b[start:i]
			if plain && utf8.Valid(span) {
				p.at = i + 1
				if s, ok := words[string(span)]; ok {
					return s, nil
				}
				return string(span), nil
			}
			var s string
			if err := json.Unmarshal(p.b[p.at:i+1], &s); err != nil || !utf8.Valid(span) {
				return "", p.wrong("a string that is not valid")
			}
			p.at = i + 1
			return s, nil
		case c == '\\':
			plain = false
			i++
		case c < ' ':
			return "", p.wrong("a control character within a string")
		}
	}
	return "", p.wrong("a string without an end")
}

func (p *parser) bool() (bool, error) {
	p.space()
	switch {
	case bytes.HasPrefix(p.b[p.at:], []byte("true")):
		p.at += 4
		return true, nil
	case bytes.HasPrefix(p.b[p.at:], []byte("false")):
		p.at += 5
		return false, nil
	}
	return false, p.unexpected("true or false")
}

func (p *parser) int64() (int64, error) {
	span, err := p.number()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseInt(string(span), 10, 64)
	if err != nil {
		return 0, p.wrong("%.40s is no whole number that fits", span)
	}
	return v, nil
}

// number passes over a number, as JSON writes them.
func (p *parser) number() ([]byte, error) {
	p.space()
	i := p.at
	digits := func() bool {
		from := i
		for i < len(p.b) && p.b[i]-'0' <= 9 {
			i++
		}
		return i > from
	}
	if i < len(p.b) && p.b[i] == '-' {
		i++
	}
	zero := i < len(p.b) && p.b[i] == '0'
	from := i
	if !digits() || zero && i > from+1 {
		return nil, p.unexpected("a number")
	}
	if i < len(p.b) && p.b[i] == '.' {
		i++
		if !digits() {
			return nil, p.unexpected("a number")
		}
	}
	if i < len(p.b) && p.b[i]|0x20 == 'e' {
		i++
		if i < len(p.b) && (p.b[i] == '+' || p.b[i] == '-') {
			i++
		}
		if !digits() {
			return nil, p.unexpected("a number")
		}
	}
	span := p.b[p.at:i]
	p.at = i
	return span, nil
}

// skip passes over one value of any form, which must be valid.
func (p *parser) skip() error {
	p.space()
	start, depth := p.at, 0
	i := start
	for ; i < len(p.b); i++ {
		switch c := p.b[i]; c {
		case '"':
			for i++; i < len(p.b) && p.b[i] != '"'; i++ {
				if p.b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				i++
				return p.skipped(start, i)
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return p.skipped(start, i)
			}
			if depth--; depth == 0 {
				return p.skipped(start, i+1)
			}
		case ',':
			if depth == 0 {
				return p.skipped(start, i)
			}
		}
	}
	return p.skipped(start, i)
}

func (p *parser) skipped(start, end int) error {
	end = min(end, len(p.b))
	if !json.Valid(p.b[start:end]) {
		return p.wrong("not valid JSON")
	}
	p.at = end
	return nil
}
