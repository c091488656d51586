package num

import "math"

// LogSumExp returns log Σ exp(x), the maximum subtracted first. An empty x gives −Inf.
func LogSumExp[T Float](x []T) float64 {
	if len(x) == 0 {
		return math.Inf(-1)
	}
	top := float64(x[0])
	for _, v := range x[1:] {
		top = max(top, float64(v))
	}
	if math.IsInf(top, 0) {
		return top
	}
	s := 0.0
	for _, v := range x {
		s += math.Exp(float64(v) - top)
	}
	return top + math.Log(s)
}

// Softmax writes exp(x/temperature)/Σ to dst. dst may be x.
func Softmax[T Float](dst, x []T, temperature float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	s := 0.0
	for _, v := range x {
		s += math.Exp((float64(v) - top) / temperature)
	}
	for i, v := range x {
		dst[i] = T(math.Exp((float64(v)-top)/temperature) / s)
	}
}
