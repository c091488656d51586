package oip

import (
	"fmt"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
)

// ParseLength reads the value of [LengthHeader] for a body of so many bytes: −1 when the header is missing.
// Errors: ErrFormat for what is no number of bytes of that body.
func ParseLength(header string, body int) (int, error) {
	if header == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(header)
	if err != nil || n < 0 || n > body {
		return 0, fmt.Errorf("%s %.40q: %w: want a number of bytes, at most the %d of the body", LengthHeader, header, data.ErrFormat, body)
	}
	return n, nil
}

// split cuts a body into its JSON and the binary tensors behind it; length is ParseLength's.
func split(body []byte, length int) (text, rest []byte) {
	if length < 0 {
		return body, nil
	}
	return body[:length:length], body[length:]
}

// Decode reads a request's JSON, with the binary tensors that follow its first length bytes; −1 says that there are none.
// Errors: ErrFormat with the byte at which the text is wrong, ErrShape when a tensor does not fit its shape.
func (r *Request) Decode(body []byte, length int) error {
	text, rest := split(body, length)
	inputs, outputs := r.Inputs[:0], r.Outputs[:0]
	*r = Request{}
	p := parser{b: text}
	has := false
	err := p.object(func(key string) (err error) {
		switch key {
		case "id":
			r.ID, err = p.string()
		case "parameters":
			r.Parameters, err = p.parameters()
		case "inputs":
			has = true
			inputs, err = p.tensors(inputs[:0])
		case "outputs":
			outputs, err = p.outputs(outputs[:0])
		default:
			err = p.skip()
		}
		return err
	})
	if err == nil {
		err = p.end()
	}
	if err == nil && !has {
		err = fmt.Errorf("%w: \"inputs\" is missing", data.ErrFormat)
	}
	if err == nil {
		err = binaries(inputs, rest)
	}
	r.Inputs, r.Outputs = inputs, outputs
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	return nil
}

// Decode reads a response's JSON, with the binary tensors that follow its first length bytes; −1 says that there are none.
func (r *Response) Decode(body []byte, length int) error {
	text, rest := split(body, length)
	outputs := r.Outputs[:0]
	*r = Response{}
	p := parser{b: text}
	has := false
	err := p.object(func(key string) (err error) {
		switch key {
		case "model_name":
			r.Model, err = p.string()
		case "model_version":
			r.Version, err = p.string()
		case "id":
			r.ID, err = p.string()
		case "parameters":
			r.Parameters, err = p.parameters()
		case "outputs":
			has = true
			outputs, err = p.tensors(outputs[:0])
		default:
			err = p.skip()
		}
		return err
	})
	if err == nil {
		err = p.end()
	}
	if err == nil && !has {
		err = fmt.Errorf("%w: \"outputs\" is missing", data.ErrFormat)
	}
	if err == nil {
		err = binaries(outputs, rest)
	}
	r.Outputs = outputs
	if err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}

// binaries gives the tensors that announced binary data their bytes, in order, and checks all tensors.
func binaries(list []Tensor, rest []byte) error {
	for i := range list {
		t := &list[i]
		if v, ok := t.Parameters["binary_data_size"]; ok {
			n, ok := v.(int64)
			if !ok || n < 0 {
				return t.wrong("%w: binary_data_size %v is no number of bytes", data.ErrFormat, v)
			}
			if n > int64(len(rest)) {
				return t.wrong("%w: binary_data_size is %d, %d bytes are left of the body", data.ErrShape, n, len(rest))
			}
			if t.Raw != nil {
				return t.wrong("%w: it has both data and binary_data_size", data.ErrFormat)
			}
			t.Raw, t.Binary, rest = rest[:n:n], true, rest[n:]
		} else if t.Raw == nil {
			return t.wrong("%w: neither data nor binary_data_size", data.ErrFormat)
		}
		if err := t.Check(); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes behind the last binary tensor", data.ErrShape, len(rest))
	}
	return nil
}

// next lengthens a list by an element, whose old memory stays to be reused.
func next[E any](list []E) []E {
	if len(list) < cap(list) {
		return list[:len(list)+1]
	}
	var zero E
	return append(list, zero)
}

func (p *parser) tensors(list []Tensor) ([]Tensor, error) {
	err := p.array(func() error {
		list = next(list)
		t := &list[len(list)-1]
		*t = Tensor{own: t.own, Shape: t.Shape[:0]}
		return p.tensor(t)
	})
	return list, err
}

// mostDimensions bounds how deep data may be nested.
const mostDimensions = 32

// tensor reads one tensor. Data that comes before its type and shape is read when these are known.
func (p *parser) tensor(t *Tensor) error {
	named, shaped, later := false, false, -1
	err := p.object(func(key string) (err error) {
		switch key {
		case "name":
			named = true
			t.Name, err = p.string()
		case "datatype":
			var text string
			text, err = p.string()
			if t.Datatype = Datatype(text); err == nil && !t.Datatype.known() {
				err = t.wrong("%w: unknown datatype %.40q", data.ErrFormat, text)
			}
		case "shape":
			shaped, t.Shape = true, t.Shape[:0]
			err = p.array(func() error {
				v, err := p.int64()
				if t.Shape = append(t.Shape, v); err == nil && len(t.Shape) > mostDimensions {
					err = t.wrong("%w: more than %d dimensions", data.ErrShape, mostDimensions)
				}
				return err
			})
		case "parameters":
			t.Parameters, err = p.parameters()
		case "data":
			if t.Datatype != "" && shaped {
				later = -1
				return p.elements(t)
			}
			p.space()
			later = p.at
			err = p.skip()
		default:
			err = p.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !named:
		return p.wrong("a tensor without a name")
	case t.Datatype == "":
		return t.wrong("%w: \"datatype\" is missing", data.ErrFormat)
	case !shaped:
		return t.wrong("%w: \"shape\" is missing", data.ErrFormat)
	case later >= 0:
		back := p.at
		p.at = later
		if err := p.elements(t); err != nil {
			return err
		}
		p.at = back
	}
	return nil
}

func (p *parser) outputs(list []Output) ([]Output, error) {
	err := p.array(func() error {
		list = next(list)
		o := &list[len(list)-1]
		*o = Output{}
		err := p.object(func(key string) (err error) {
			switch key {
			case "name":
				o.Name, err = p.string()
			case "parameters":
				o.Parameters, err = p.parameters()
			default:
				err = p.skip()
			}
			return err
		})
		if err == nil && o.Name == "" {
			err = p.wrong("an output without a name")
		}
		return err
	})
	return list, err
}

// parameters reads named values; lists and objects, which the protocol does not know, are passed over.
func (p *parser) parameters() (Parameters, error) {
	out := Parameters{}
	err := p.object(func(key string) (err error) {
		switch c := p.peek(); {
		case c == '"':
			out[key], err = p.string()
		case c == 't', c == 'f':
			out[key], err = p.bool()
		case c == '-', c-'0' <= 9:
			var span []byte
			if span, err = p.number(); err != nil {
				return err
			}
			if v, e := strconv.ParseInt(string(span), 10, 64); e == nil {
				out[key] = v
			} else if v, e := strconv.ParseFloat(string(span), 64); e == nil {
				out[key] = v
			} else {
				err = p.wrong("parameter %.40q: %s is no number that fits", key, span)
			}
		default:
			err = p.skip()
		}
		return err
	})
	return out, err
}
