package data

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync/atomic"
	"weak"
)

// DType is the type of a tensor's elements, named as in safetensors.
type DType string

// The element types.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	I16  DType = "I16"
	I8   DType = "I8"
	U64  DType = "U64"
	U32  DType = "U32"
	U16  DType = "U16"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

var sizes = map[DType]int{F64: 8, F32: 4, F16: 2, BF16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U64: 8, U32: 4, U16: 2, U8: 1, Bool: 1}

// Size returns the bytes of one element, 0 for an unknown type.
func (d DType) Size() int { return sizes[d] }

// Float reports whether elements are floating-point numbers.
func (d DType) Float() bool { return d == F64 || d == F32 || d == F16 || d == BF16 }

// Tensor is a shape and its elements, little-endian, in memory or fetched when asked for.
type Tensor struct {
	DType DType
	Shape []int
	data  []byte
	load  func() ([]byte, error)
	fill  func(dst []byte, lo int) error
	last  *atomic.Pointer[weak.Pointer[[]byte]] // what load gave, while the garbage collector leaves it
}

// NewTensor makes a tensor over raw little-endian bytes, which it keeps.
// Errors: ErrFormat on an unknown type, ErrShape when the bytes do not fit the shape.
func NewTensor(dtype DType, shape []int, raw []byte) (Tensor, error) {
	n, err := byteLength(dtype, shape)
	if err != nil {
		return Tensor{}, err
	}
	if len(raw) != n {
		return Tensor{}, fmt.Errorf("tensor: %w: %d bytes for %s %v, want %d", ErrShape, len(raw), dtype, shape, n)
	}
	return Tensor{DType: dtype, Shape: shape, data: raw}, nil
}

// LazyTensor makes a tensor whose bytes are fetched or computed by load, each time they are asked for.
// This is how a checkpoint larger than memory passes through: the reader makes lazy tensors, a merge makes lazy tensors
// over them, and the writer asks for one at a time. load must be safe for concurrent use.
func LazyTensor(dtype DType, shape []int, load func() ([]byte, error)) (Tensor, error) {
	if _, err := byteLength(dtype, shape); err != nil {
		return Tensor{}, err
	}
	return Tensor{DType: dtype, Shape: shape, load: load, last: new(atomic.Pointer[weak.Pointer[[]byte]])}, nil
}

// StreamTensor makes a tensor any stretch of which can be fetched or computed by itself: fill writes to dst, a whole number of
// elements long, the elements from number lo on. Readers of files and arithmetic element by element make such tensors, so that not
// even one of them need be in memory as a whole. fill must be safe for concurrent use.
func StreamTensor(dtype DType, shape []int, fill func(dst []byte, lo int) error) (Tensor, error) {
	if _, err := byteLength(dtype, shape); err != nil {
		return Tensor{}, err
	}
	return Tensor{DType: dtype, Shape: shape, fill: fill}, nil
}

func byteLength(dtype DType, shape []int) (int, error) {
	n := dtype.Size()
	if n == 0 {
		return 0, fmt.Errorf("tensor: element type %q: %w", dtype, ErrFormat)
	}
	for _, s := range shape {
		if s < 0 || (s > 0 && n > math.MaxInt/s) {
			return 0, fmt.Errorf("tensor: %w: %v", ErrShape, shape)
		}
		n *= s
	}
	return n, nil
}

// Len returns the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, s := range t.Shape {
		n *= s
	}
	return n
}

// Bytes returns the elements, little-endian. The caller must not change them.
func (t Tensor) Bytes() ([]byte, error) {
	switch {
	case t.fill != nil:
		b := make([]byte, t.Len()*t.DType.Size())
		if err := t.fill(b, 0); err != nil {
			return nil, err
		}
		return b, nil
	case t.load == nil:
		return t.data, nil
	}
	b, err := t.load()
	if err != nil {
		return nil, err
	}
	if want := t.Len() * t.DType.Size(); len(b) != want {
		return nil, fmt.Errorf("tensor: %w: %d bytes for %s %v, want %d", ErrShape, len(b), t.DType, t.Shape, want)
	}
	return b, nil
}

// Float64s returns the elements as float64, converted from any type. 64-bit integers beyond 2^53 are rounded.
func (t Tensor) Float64s() ([]float64, error) {
	b, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	out := make([]float64, t.Len())
	t.DType.Widen(out, b)
	return out, nil
}

// Int64s returns the elements of an I64 or U64 tensor. Errors: ErrFormat for another type.
func (t Tensor) Int64s() ([]int64, error) {
	if t.DType != I64 && t.DType != U64 {
		return nil, fmt.Errorf("tensor: %w as 64-bit integers: it holds %s", ErrFormat, t.DType)
	}
	b, err := t.Bytes()
	if err != nil {
		return nil, err
	}
	out := make([]int64, t.Len())
	for i := range out {
		out[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return out, nil
}

// Float64Tensor stores v as F64. It panics when shape and v do not fit, which only our own code can cause.
func Float64Tensor(v []float64, shape ...int) Tensor { return CastTensor(F64, v, shape...) }

// Float32Tensor stores v as F32. It panics when shape and v do not fit.
func Float32Tensor(v []float32, shape ...int) Tensor {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return must(NewTensor(F32, shape, b))
}

// Int64Tensor stores v as I64. It panics when shape and v do not fit.
func Int64Tensor(v []int64, shape ...int) Tensor {
	b := make([]byte, 0, 8*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, uint64(x))
	}
	return must(NewTensor(I64, shape, b))
}

// CastTensor stores v as a floating-point type, rounded to nearest, halves to even. It panics when shape and v do not fit or dtype is no float.
func CastTensor(dtype DType, v []float64, shape ...int) Tensor {
	b := make([]byte, dtype.Size()*len(v))
	dtype.Narrow(b, v)
	return must(NewTensor(dtype, shape, b))
}

func must(t Tensor, err error) Tensor {
	if err != nil {
		panic(err)
	}
	return t
}

// Checkpoint is named tensors with text metadata: a network's weights, or a fitted model's state.
type Checkpoint struct {
	Meta    map[string]string
	Tensors map[string]Tensor
	// Origin is the file that it was read from, if any: for messages, and no part of what it holds.
	Origin string
}

// Kind says that a Checkpoint is a noun.
func (*Checkpoint) Kind() Kind { return KindCheckpoint }

// Aliases returns further names of tensors, each with the name under which the tensor is stored. In safetensors no two tensors may
// share bytes, so tied ones (an embedding and the output layer that is the same matrix) are stored once; PyTorch's save_model
// writes the names that it left out into the metadata, and that is what an alias is here: a metadata key that names no tensor, whose
// text names one.
func (c *Checkpoint) Aliases() map[string]string {
	found := map[string]string{}
	for key, text := range c.Meta {
		_, stored := c.Tensors[key]
		if _, ok := c.Tensors[text]; ok && !stored {
			found[key] = text
		}
	}
	return found
}

// Names returns the tensor names, sorted.
func (c *Checkpoint) Names() []string { return slices.Sorted(maps.Keys(c.Tensors)) }

// Floats returns the named tensor as float64 values, which must have exactly the wanted shape; −1 stands for any size.
// Errors: ErrFormat when it is missing, ErrShape with both shapes.
func (c *Checkpoint) Floats(name string, shape ...int) ([]float64, []int, error) {
	t, err := c.tensor(name, shape)
	if err != nil {
		return nil, nil, err
	}
	v, err := t.Float64s()
	if err != nil {
		return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return v, t.Shape, nil
}

// Ints is Floats for I64 and U64 tensors.
func (c *Checkpoint) Ints(name string, shape ...int) ([]int64, []int, error) {
	t, err := c.tensor(name, shape)
	if err != nil {
		return nil, nil, err
	}
	v, err := t.Int64s()
	if err != nil {
		return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return v, t.Shape, nil
}

func (c *Checkpoint) tensor(name string, shape []int) (Tensor, error) {
	t, ok := c.Tensors[name]
	if !ok {
		return t, fmt.Errorf("tensor %q is missing: %w", name, ErrFormat)
	}
	if !slices.EqualFunc(t.Shape, shape, func(have, want int) bool { return want == -1 || have == want }) {
		return t, fmt.Errorf("tensor %q: %w: %v, want %v", name, ErrShape, t.Shape, shape)
	}
	return t, nil
}

// Checkpoints are checkpoints of one architecture, in order.
type Checkpoints []*Checkpoint

// Kind says that Checkpoints is a noun.
func (Checkpoints) Kind() Kind { return KindCheckpoints }

// Resolved stores an alias as a tensor in its own right where another of the checkpoints stores one of that name: the two are tied in
// one and not in the other, so what is made of both cannot have them tied. Checkpoints are copied before they are changed.
func (list Checkpoints) Resolved() Checkpoints {
	stored := map[string]bool{}
	for _, c := range list {
		for name := range c.Tensors {
			stored[name] = true
		}
	}
	out := slices.Clone(list)
	for i, c := range list {
		for alias, name := range c.Aliases() {
			if !stored[alias] {
				continue
			}
			if out[i] == c {
				out[i] = &Checkpoint{Meta: maps.Clone(c.Meta), Tensors: maps.Clone(c.Tensors), Origin: c.Origin}
			}
			out[i].Tensors[alias] = c.Tensors[name]
			delete(out[i].Meta, alias)
		}
	}
	return out
}
