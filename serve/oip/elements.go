package oip

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/decimal"
)

// elements reads a tensor's data: flat, or nested as its shape says.
func (p *parser) elements(t *Tensor) error {
	if t.Datatype == FP16 || t.Datatype == BF16 {
		return t.wrong("%w: %s has no form in JSON: send it in binary (parameter binary_data_size)", data.ErrFormat, t.Datatype)
	}
	want, err := t.Len()
	if err != nil {
		return err
	}
	raw := t.own[:0]
	p.space()
	nested := false
	if p.at < len(p.b) && p.b[p.at] == '[' { // looks one byte ahead of the first bracket
		q := parser{b: p.b, at: p.at + 1}
		nested = q.peek() == '['
	}
	n := 0
	if nested {
		raw, n, err = p.nest(t, raw, 0)
	} else {
		raw, n, err = p.flat(t, raw)
	}
	if err != nil {
		return err
	}
	if n != want {
		return t.wrong("%w: %d elements for shape %v, want %d", data.ErrShape, n, t.Shape, want)
	}
	if raw == nil {
		raw = []byte{}
	}
	t.Raw, t.own = raw, raw
	return nil
}

// nest reads the arrays of one dimension, which must have the sizes of the shape.
func (p *parser) nest(t *Tensor, raw []byte, level int) ([]byte, int, error) {
	if level == len(t.Shape)-1 {
		raw, n, err := p.flat(t, raw)
		if err == nil && int64(n) != t.Shape[level] {
			err = t.wrong("%w: a row of %d elements at byte %d, shape is %v", data.ErrShape, n, p.at, t.Shape)
		}
		return raw, n, err
	}
	if level >= len(t.Shape) {
		return raw, 0, t.wrong("%w: data is nested deeper than shape %v", data.ErrShape, t.Shape)
	}
	rows, total := int64(0), 0
	err := p.array(func() (err error) {
		var n int
		raw, n, err = p.nest(t, raw, level+1)
		rows++
		total += n
		return err
	})
	if err == nil && rows != t.Shape[level] {
		err = t.wrong("%w: %d arrays at level %d, shape is %v", data.ErrShape, rows, level+1, t.Shape)
	}
	return raw, total, err
}

// flat reads one array of elements.
func (p *parser) flat(t *Tensor, raw []byte) ([]byte, int, error) {
	n := 0
	if t.Datatype == FP32 {
		return p.float32s(raw)
	}
	err := p.array(func() (err error) {
		raw, err = p.element(t, raw)
		n++
		return err
	})
	return raw, n, err
}

// float32s is flat for what nearly all requests consist of.
func (p *parser) float32s(raw []byte) ([]byte, int, error) {
	if err := p.expect('['); err != nil {
		return raw, 0, err
	}
	if p.peek() == ']' {
		p.at++
		return raw, 0, nil
	}
	for n := 1; ; n++ {
		p.space()
		v, took := decimal.Float32(p.b[p.at:])
		if took == 0 || !plainNumber(p.b[p.at:p.at+took]) {
			span, err := p.number()
			if err != nil {
				return raw, 0, err
			}
			wide, err := strconv.ParseFloat(string(span), 32)
			if err != nil {
				return raw, 0, p.wrong("%.40s is beyond FP32", span)
			}
			v, took = float32(wide), 0
		}
		p.at += took
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
		if p.at < len(p.b) && p.b[p.at] == ',' {
			p.at++
			continue
		}
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return raw, n, nil
		default:
			return raw, 0, p.unexpected("a comma or a closing bracket")
		}
	}
}

// plainNumber reports whether a number that decimal read is one in JSON, too: no plus, no zero in front, digits on both sides of the point.
func plainNumber(b []byte) bool {
	if b[0] == '-' {
		b = b[1:]
	}
	if len(b) == 0 || b[0]-'0' > 9 || b[len(b)-1]-'0' > 9 {
		return false
	}
	return b[0] != '0' || len(b) == 1 || b[1]-'0' > 9
}

func (p *parser) element(t *Tensor, raw []byte) ([]byte, error) {
	le := binary.LittleEndian
	switch t.Datatype {
	case Bool:
		v, err := p.bool()
		if v {
			return append(raw, 1), err
		}
		return append(raw, 0), err
	case Bytes:
		s, err := p.string()
		return appendElement(raw, s), err
	}
	at := p.at
	span, err := p.number()
	if err != nil {
		return raw, err
	}
	bits := 8 * t.Datatype.Size()
	switch t.Datatype {
	case FP64:
		v, e := strconv.ParseFloat(string(span), 64)
		raw, err = le.AppendUint64(raw, math.Float64bits(v)), e
	case Int8, Int16, Int32, Int64:
		v, e := strconv.ParseInt(string(span), 10, bits)
		raw, err = le.AppendUint64(raw, uint64(v))[:len(raw)+bits/8], e
	default:
		v, e := strconv.ParseUint(string(span), 10, bits)
		raw, err = le.AppendUint64(raw, v)[:len(raw)+bits/8], e
	}
	if err != nil {
		p.at = at
		return raw, p.wrong("%.40s is no %s", span, t.Datatype)
	}
	return raw, nil
}
