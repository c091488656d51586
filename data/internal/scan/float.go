// Package scan is what the text formats share: a fast exact reader of decimal numbers, a window over a stream, and
// parsing of row ranges on several cores.
package scan

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
)

// powers are 10^0 to 10^60, correctly rounded; the first 23 are exact.
var powers = func() (p [61]float64) {
	for i := range p {
		p[i], _ = strconv.ParseFloat("1e"+strconv.Itoa(i), 64)
	}
	return
}()

// Float32 reads a decimal number at the start of b and returns it with the number of bytes it took: 0 when there is none,
// or when it needs the slow path. The value is always the float32 nearest to the decimal, as of strconv.ParseFloat(s, 32).
//
// How: up to 19 digits make a whole number w, exact in 64 bits. w·10^e in float64 carries three roundings (w, the power, the
// product), so it lies within 3 units in the last place of the truth; digits beyond the 19th add less than one more. Rounding
// that to float32 can only go wrong when a boundary between two float32 lies within those few units: when the 29 bits that are
// dropped come near 1000…0. Such numbers, and those whose float32 would be subnormal or overflow, go the slow path.
func Float32(b []byte) (float32, int) {
	i, negative := 0, false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		i = 1
	}
	var w uint64
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		w = w*10 + uint64(b[i]-'0')
		i++
	}
	digits, exponent := i-start, 0
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i < len(b) && b[i]-'0' <= 9 {
			w = w*10 + uint64(b[i]-'0')
			i++
		}
		exponent = point - i
		digits += i - point
	}
	if digits == 0 {
		return 0, 0
	}
	if digits > 19 { // w may have overflowed: count again without leading zeros, and drop what is beyond 19 digits
		w, exponent = long(b[start:i])
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		e, n := power(b[i+1:])
		if n == 0 {
			return 0, 0
		}
		exponent += e
		i += 1 + n
	}
	f := float64(w)
	switch {
	case w == 0:
	case exponent == 0:
	case exponent < 0 && exponent >= -60:
		f /= powers[-exponent]
	case exponent > 0 && exponent <= 40:
		f *= powers[exponent]
	default:
		return 0, 0
	}
	const margin = 8
	dropped := math.Float64bits(f) & (1<<29 - 1)
	exact := exponent == 0 && w < 1<<53
	if dropped-(1<<28-margin) <= 2*margin && !exact {
		return 0, 0
	}
	if f > math.MaxFloat32 || (f < 0x1p-126 && w != 0) {
		return 0, 0
	}
	if negative {
		f = -f // also makes −0, as strconv does
	}
	return float32(f), i
}

// long returns the first 19 significant digits of a number with or without a point, and the power of ten that goes with them.
func long(b []byte) (w uint64, exponent int) {
	taken, fraction := 0, false
	for _, c := range b {
		if c == '.' {
			fraction = true
			continue
		}
		switch {
		case taken == 0 && c == '0':
		case taken < 19:
			w = w*10 + uint64(c-'0')
			taken++
		default:
			if !fraction {
				exponent++
			}
			continue
		}
		if fraction {
			exponent--
		}
	}
	return w, exponent
}

// power reads a signed exponent; anything beyond 9999 is as good as 9999.
func power(b []byte) (e, n int) {
	sign := 1
	if n < len(b) && (b[n] == '-' || b[n] == '+') {
		if b[n] == '-' {
			sign = -1
		}
		n++
	}
	start := n
	for n < len(b) && b[n]-'0' <= 9 {
		e = min(e*10+int(b[n]-'0'), 9999)
		n++
	}
	if n == start {
		return 0, 0
	}
	return sign * e, n
}

// Number is the slow path: a whole cell, spaces around it allowed.
// Errors: ErrFormat when it is no number, ErrFinite when it is NaN, infinite or beyond float32. They show the cell.
func Number(cell []byte) (float32, error) {
	s := string(trim(cell))
	v, err := strconv.ParseFloat(s, 32)
	switch {
	case s == "":
		return 0, fmt.Errorf("is empty: %w", data.ErrFormat)
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%s is beyond float32 (largest 3.4e38): %w", Quote(cell), data.ErrFinite)
	case err != nil:
		return 0, fmt.Errorf("%s is no number: %w", Quote(cell), data.ErrFormat)
	case math.IsNaN(v) || math.IsInf(v, 0):
		return 0, fmt.Errorf("%s is %w", Quote(cell), data.ErrFinite)
	}
	return float32(v), nil
}

// IsNumber reports whether a cell reads as a number, finite or not.
func IsNumber(cell []byte) bool {
	_, err := strconv.ParseFloat(string(trim(cell)), 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// Quote shows what a file holds in an error message, shortened.
func Quote(b []byte) string {
	if len(b) > 40 {
		return strconv.Quote(string(b[:36])) + "…"
	}
	return strconv.Quote(string(b))
}
