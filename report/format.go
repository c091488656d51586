package report

import (
	"math"
	"strconv"
	"strings"
)

// Format says how the numbers of a column are printed. The zero value chooses by the column: whole numbers stay whole, others get the
// decimals that show four digits of the largest, less what would be zeros in every row; a number too small for that many decimals
// is written as a power of ten, never as zero.
type Format struct {
	kind     formatKind
	decimals int
	chosen   bool // by the column's values, not by the caller
}

type formatKind int

const (
	formatAutomatic formatKind = iota
	formatFixed
	formatPercent
	formatScientific
)

// maxDecimals is what float64 can honour.
const maxDecimals = 15

// Fixed prints with the given number of decimals, 0 to 15.
func Fixed(decimals int) Format {
	return Format{kind: formatFixed, decimals: clampInt(decimals, 0, maxDecimals)}
}

// Percent prints a fraction times 100 with the given number of decimals; the column's header says %.
func Percent(decimals int) Format {
	return Format{kind: formatPercent, decimals: clampInt(decimals, 0, maxDecimals)}
}

// Scientific prints one digit before the point, the given number after it, and a power of ten.
func Scientific(decimals int) Format {
	return Format{kind: formatScientific, decimals: clampInt(decimals, 0, maxDecimals)}
}

func clampInt(v, low, high int) int { return min(max(v, low), high) }

// resolve turns the automatic format into a definite one that suits all values.
func (f Format) resolve(values []float64) Format {
	if f.kind != formatAutomatic {
		return f
	}
	largest, whole := 0.0, true
	for _, v := range values {
		largest = max(largest, math.Abs(v))
		whole = whole && v == math.Trunc(v)
	}
	switch {
	case largest == 0:
		return Fixed(0)
	case whole && largest < 1e15:
		return Fixed(0)
	case largest >= 1e7 || largest < 1e-3:
		return Scientific(2)
	}
	f = Fixed(clampInt(3-int(math.Floor(math.Log10(largest))), 0, 5))
	f.chosen = true
	for f.decimals > 0 && f.endsInZeros(values) {
		f.decimals--
	}
	return f
}

// endsInZeros reports whether the last decimal is zero in every row that is not too small to show.
func (f Format) endsInZeros(values []float64) bool {
	for _, v := range values {
		if s := f.text(v); !strings.HasSuffix(s, "0") && !strings.Contains(s, "e") {
			return false
		}
	}
	return true
}

// text prints v in ASCII: "-12345.67", "1.23e-09".
func (f Format) text(v float64) string {
	switch f.kind {
	case formatFixed, formatPercent:
		if f.kind == formatPercent && math.Abs(v) <= math.MaxFloat64/100 {
			v *= 100
		}
		if math.Abs(v) >= 1e15 {
			return strconv.FormatFloat(v, 'e', max(f.decimals, 2), 64)
		}
		s := unsignedZero(strconv.FormatFloat(v, 'f', f.decimals, 64))
		if f.chosen && v != 0 && strings.Trim(s, "0.") == "" {
			return trimExponent(strconv.FormatFloat(v, 'e', 1, 64))
		}
		return s
	case formatScientific:
		return strconv.FormatFloat(v, 'e', f.decimals, 64)
	}
	return shortNumber(v)
}

// shortNumber prints v alone: whole numbers in full, others with four digits.
func shortNumber(v float64) string {
	size := math.Abs(v)
	switch {
	case v == math.Trunc(v) && size < 1e9:
		return unsignedZero(strconv.FormatFloat(v, 'f', 0, 64))
	case size >= 1e7 || size < 1e-4:
		return trimExponent(strconv.FormatFloat(v, 'e', 3, 64))
	}
	decimals := clampInt(3-int(math.Floor(math.Log10(size))), 0, 8)
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return unsignedZero(s)
}

// trimExponent drops the zeros before the e: "1.500e+20" becomes "1.5e+20".
func trimExponent(s string) string {
	mantissa, exponent, _ := strings.Cut(s, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	return mantissa + "e" + exponent
}

// unsignedZero takes the sign off what was rounded to zero.
func unsignedZero(s string) string {
	if strings.Trim(s, "-0.") == "" {
		return strings.TrimPrefix(s, "-")
	}
	return s
}

const (
	minusSign = "−"
	thinSpace = "\u202f" // narrow and unbreakable
)

// typeset turns an ASCII number into print: a true minus, groups of three digits from five on, powers of ten written out.
func typeset(s string) string {
	mantissa, exponent, scientific := strings.Cut(s, "e")
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = minusSign, mantissa[1:]
	}
	whole, fraction, pointed := strings.Cut(mantissa, ".")
	out := sign + groupDigits(whole)
	if pointed {
		out += "." + fraction
	}
	if scientific {
		power, _ := strconv.Atoi(exponent)
		out += "×10" + superscript(power)
	}
	return out
}

// groupDigits puts a thin space between groups of three digits when there are five or more.
func groupDigits(digits string) string {
	if len(digits) < 5 {
		return digits
	}
	var b strings.Builder
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(thinSpace)
		}
		b.WriteByte(digits[i])
	}
	return b.String()
}

// superscript writes a whole number as an exponent.
func superscript(n int) string {
	var b strings.Builder
	for _, r := range strconv.Itoa(n) {
		switch r {
		case '-':
			b.WriteRune('⁻')
		case '1':
			b.WriteRune('¹')
		case '2':
			b.WriteRune('²')
		case '3':
			b.WriteRune('³')
		default:
			b.WriteRune('⁰' + r - '0')
		}
	}
	return b.String()
}

// printNumber is the typeset form of a number that stands alone.
func printNumber(v float64) string { return typeset(shortNumber(v)) }
