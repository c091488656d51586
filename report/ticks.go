package report

import (
	"math"
	"strconv"
	"strings"
)

// tick is one place on an axis. Minor ticks have no label.
type tick struct {
	value float64
	label string
}

// ladder is a run of round numbers k·mantissa·10^exponent for k from first to last. Being integers, they carry no rounding and print exactly.
type ladder struct {
	first, last, mantissa int64
	exponent              int
}

// smallest relative width that an axis resolves; what is narrower is drawn as a constant.
const axisResolution = 1e-9

// newLadder returns the rungs that cover [low, high] in steps of 1, 2 or 5 times a power of ten, wanted intervals or fewer, but at least
// two fifths as many. whole forbids steps below one. It needs low < high with a width that widen has checked.
func newLadder(low, high float64, wanted int, whole bool) ladder {
	raw := high/float64(wanted) - low/float64(wanted) // divided first: the difference itself may overflow
	exponent := int(math.Floor(math.Log10(raw)))
	mantissa := int64(10)
	for _, m := range []int64{1, 2, 5} {
		if float64(m)*math.Pow10(exponent) >= raw*(1-1e-12) {
			mantissa = m
			break
		}
	}
	if mantissa == 10 {
		mantissa, exponent = 1, exponent+1
	}
	if whole && exponent < 0 {
		mantissa, exponent = 1, 0
	}
	l := ladder{mantissa: mantissa, exponent: exponent}
	step := float64(mantissa) * math.Pow10(exponent)
	l.first, l.last = int64(snap(low/step, math.Floor)), int64(snap(high/step, math.Ceil))
	return l
}

// snap rounds by the given rule, but takes what differs from a whole number by rounding only as that number.
func snap(q float64, rule func(float64) float64) float64 {
	if near := math.Round(q); math.Abs(q-near) <= 1e-12+1e-15*math.Abs(q) {
		return near
	}
	return rule(q)
}

// value is rung k.
func (l ladder) value(k int64) float64 {
	n := float64(k * l.mantissa)
	if l.exponent < 0 {
		return n / math.Pow10(-l.exponent)
	}
	return n * math.Pow10(l.exponent)
}

// ticks labels the rungs that lie in [low, high]. factor is the power of ten that was taken out of the labels and belongs beside the unit.
func (l ladder) ticks(low, high float64) (ticks []tick, factor int) {
	slack := float64(l.mantissa) * math.Pow10(l.exponent) * 1e-9
	var rungs []int64
	largest := 0.0
	for k := l.first; k <= l.last; k++ {
		v := l.value(k)
		if v >= low-slack && v <= high+slack {
			rungs = append(rungs, k)
			largest = max(largest, math.Abs(v))
		}
	}
	factor = l.factor(largest)
	for _, k := range rungs {
		ticks = append(ticks, tick{l.value(k), decimalText(k*l.mantissa, factor-l.exponent)})
	}
	return ticks, factor
}

// factor is a multiple of three that keeps very large and very small labels short, or zero.
func (l ladder) factor(largest float64) int {
	if largest == 0 {
		return 0
	}
	size := int(math.Floor(math.Log10(largest)))
	if size < 6 && size > -4 {
		return 0
	}
	factor := int(math.Floor(float64(size)/3)) * 3
	if factor-l.exponent > 3 && size < 15 && size > -7 {
		return 0 // a narrow range far from zero: its digits must be told anyway
	}
	return factor
}

// decimalText prints n·10^-decimals.
func decimalText(n int64, decimals int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	digits := strconv.FormatInt(n, 10)
	switch {
	case n == 0:
		sign = ""
		if decimals > 0 {
			digits = "0." + strings.Repeat("0", decimals)
		}
	case decimals < 0:
		digits += strings.Repeat("0", -decimals)
	case decimals > 0:
		if len(digits) <= decimals {
			digits = strings.Repeat("0", decimals-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-decimals] + "." + digits[len(digits)-decimals:]
	}
	return typeset(sign + digits)
}

// widen gives a range that has no width, or less than the axis resolves, one around its middle.
func widen(low, high float64, whole bool) (float64, float64) {
	size := max(math.Abs(low), math.Abs(high))
	if high/2-low/2 > size*axisResolution/2 && high-low > 1e-290 {
		return low, high
	}
	switch {
	case size < 1e-280:
		return -1, 1
	case whole && size < 1e9:
		return low - 1, high + 1
	}
	return low - size/10, high + size/10
}

// largestDecade keeps the ends of enormous axes within float64.
const largestDecade = 305

// logTicks labels a logarithmic axis over [low, high], 0 < low < high, and returns the range that the labels cover:
// powers of ten over wide ranges, steps of 1, 2, 5 over narrow ones, an ordinary ladder over very narrow ones.
func logTicks(low, high float64, wanted int) (ticks []tick, from, to float64) {
	first, last := int(snap(math.Log10(low), math.Floor)), int(snap(math.Log10(high), math.Ceil))
	if decades := math.Log10(high) - math.Log10(low); decades >= 2.5 {
		stride := decadeStride((last - first + wanted - 1) / wanted)
		first = int(math.Floor(float64(first)/float64(stride))) * stride
		for e := first; len(ticks) == 0 || e-stride < last; e += stride {
			within := clampInt(e, -largestDecade, largestDecade)
			ticks = append(ticks, tick{math.Pow10(within), powerText(1, within)})
		}
		return ticks, ticks[0].value, ticks[len(ticks)-1].value
	}
	for e := first; e <= last; e++ {
		for _, m := range []int64{1, 2, 5} {
			ticks = append(ticks, tick{float64(m) * math.Pow10(e), powerText(m, e)})
		}
	}
	for len(ticks) > 1 && ticks[1].value <= low*(1+1e-12) {
		ticks = ticks[1:]
	}
	for len(ticks) > 1 && ticks[len(ticks)-2].value >= high*(1-1e-12) {
		ticks = ticks[:len(ticks)-1]
	}
	if len(ticks) >= 3 {
		return ticks, ticks[0].value, ticks[len(ticks)-1].value
	}
	l := newLadder(low, high, wanted, false)
	// Here high < 2.5·low, so a step is below low and the first rung above zero.
	from, to = l.value(l.first), l.value(l.last)
	ticks = nil
	for k := l.first; k <= l.last; k++ {
		ticks = append(ticks, tick{l.value(k), printNumber(l.value(k))})
	}
	return ticks, from, to
}

// decadeStride is the least round number of decades that is at least n: 1, 2, 3, 5, 10, 20, …
func decadeStride(n int) int {
	for size := 1; ; size *= 10 {
		for _, m := range []int{1, 2, 3, 5} {
			if m*size >= n {
				return m * size
			}
		}
	}
}

// powerText prints m·10^e the short way: plain from 0.001 to 99 999, as a power beyond.
func powerText(m int64, e int) string {
	if e >= -3 && e <= 4 {
		return decimalText(m, -e)
	}
	if m == 1 {
		return "10" + superscript(e)
	}
	return strconv.FormatInt(m, 10) + "×10" + superscript(e)
}
