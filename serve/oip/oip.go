// Package oip speaks the Open Inference Protocol, version 2: the messages that KServe, Triton, MLServer and OpenVINO exchange with
// their clients, as JSON, with the extension for binary tensors, and in the wire form of its protobuf messages.
//
// A tensor holds its elements as the protocol's binary form has them, row-major and little-endian, however it came in. What was
// decoded may share memory with the body that it came from: the body must stay unchanged as long as the message is used. A
// message may be decoded into again, and then reuses what it allocated.
package oip

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// LengthHeader is the HTTP header with the number of bytes of JSON in a body that also holds binary tensors.
const LengthHeader = "Inference-Header-Content-Length"

// Extensions are the names of the protocol's extensions that this package speaks.
var Extensions = []string{"binary_tensor_data"}

// Datatype is the type of a tensor's elements, as the protocol names it.
type Datatype string

// The element types. FP16 and BF16 have no JSON form.
const (
	Bool   Datatype = "BOOL"
	Uint8  Datatype = "UINT8"
	Uint16 Datatype = "UINT16"
	Uint32 Datatype = "UINT32"
	Uint64 Datatype = "UINT64"
	Int8   Datatype = "INT8"
	Int16  Datatype = "INT16"
	Int32  Datatype = "INT32"
	Int64  Datatype = "INT64"
	FP16   Datatype = "FP16"
	BF16   Datatype = "BF16"
	FP32   Datatype = "FP32"
	FP64   Datatype = "FP64"
	Bytes  Datatype = "BYTES"
)

// dtypes are the types of package data, by the protocol's name; Bytes has none.
var dtypes = map[Datatype]data.DType{
	Bool: data.Bool, Uint8: data.U8, Uint16: data.U16, Uint32: data.U32, Uint64: data.U64, Int8: data.I8, Int16: data.I16, Int32: data.I32,
	Int64: data.I64, FP16: data.F16, BF16: data.BF16, FP32: data.F32, FP64: data.F64,
}

// Size returns the bytes of one element, 0 for Bytes, whose elements differ, and for an unknown type.
func (d Datatype) Size() int {
	switch d { // no map: it is asked for at every request
	case Bool, Uint8, Int8:
		return 1
	case Uint16, Int16, FP16, BF16:
		return 2
	case Uint32, Int32, FP32:
		return 4
	case Uint64, Int64, FP64:
		return 8
	}
	return 0
}

// known reports whether d is a type of the protocol.
func (d Datatype) known() bool { return d == Bytes || d.Size() > 0 }

// Parameters are named values beside a message or a tensor: bool, int64, uint64, float64 or string.
type Parameters map[string]any

// Bool returns the named parameter, false when there is none or it is no bool.
func (p Parameters) Bool(name string) bool {
	v, _ := p[name].(bool)
	return v
}

// Tensor is a named array.
type Tensor struct {
	Name       string
	Datatype   Datatype
	Shape      []int64
	Parameters Parameters
	// Raw holds the elements, row-major and little-endian; of Bytes, each behind its length in four bytes.
	Raw []byte
	// Binary says that the tensor came, or is to go, in binary form where a message can hold both.
	Binary bool

	own []byte // memory of an earlier decoding
}

// Request asks a model for an inference.
type Request struct {
	Model, Version string // empty in JSON, where the path names them
	ID             string
	Parameters     Parameters
	Inputs         []Tensor
	Outputs        []Output // those wanted; none means all
}

// Output names an output that a request wants.
type Output struct {
	Name       string
	Parameters Parameters
}

// Response is a model's answer.
type Response struct {
	Model, Version string
	ID             string
	Parameters     Parameters
	Outputs        []Tensor
}

// Input returns the named input, nil when there is none.
func (r *Request) Input(name string) *Tensor { return find(r.Inputs, name) }

// Output returns the named output, nil when there is none.
func (r *Response) Output(name string) *Tensor { return find(r.Outputs, name) }

func find(list []Tensor, name string) *Tensor {
	i := slices.IndexFunc(list, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// Wants reports whether the request asks for an output, and whether in binary form.
func (r *Request) Wants(name string) (wanted, binary bool) {
	binary = r.Parameters.Bool("binary_data_output")
	if len(r.Outputs) == 0 {
		return true, binary
	}
	for _, o := range r.Outputs {
		if o.Name == name {
			if v, ok := o.Parameters["binary_data"].(bool); ok {
				binary = v
			}
			return true, binary
		}
	}
	return false, false
}

// Len returns the number of elements. Errors: ErrShape for a negative size and for more than memory can hold.
func (t *Tensor) Len() (int, error) {
	n := int64(1)
	for _, s := range t.Shape {
		if s < 0 || s > 0 && n > math.MaxInt32*64/s {
			return 0, t.wrong("shape %v: %w", t.Shape, data.ErrShape)
		}
		n *= s
	}
	return int(n), nil
}

func (t *Tensor) wrong(format string, a ...any) error {
	return fmt.Errorf("tensor %q: "+format, append([]any{t.Name}, a...)...)
}

// Check reports what is wrong with a tensor: an unknown type, a shape that does not fit the elements.
// Errors: ErrFormat, ErrShape with both sizes.
func (t *Tensor) Check() error {
	n, err := t.Len()
	if err != nil {
		return err
	}
	if !t.Datatype.known() {
		return t.wrong("%w: unknown datatype %q", data.ErrFormat, t.Datatype)
	}
	if t.Datatype == Bytes {
		have := 0
		for raw := t.Raw; len(raw) > 0; have++ {
			if raw, err = t.skipElement(raw, have); err != nil {
				return err
			}
		}
		if have != n {
			return t.wrong("%w: %d elements for shape %v, want %d", data.ErrShape, have, t.Shape, n)
		}
		return nil
	}
	if want := n * t.Datatype.Size(); len(t.Raw) != want {
		return t.wrong("%w: %d bytes for %s %v, want %d", data.ErrShape, len(t.Raw), t.Datatype, t.Shape, want)
	}
	if t.Datatype == Bool {
		if i := slices.IndexFunc(t.Raw, func(b byte) bool { return b > 1 }); i >= 0 {
			return t.wrong("%w: element %d is %d, a BOOL is 0 or 1", data.ErrFormat, i, t.Raw[i])
		}
	}
	return nil
}

func (t *Tensor) skipElement(raw []byte, i int) ([]byte, error) {
	if len(raw) < 4 {
		return nil, t.wrong("%w: element %d ends within its length", data.ErrFormat, i)
	}
	n := uint64(binary.LittleEndian.Uint32(raw))
	if n > uint64(len(raw)-4) {
		return nil, t.wrong("%w: element %d has %d bytes, %d are left", data.ErrFormat, i, n, len(raw)-4)
	}
	return raw[4+n:], nil
}

// Float32s appends the elements as float32 to dst, rounded where they are finer. Errors: ErrFormat for Bytes; those of Check.
func (t *Tensor) Float32s(dst []float32) ([]float32, error) {
	if err := t.Check(); err != nil {
		return dst, err
	}
	if t.Datatype == FP32 {
		from := len(dst)
		dst = slices.Grow(dst, len(t.Raw)/4)[:from+len(t.Raw)/4]
		for i := range dst[from:] {
			dst[from+i] = math.Float32frombits(binary.LittleEndian.Uint32(t.Raw[4*i:]))
		}
		return dst, nil
	}
	v, err := t.Float64s()
	for _, x := range v {
		dst = append(dst, float32(x))
	}
	return dst, err
}

// Float64s returns the elements as float64; 64-bit integers beyond 2^53 are rounded. Errors: ErrFormat for Bytes; those of Check.
func (t *Tensor) Float64s() ([]float64, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if t.Datatype == Bytes {
		return nil, t.wrong("%w as numbers: it holds BYTES", data.ErrFormat)
	}
	shape := make([]int, len(t.Shape))
	for i, s := range t.Shape {
		shape[i] = int(s)
	}
	plain, err := data.NewTensor(dtypes[t.Datatype], shape, t.Raw)
	if err != nil {
		return nil, t.wrong("%w", err)
	}
	return plain.Float64s()
}

// Strings returns the elements of a Bytes tensor. Errors: ErrFormat for another type; those of Check.
func (t *Tensor) Strings() ([]string, error) {
	if t.Datatype != Bytes {
		return nil, t.wrong("%w as text: it holds %s", data.ErrFormat, t.Datatype)
	}
	if err := t.Check(); err != nil {
		return nil, err
	}
	out := []string{}
	for raw := t.Raw; len(raw) > 0; {
		n := binary.LittleEndian.Uint32(raw)
		out = append(out, string(raw[4:4+n]))
		raw = raw[4+n:]
	}
	return out, nil
}

// Tensors of Go values.

// NewFloat32s makes an FP32 tensor.
func NewFloat32s(name string, v []float32, shape ...int64) Tensor {
	t := Tensor{Name: name, Datatype: FP32, Shape: shape, Raw: make([]byte, 0, 4*len(v))}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint32(t.Raw, math.Float32bits(x))
	}
	return t
}

// NewFloat64s makes an FP64 tensor.
func NewFloat64s(name string, v []float64, shape ...int64) Tensor {
	t := Tensor{Name: name, Datatype: FP64, Shape: shape, Raw: make([]byte, 0, 8*len(v))}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint64(t.Raw, math.Float64bits(x))
	}
	return t
}

// NewInt64s makes an INT64 tensor.
func NewInt64s(name string, v []int64, shape ...int64) Tensor {
	t := Tensor{Name: name, Datatype: Int64, Shape: shape, Raw: make([]byte, 0, 8*len(v))}
	for _, x := range v {
		t.Raw = binary.LittleEndian.AppendUint64(t.Raw, uint64(x))
	}
	return t
}

// NewBools makes a BOOL tensor.
func NewBools(name string, v []bool, shape ...int64) Tensor {
	t := Tensor{Name: name, Datatype: Bool, Shape: shape, Raw: make([]byte, len(v))}
	for i, x := range v {
		if x {
			t.Raw[i] = 1
		}
	}
	return t
}

// NewStrings makes a BYTES tensor.
func NewStrings(name string, v []string, shape ...int64) Tensor {
	t := Tensor{Name: name, Datatype: Bytes, Shape: shape}
	for _, s := range v {
		t.Raw = appendElement(t.Raw, s)
	}
	return t
}

func appendElement[S string | []byte](raw []byte, s S) []byte {
	raw = binary.LittleEndian.AppendUint32(raw, uint32(len(s)))
	return append(raw, s...)
}
