package oip

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/gimbal-ml/gimbal/data"
)

// Encode appends a request to dst: JSON, and behind it the tensors that are to go in binary form. length is the value of
// [LengthHeader], −1 when no tensor is binary and the body is JSON alone.
// Errors: ErrFormat for a tensor that has no form in JSON and is not marked binary, ErrFinite for NaN and infinities there.
func (r *Request) Encode(dst []byte) (body []byte, length int, err error) {
	start := len(dst)
	dst = append(dst, '{')
	dst = appendID(dst, "", r.ID)
	if dst, err = appendParameters(dst, r.Parameters, -1, ","); err != nil {
		return dst, 0, err
	}
	if dst, err = appendTensors(dst, "inputs", r.Inputs); err != nil {
		return dst, 0, err
	}
	if len(r.Outputs) > 0 {
		dst = append(dst, `,"outputs":[`...)
		for i, o := range r.Outputs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(append(dst, `{"name":`...), o.Name)
			if len(o.Parameters) > 0 {
				if dst, err = appendParameters(append(dst, ','), o.Parameters, -1, ""); err != nil {
					return dst, 0, err
				}
			}
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	dst = append(dst, '}')
	return appendBinaries(dst, start, r.Inputs)
}

// Encode appends a response to dst, as [Request.Encode] does a request.
func (r *Response) Encode(dst []byte) (body []byte, length int, err error) {
	start := len(dst)
	dst = appendString(append(dst, `{"model_name":`...), r.Model)
	dst = append(dst, ',')
	if r.Version != "" {
		dst = append(appendString(append(dst, `"model_version":`...), r.Version), ',')
	}
	dst = appendID(dst, "", r.ID)
	if dst, err = appendParameters(dst, r.Parameters, -1, ","); err != nil {
		return dst, 0, err
	}
	if dst, err = appendTensors(dst, "outputs", r.Outputs); err != nil {
		return dst, 0, err
	}
	dst = append(dst, '}')
	return appendBinaries(dst, start, r.Outputs)
}

func appendID(dst []byte, before, id string) []byte {
	if id == "" {
		return dst
	}
	return append(appendString(append(append(dst, before...), `"id":`...), id), ',')
}

func appendBinaries(dst []byte, start int, list []Tensor) ([]byte, int, error) {
	length := -1
	for i := range list {
		if list[i].Binary {
			if length < 0 {
				length = len(dst) - start
			}
			dst = append(dst, list[i].Raw...)
		}
	}
	return dst, length, nil
}

func appendTensors(dst []byte, key string, list []Tensor) (_ []byte, err error) {
	dst = append(append(append(dst, '"'), key...), `":[`...)
	for i := range list {
		t := &list[i]
		if err := t.Check(); err != nil {
			return dst, err
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"name":`...), t.Name)
		dst = append(append(append(dst, `,"datatype":"`...), t.Datatype...), `","shape":[`...)
		for k, s := range t.Shape {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = strconv.AppendInt(dst, s, 10)
		}
		dst = append(dst, ']')
		size := -1
		if t.Binary {
			size = len(t.Raw)
		}
		if _, stale := t.Parameters["binary_data_size"]; size >= 0 || len(t.Parameters) > 1 || len(t.Parameters) == 1 && !stale {
			if dst, err = appendParameters(append(dst, ','), t.Parameters, size, ""); err != nil {
				return dst, t.wrong("%w", err)
			}
		}
		if !t.Binary {
			if dst, err = appendData(append(dst, `,"data":[`...), t); err != nil {
				return dst, err
			}
			dst = append(dst, ']')
		}
		dst = append(dst, '}')
	}
	return append(dst, ']'), nil
}

// appendParameters writes parameters, sorted by name, and behind them a text; size is binary_data_size, −1 for none.
func appendParameters(dst []byte, p Parameters, size int, behind string) ([]byte, error) {
	if len(p) == 0 && size < 0 {
		return dst, nil
	}
	dst = append(dst, `"parameters":{`...)
	first := true
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if name == "binary_data_size" {
			continue // of the message that it came in
		}
		text, err := json.Marshal(p[name])
		if err != nil {
			return dst, fmt.Errorf("parameter %q: %w: %v", name, data.ErrFormat, err)
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(append(appendString(dst, name), ':'), text...)
	}
	if size >= 0 {
		if !first {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `"binary_data_size":`...), int64(size), 10)
	}
	return append(append(dst, '}'), behind...), nil
}

// appendString writes a string of valid UTF-8 as JSON.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			text, _ := json.Marshal(s) // a string cannot fail
			return append(dst, text...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// appendData writes the elements as JSON, without the brackets.
func appendData(dst []byte, t *Tensor) ([]byte, error) {
	size := t.Datatype.Size()
	le := binary.LittleEndian
	if t.Datatype == FP16 || t.Datatype == BF16 {
		return dst, t.wrong("%w: %s has no form in JSON: ask for it in binary (parameter binary_data)", data.ErrFormat, t.Datatype)
	}
	for i, raw := 0, t.Raw; len(raw) > 0; i++ {
		if i > 0 {
			dst = append(dst, ',')
		}
		if t.Datatype == Bytes {
			n := le.Uint32(raw)
			if !utf8.Valid(raw[4 : 4+n]) {
				return dst, t.wrong("%w: element %d is no UTF-8: ask for it in binary (parameter binary_data)", data.ErrFormat, i)
			}
			dst, raw = appendString(dst, string(raw[4:4+n])), raw[4+n:]
			continue
		}
		switch t.Datatype {
		case Bool:
			dst = strconv.AppendBool(dst, raw[0] != 0)
		case FP32, FP64:
			bits, v := 64, 0.0
			if t.Datatype == FP32 {
				bits, v = 32, float64(math.Float32frombits(le.Uint32(raw)))
			} else {
				v = math.Float64frombits(le.Uint64(raw))
			}
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return dst, t.wrong("element %d: %v is %w, which JSON cannot hold", i, v, data.ErrFinite)
			}
			dst = strconv.AppendFloat(dst, v, 'g', -1, bits)
		case Int8:
			dst = strconv.AppendInt(dst, int64(int8(raw[0])), 10)
		case Int16:
			dst = strconv.AppendInt(dst, int64(int16(le.Uint16(raw))), 10)
		case Int32:
			dst = strconv.AppendInt(dst, int64(int32(le.Uint32(raw))), 10)
		case Int64:
			dst = strconv.AppendInt(dst, int64(le.Uint64(raw)), 10)
		case Uint8:
			dst = strconv.AppendUint(dst, uint64(raw[0]), 10)
		case Uint16:
			dst = strconv.AppendUint(dst, uint64(le.Uint16(raw)), 10)
		case Uint32:
			dst = strconv.AppendUint(dst, uint64(le.Uint32(raw)), 10)
		case Uint64:
			dst = strconv.AppendUint(dst, le.Uint64(raw), 10)
		}
		raw = raw[size:]
	}
	return dst, nil
}
