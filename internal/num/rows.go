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
	sum := 0.0
	switch x := any(x).(type) {
	case []float64:
		sum = active.vector.expSumWide(x, top)
	case []float32:
		w, wide := scratch[float64](256) // the exponentials are float64 all the same
		defer w.release()
		for len(x) > 0 {
			n := min(len(x), len(wide))
			for i, v := range x[:n] {
				wide[i] = float64(v)
			}
			sum += active.vector.expSumWide(wide[:n], top)
			x = x[n:]
		}
	}
	return top + math.Log(sum)
}

// Softmax writes exp(x/temperature)/Σ to dst, in float64 throughout. dst may be x.
func Softmax[T Float](dst, x []T, temperature float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	if wide, ok := any(x).([]float64); ok {
		if len(wide) == 0 {
			return
		}
		out := any(dst).([]float64)[:len(wide)]
		sum := active.vector.expWide(out, wide, top, 1/temperature)
		for i := range out {
			out[i] /= sum
		}
		return
	}
	s := 0.0
	for _, v := range x {
		s += math.Exp((float64(v) - top) / temperature)
	}
	for i, v := range x {
		dst[i] = T(math.Exp((float64(v)-top)/temperature) / s)
	}
}
