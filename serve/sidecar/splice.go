package sidecar

import (
	"bytes"
	"errors"

	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

var errNoOutputs = errors.New("the answer has no outputs to add to")

// splice puts the judged outputs at the end of the list of outputs in an answer, whose first length bytes are JSON (−1: all of it). All else
// stays as it is, to the byte. It returns how many bytes were added to the JSON.
func splice(body []byte, length int, ds []guard.Decision) (out []byte, more int, err error) {
	text := body
	if length >= 0 {
		text = body[:length]
	}
	at, empty := endOfOutputs(text)
	if at < 0 {
		return nil, 0, errNoOutputs
	}
	r := oip.Response{Outputs: added(ds)}
	b, _, err := r.Encode(nil)
	if err != nil {
		return nil, 0, err
	}
	_, b, _ = bytes.Cut(b, []byte(`"outputs":[`))
	b = bytes.TrimSuffix(b, []byte("]}"))
	if more = len(b); !empty {
		more++
	}
	out = append(make([]byte, 0, len(body)+more), body[:at]...)
	if !empty {
		out = append(out, ',')
	}
	return append(append(out, b...), body[at:]...), more, nil
}

// endOfOutputs finds the bracket that closes the list "outputs" of the object in text; −1 when there is none. The text need not be right
// elsewhere: it is the model server's, and is passed on whatever it holds.
func endOfOutputs(text []byte) (at int, empty bool) {
	depth, inside := 0, -1 // inside is the depth of the list that is looked for
	empty = true
	var last []byte // the string before this token, at depth 1
	key := false    // a colon has followed it
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
			continue
		case '"':
			from := i + 1
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
			if i >= len(text) {
				return -1, false
			}
			if depth == 1 {
				last, key = text[from:i], false
			}
			empty = false
			continue
		case ':':
			key = depth == 1
			continue
		case '{', '[':
			depth++
			if c == '[' && depth == 2 && key && inside < 0 && string(last) == "outputs" {
				inside, empty = depth, true
			} else {
				empty = false
			}
		case '}', ']':
			if depth == inside && c == ']' {
				return i, empty
			}
			depth--
		default:
			empty = false
		}
		if depth == 1 {
			key = false
		}
	}
	return -1, false
}
