package weights

import (
	"math"
	"math/big"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// mean writes the mean of src to dst, and gives the same bits in whatever order the sources come, for sums are exact:
// most of them as they are, for neighbouring float32 values leave room in float64; the others in two or more parts.
func mean(dst []float64, src [][]float64) {
	m := float64(len(src))
	if len(src) == 4 { // the usual soup of few: the same steps without memory in between
		a, b, c, d := src[0][:len(dst)], src[1][:len(dst)], src[2][:len(dst)], src[3][:len(dst)]
		for i := range dst {
			two, e := twoSum(a[i], b[i])
			three, f := twoSum(two, c[i])
			four, g := twoSum(three, d[i])
			if e == 0 && f == 0 && g == 0 {
				dst[i] = four / 4
			} else {
				dst[i] = meanInParts(src, i)
			}
		}
		return
	}
	lost := make([]float64, len(dst))
	copy(dst, src[0])
	for _, s := range src[1:] {
		for i, x := range s {
			sum, e := twoSum(dst[i], x)
			dst[i] = sum
			lost[i] += math.Abs(e)
		}
	}
	for i, sum := range dst {
		if lost[i] == 0 {
			dst[i] = sum / m
		} else { // or NaN, after an overflow
			dst[i] = meanInParts(src, i)
		}
	}
}

// evenly is the plan of a plain mean.
func evenly(t *strand) (kernel, error) {
	if t.dtype == data.F32 && !slices.ContainsFunc(t.from, func(s data.Tensor) bool { return s.DType != data.F32 }) {
		t.direct = num.ExactMean
	}
	return func(dst []float64, src [][]float64, _ int) { mean(dst, src) }, nil
}

// meanInParts returns the mean of element i over all sources from the exact sum's nearest float64 and the nearest one to
// the rest. A second chain sums the first one's errors; where it errs as well, big numbers take over.
func meanInParts(src [][]float64, i int) float64 {
	m := float64(len(src))
	sum, errors, lost := src[0][i], 0.0, 0.0
	for _, s := range src[1:] {
		var e, e2 float64
		sum, e = twoSum(sum, s[i])
		errors, e2 = twoSum(errors, e)
		lost += math.Abs(e2)
	}
	high, low := twoSum(sum, errors)
	if lost != 0 {
		exact := exactFloat(0)
		for _, s := range src {
			exact.Add(exact, exactFloat(s[i]))
		}
		if high, _ = exact.Float64(); math.IsInf(high, 0) { // no mean is
			v, _ := exact.Quo(exact, exactFloat(m)).Float64()
			return v
		}
		low, _ = exact.Sub(exact, exactFloat(high)).Float64()
	}
	q := high / m
	return q + (math.FMA(-q, m, high)+low)/m
}

// twoSum returns a+b rounded, and exactly what rounding took away.
func twoSum(a, b float64) (sum, lost float64) {
	sum = a + b
	v := sum - a
	return sum, (a - (sum - v)) + (b - v)
}

// exactFloat returns x in a precision in which sums of float64 are exact: from 2^1024 times their number down to 2^-1074.
func exactFloat(x float64) *big.Float { return new(big.Float).SetPrec(2200).SetFloat64(x) }

// mix writes Σ weights[i]·src[i] to dst; a source of weight zero leaves no trace.
func mix(dst []float64, src [][]float64, weights []float64) {
	first := true
	for m, w := range weights {
		switch {
		case w == 0:
		case first:
			for i, x := range src[m] {
				dst[i] = w * x
			}
			first = false
		default:
			for i, x := range src[m] {
				dst[i] += w * x
			}
		}
	}
	if first {
		clear(dst)
	}
}
