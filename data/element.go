package data

import (
	"encoding/binary"
	"math"
)

// Widen converts little-endian elements to float64, as many as dst holds. 64-bit integers beyond 2^53 are rounded.
func (d DType) Widen(dst []float64, b []byte) {
	le := binary.LittleEndian
	switch d {
	case F64:
		for i := range dst {
			dst[i] = math.Float64frombits(le.Uint64(b[8*i:]))
		}
	case F32:
		for len(dst) >= 4 && len(b) >= 16 { // constant places need no checks of bounds
			d, c := dst[:4:4], b[:16:16]
			d[0] = float64(math.Float32frombits(le.Uint32(c[0:])))
			d[1] = float64(math.Float32frombits(le.Uint32(c[4:])))
			d[2] = float64(math.Float32frombits(le.Uint32(c[8:])))
			d[3] = float64(math.Float32frombits(le.Uint32(c[12:])))
			dst, b = dst[4:], b[16:]
		}
		for i := range dst {
			dst[i] = float64(math.Float32frombits(le.Uint32(b[4*i:])))
		}
	case F16:
		for i := range dst {
			dst[i] = float64(halfToFloat(le.Uint16(b[2*i:])))
		}
	case BF16:
		for len(dst) >= 4 && len(b) >= 8 {
			d, c := dst[:4:4], b[:8:8]
			d[0] = float64(math.Float32frombits(uint32(le.Uint16(c[0:])) << 16))
			d[1] = float64(math.Float32frombits(uint32(le.Uint16(c[2:])) << 16))
			d[2] = float64(math.Float32frombits(uint32(le.Uint16(c[4:])) << 16))
			d[3] = float64(math.Float32frombits(uint32(le.Uint16(c[6:])) << 16))
			dst, b = dst[4:], b[8:]
		}
		for i := range dst {
			dst[i] = float64(math.Float32frombits(uint32(le.Uint16(b[2*i:])) << 16))
		}
	case I64:
		for i := range dst {
			dst[i] = float64(int64(le.Uint64(b[8*i:])))
		}
	case I32:
		for i := range dst {
			dst[i] = float64(int32(le.Uint32(b[4*i:])))
		}
	case I16:
		for i := range dst {
			dst[i] = float64(int16(le.Uint16(b[2*i:])))
		}
	case I8:
		for i := range dst {
			dst[i] = float64(int8(b[i]))
		}
	case U64:
		for i := range dst {
			dst[i] = float64(le.Uint64(b[8*i:]))
		}
	case U32:
		for i := range dst {
			dst[i] = float64(le.Uint32(b[4*i:]))
		}
	case U16:
		for i := range dst {
			dst[i] = float64(le.Uint16(b[2*i:]))
		}
	case U8, Bool:
		for i := range dst {
			dst[i] = float64(b[i])
		}
	}
}

// Narrow rounds values to a floating-point type, to nearest, halves to even, and writes them little-endian to dst. It panics for
// other types, which only our own code can cause.
func (d DType) Narrow(dst []byte, v []float64) {
	le := binary.LittleEndian
	switch d {
	case F64:
		for i, x := range v {
			le.PutUint64(dst[8*i:], math.Float64bits(x))
		}
	case F32:
		for len(v) >= 4 && len(dst) >= 16 {
			c, w := dst[:16:16], v[:4:4]
			le.PutUint32(c[0:], math.Float32bits(float32(w[0])))
			le.PutUint32(c[4:], math.Float32bits(float32(w[1])))
			le.PutUint32(c[8:], math.Float32bits(float32(w[2])))
			le.PutUint32(c[12:], math.Float32bits(float32(w[3])))
			dst, v = dst[16:], v[4:]
		}
		for i, x := range v {
			le.PutUint32(dst[4*i:], math.Float32bits(float32(x)))
		}
	case F16:
		for i, x := range v {
			le.PutUint16(dst[2*i:], roundHalf(x))
		}
	case BF16:
		for i, x := range v {
			le.PutUint16(dst[2*i:], roundBrain(x))
		}
	default:
		panic("data: rounding to " + string(d))
	}
}
