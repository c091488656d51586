// Package raw is what the binary formats share: elements of every number type and byte order, read as float32 or as text.
package raw

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
	"unsafe"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Class is what an element is.
type Class byte

// The classes.
const (
	Float   Class = 'f' // IEEE 754, 2, 4 or 8 bytes
	Brain   Class = 'V' // bfloat16, 2 bytes
	Int     Class = 'i' // two's complement, 1, 2, 4 or 8 bytes
	Uint    Class = 'u'
	Bool    Class = 'b' // one byte, 0 or 1
	Unicode Class = 'U' // Size/4 code points, zero-padded
	Bytes   Class = 'S' // Size bytes, zero-padded
)

// Element is the type of the elements of an array.
type Element struct {
	Class Class
	Size  int // bytes
	Big   bool
}

// Numeric reports whether elements are numbers.
func (e Element) Numeric() bool { return e.Class != Unicode && e.Class != Bytes }

// Type returns the tensor type of e; false for text.
func (e Element) Type() (data.DType, bool) {
	name := map[Class]string{Float: "F", Brain: "BF", Int: "I", Uint: "U"}[e.Class] + strconv.Itoa(8*e.Size)
	if e.Class == Bool {
		name = "BOOL"
	}
	d := data.DType(name)
	return d, e.Numeric() && e.Size > 0 && d.Size() == e.Size
}

// Of returns the element of a little-endian tensor; false for a type that is not known.
func Of(d data.DType) (Element, bool) {
	for _, class := range []Class{Float, Brain, Int, Uint, Bool} {
		e := Element{Class: class, Size: d.Size()}
		if have, ok := e.Type(); ok && have == d {
			return e, true
		}
	}
	return Element{}, false
}

// halves are the values of all 2^16 half-precision and brain-float numbers, from the one place that knows the formats.
var halves = sync.OnceValue(func() (tables [2][]float32) {
	b := make([]byte, 0, 2<<16)
	for h := range 1 << 16 {
		b = binary.LittleEndian.AppendUint16(b, uint16(h))
	}
	for i, d := range []data.DType{data.F16, data.BF16} {
		t, err := data.NewTensor(d, []int{1 << 16}, b)
		if err != nil {
			panic(err)
		}
		v, err := t.Float64s()
		if err != nil {
			panic(err)
		}
		for _, x := range v {
			tables[i] = append(tables[i], float32(x))
		}
	}
	return tables
})

// Half returns the value of an IEEE 754 binary16 number.
func Half(bits uint16) float32 { return halves()[0][bits] }

// littleEndian tells whether this machine's numbers lie in memory as a little-endian file's do.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Float32s reads len(dst) elements from src and reports whether all are finite, which costs nothing here and much in a second
// look. 64-bit numbers are rounded; beyond float32 they become infinite.
func (e Element) Float32s(dst []float32, src []byte) (finite bool) {
	src = src[:len(dst)*e.Size]
	var order binary.ByteOrder = binary.LittleEndian
	if e.Big {
		order = binary.BigEndian
	}
	// Adding one to an exponent of all ones carries into the sign's place; the sign itself is masked out.
	const exponent, one = 0x7f800000, 0x00800000
	var carry uint32
	switch {
	case e.Class == Float && e.Size == 4 && !e.Big && littleEndian: // the common case: what lies there already
		copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), len(src)), src)
		return num.Finite(dst) < 0
	case e.Class == Float && e.Size == 4 && !e.Big:
		for i := range dst {
			u := binary.LittleEndian.Uint32(src[4*i : 4*i+4])
			dst[i] = math.Float32frombits(u)
			carry |= u&exponent + one
		}
	case e.Class == Float && e.Size == 4:
		for i := range dst {
			u := binary.BigEndian.Uint32(src[4*i : 4*i+4])
			dst[i] = math.Float32frombits(u)
			carry |= u&exponent + one
		}
	case e.Class == Float && e.Size == 8 && !e.Big:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i : 8*i+8])))
			carry |= math.Float32bits(dst[i])&exponent + one
		}
	case e.Size == 2 && (e.Class == Float || e.Class == Brain):
		table := halves()[0]
		if e.Class == Brain {
			table = halves()[1]
		}
		for i := range dst {
			dst[i] = table[order.Uint16(src[2*i:])]
			carry |= math.Float32bits(dst[i])&exponent + one
		}
	case e.Size == 1 && e.Class != Int:
		for i, c := range src {
			dst[i] = float32(c)
		}
	default:
		for i := range dst {
			dst[i] = float32(e.Number(src[i*e.Size:]))
			carry |= math.Float32bits(dst[i])&exponent + one
		}
	}
	return carry>>31 == 0
}

// Number reads the element at the start of b. 64-bit integers beyond 2^53 are rounded.
func (e Element) Number(b []byte) float64 {
	var order binary.ByteOrder = binary.LittleEndian
	if e.Big {
		order = binary.BigEndian
	}
	switch e.Class {
	case Float:
		switch e.Size {
		case 2:
			return float64(halves()[0][order.Uint16(b)])
		case 4:
			return float64(math.Float32frombits(order.Uint32(b)))
		}
		return math.Float64frombits(order.Uint64(b))
	case Brain:
		return float64(halves()[1][order.Uint16(b)])
	case Int:
		return float64(int64(e.bits(order, b)) << (64 - 8*e.Size) >> (64 - 8*e.Size))
	}
	return float64(e.bits(order, b))
}

func (e Element) bits(order binary.ByteOrder, b []byte) uint64 {
	switch e.Size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(order.Uint16(b))
	case 4:
		return uint64(order.Uint32(b))
	}
	return order.Uint64(b)
}

// Text reads the element at the start of b as a name: whole numbers without decimals, booleans as true and false, NaN as "".
// Errors: ErrFormat on a code point that does not exist.
func (e Element) Text(b []byte) (string, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if e.Big {
		order = binary.BigEndian
	}
	switch e.Class {
	case Unicode:
		var s strings.Builder
		for i := 0; i < e.Size; i += 4 {
			r := order.Uint32(b[i:])
			if r > utf8.MaxRune || !utf8.ValidRune(rune(r)) {
				return "", fmt.Errorf("no code point %#x: %w", r, data.ErrFormat)
			}
			s.WriteRune(rune(r))
		}
		return strings.TrimRight(s.String(), "\x00"), nil
	case Bytes:
		return strings.TrimRight(string(b[:e.Size]), "\x00"), nil
	case Int:
		return strconv.FormatInt(int64(e.bits(order, b))<<(64-8*e.Size)>>(64-8*e.Size), 10), nil
	case Uint:
		return strconv.FormatUint(e.bits(order, b), 10), nil
	case Bool:
		return strconv.FormatBool(b[0] != 0), nil
	}
	v := e.Number(b)
	if math.IsNaN(v) {
		return "", nil
	}
	return rows.Name(v, max(8*e.Size, 32)), nil
}

// Little returns src with the bytes of each element in little-endian order, in place.
func (e Element) Little(src []byte) []byte {
	if !e.Big || e.Size == 1 {
		return src
	}
	for at := 0; at+e.Size <= len(src); at += e.Size {
		for i, j := at, at+e.Size-1; i < j; i, j = i+1, j-1 {
			src[i], src[j] = src[j], src[i]
		}
	}
	return src
}
