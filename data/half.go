package data

import "math"

// halfToFloat widens an IEEE 754 binary16 number, exactly.
func halfToFloat(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&1023
	switch exponent {
	case 0: // zero or subnormal: fraction·2^-24
		v := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}

// roundHalf rounds to binary16, halves to even, straight from float64: going through float32 would round twice.
func roundHalf(x float64) uint16 {
	sign := uint16(math.Float64bits(x) >> 48 & 0x8000)
	a := math.Abs(x)
	switch {
	case math.IsNaN(x):
		return sign | 0x7e00
	case a >= 65520: // half-way between the largest number and the next power
		return sign | 0x7c00
	case a < 0x1p-14: // subnormal: a multiple of 2^-24; 1024 of them carry into the smallest normal number by themselves
		return sign | uint16(math.RoundToEven(a*0x1p24))
	}
	// The exponent's bias falls from 1023 to 15 and the fraction from 52 bits to 10; a carry runs into the exponent by itself.
	return sign | uint16(roundedShift(math.Float64bits(a)-1008<<52, 42))
}

// roundBrain rounds to bfloat16, halves to even, straight from float64.
func roundBrain(x float64) uint16 {
	sign := uint16(math.Float64bits(x) >> 48 & 0x8000)
	a := math.Abs(x)
	switch {
	case math.IsNaN(x):
		return sign | 0x7fc0
	case a >= 0x1.ffp127: // half-way between the largest number and the next power
		return sign | 0x7f80
	case a < 0x1p-126:
		return sign | uint16(math.RoundToEven(a*0x1p133))
	}
	return sign | uint16(roundedShift(math.Float64bits(a)-896<<52, 45)) // bias 1023 to 127, fraction 52 bits to 7
}

// roundedShift returns b/2^n rounded to nearest, halves to even.
func roundedShift(b uint64, n int) uint64 { return (b + (1<<(n-1) - 1) + b>>n&1) >> n }
