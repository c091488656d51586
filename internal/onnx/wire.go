package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
)

// field is one field of a protobuf message: its number and a value, by wire type a whole number or bytes.
type field struct {
	number int
	bits   uint64 // of a varint, or of 4 or 8 fixed bytes
	bytes  []byte // of what has a length
	wire   int
}

var errEarly = fmt.Errorf("ends inside a field: %w", data.ErrFormat)

// message calls f for every field. Errors: ErrFormat on what is no protobuf message, and those of f.
func message(b []byte, f func(field) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return errEarly
		}
		b = b[n:]
		v := field{number: int(key >> 3), wire: int(key & 7)}
		if v.number < 1 || key>>3 > math.MaxInt32 {
			return fmt.Errorf("has field number %d: %w", key>>3, data.ErrFormat)
		}
		switch v.wire {
		case 0:
			if v.bits, n = binary.Uvarint(b); n <= 0 {
				return errEarly
			}
		case 1:
			if n = 8; len(b) < n {
				return errEarly
			}
			v.bits = binary.LittleEndian.Uint64(b)
		case 2:
			size, m := binary.Uvarint(b)
			if m <= 0 || size > uint64(len(b)-m) {
				return errEarly
			}
			v.bytes, n = b[m:m+int(size)], m+int(size)
		case 5:
			if n = 4; len(b) < n {
				return errEarly
			}
			v.bits = uint64(binary.LittleEndian.Uint32(b))
		default:
			return fmt.Errorf("has wire type %d: %w", v.wire, data.ErrFormat)
		}
		b = b[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

// whole adds the numbers of a repeated field, which may come one by one or packed.
func (v field) whole(list []int64) ([]int64, error) {
	if v.wire != 2 {
		return append(list, int64(v.bits)), nil
	}
	for b := v.bytes; len(b) > 0; {
		x, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errEarly
		}
		list, b = append(list, int64(x)), b[n:]
	}
	return list, nil
}

// floats is whole for floats of 4 bytes.
func (v field) floats(list []float32) ([]float32, error) {
	if v.wire != 2 {
		return append(list, math.Float32frombits(uint32(v.bits))), nil
	}
	if len(v.bytes)%4 != 0 {
		return nil, errEarly
	}
	for b := v.bytes; len(b) > 0; b = b[4:] {
		list = append(list, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return list, nil
}
