// Package scan is what the text formats share: a fast exact reader of decimal numbers, a window over a stream, and
// parsing of row ranges on several cores.
package scan

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
)

// powers are 10^-60 to 10^40, correctly rounded; tens are exact.
var powers = func() (p [101]float64) {
	for i := range p {
		p[i], _ = strconv.ParseFloat("1e"+strconv.Itoa(i-60), 64)
	}
	return
}()

var tens = [9]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// Float32 reads a decimal number at the start of b and returns it with the number of bytes it took: 0 when there is none,
// or when it needs the slow path (which "5." does, too). b may go on behind the number: that makes reading it faster.
// The value is always the float32 nearest to the decimal, as of strconv.ParseFloat(s, 32).
//
// How: up to 19 digits make a whole number w, exact in 64 bits. w·10^e in float64 carries three roundings (w, the power, the
// product), so it lies within 3 units in the last place of the truth; digits beyond the 19th add less than one more. Rounding
// that to float32 can only go wrong when a boundary between two float32 lies within those few units: when the 29 bits that are
// dropped come near 1000…0. Such numbers, and those whose float32 would be subnormal or overflow, go the slow path.
func Float32(b []byte) (float32, int) {
	i, negative := 0, 0
	if len(b) > 0 {
		if b[0] == '-' { // without a jump: signs are too random to be guessed
			negative = 1
		}
		i = negative
		if b[0] == '+' {
			i = 1
		}
	}
	const room = 41 // a sign, up to 8 bytes before the point, the point, and 24 behind it read at a time
	if len(b) < room {
		return careful(b, i, negative)
	}
	var w uint64
	var digits int
	if b[i]-'0' <= 9 && b[i+1] == '.' { // one digit before the point, as most numbers in the sciences have
		w, digits = uint64(b[i]-'0'), 1
	} else if w, digits = eight(binary.LittleEndian.Uint64(b[i:])); digits == 8 || digits == 0 && b[i] != '.' {
		return careful(b, i, negative)
	}
	next, exponent := i+digits, 0
	if b[next] == '.' {
		// Sixteen digits at once. Whether the second eight count depends on the first, by a mask: a branch would be mistaken too often.
		v, n := eight(binary.LittleEndian.Uint64(b[next+1:]))
		u, m := eight(binary.LittleEndian.Uint64(b[next+9:]))
		full := -(n >> 3)
		u, m = u&uint64(full), m&full
		w = (w*tens[n]+v)*tens[m] + u
		exponent = -n - m
		if m == 8 {
			v, n = eight(binary.LittleEndian.Uint64(b[next+17:]))
			w = w*tens[n] + v
			exponent -= n
		}
		next += 1 - exponent
		if exponent == 0 || digits-exponent > 18 {
			return careful(b, i, negative)
		}
	}
	if b[next]|0x20 == 'e' {
		return careful(b, i, negative)
	}
	f := float64(int64(w)) * powers[exponent+60]
	dropped := math.Float64bits(f) & (1<<29 - 1)
	if dropped-(1<<28-margin) <= 2*margin && exponent != 0 { // w alone has at most 7 digits and is exact
		return 0, 0
	}
	if f < 0x1p-126 && w != 0 { // and it is never too large
		return 0, 0
	}
	return math.Float32frombits(math.Float32bits(float32(f)) | uint32(negative)<<31), next // makes −0 too, as strconv does
}

// margin is the units in the last place of a float64 that count as near.
const margin = 8

// careful is Float32 a byte at a time, for the end of the input, exponents and more than 18 digits. The number goes on at b[start].
func careful(b []byte, start, negative int) (float32, int) {
	w, digits, exponent, i := mantissa(b, start)
	if digits == 0 {
		return 0, 0
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		e, n := power(b[i+1:])
		if n == 0 {
			return 0, 0
		}
		exponent += e
		i += 1 + n
	}
	if w == 0 {
		exponent = 0
	}
	if w>>63 != 0 || exponent < -60 || exponent > 40 {
		return 0, 0
	}
	f := float64(int64(w)) * powers[exponent+60]
	dropped := math.Float64bits(f) & (1<<29 - 1)
	exact := exponent == 0 && w < 1<<53
	if dropped-(1<<28-margin) <= 2*margin && !exact {
		return 0, 0
	}
	if f > math.MaxFloat32 || (f < 0x1p-126 && w != 0) {
		return 0, 0
	}
	return math.Float32frombits(math.Float32bits(float32(f)) | uint32(negative)<<31), i
}

// eight reads the digits at the start of eight bytes, the first byte lowest: their value and how many there are. All at once: the
// bytes are made digits; the first that is none is found; what follows it is shifted out, zeros in front; then neighbours are
// joined to pairs, pairs to fours, fours to eight.
func eight(bytes uint64) (v uint64, n int) {
	t := bytes ^ 0x3030303030303030
	n = bits.TrailingZeros64((t+0x7676767676767676|t)&0x8080808080808080) >> 3 // beyond 9, plus 0x76, sets a byte's highest bit
	t <<= uint(64 - 8*n)
	t = t*10 + t>>8 // the even bytes hold pairs, 0 to 99
	t = (t&0x00ff00ff00ff00ff)*100 + t>>16&0x00ff00ff00ff00ff
	t = (t&0x0000ffff0000ffff)*10000 + t>>32&0x0000ffff0000ffff
	return t & 0xffffffff, n
}

// mantissa reads the digits and the point from b[start] on: the number is w·10^exponent, what follows begins at b[i].
func mantissa(b []byte, start int) (w uint64, digits, exponent, i int) {
	for i = start; i < len(b) && b[i]-'0' <= 9; i++ {
		w = w*10 + uint64(b[i]-'0')
	}
	digits = i - start
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for ; i < len(b) && b[i]-'0' <= 9; i++ {
			w = w*10 + uint64(b[i]-'0')
		}
		if i == point {
			return 0, 0, 0, 0
		}
		exponent = point - i
		digits += i - point
	}
	if digits > 19 { // w may have overflowed: count again without leading zeros, and drop what is beyond 19 digits
		w, exponent = long(b[start:i])
	}
	return w, digits, exponent, i
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

// IsLowest reports whether a cell reads as minus infinity.
func IsLowest(cell []byte) bool {
	v, err := strconv.ParseFloat(string(trim(cell)), 64)
	return err == nil && math.IsInf(v, -1)
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
