package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// stretch is how many values a kernel is given at a time inside a task: few enough for it to stay on its thread and for
// what it writes to be in the cache when it is read next.
const stretch = 1 << 13

// addTo adds x to dst.
func addTo(dst, x []float32) {
	for len(dst) > stretch {
		num.Add(dst[:stretch], dst[:stretch], x[:stretch])
		dst, x = dst[stretch:], x[stretch:]
	}
	num.Add(dst, dst, x[:len(dst)])
}

// addScaled adds a·x to dst.
func addScaled(dst []float32, a float32, x []float32) {
	for len(dst) > stretch {
		num.AddScaled(dst[:stretch], a, x[:stretch])
		dst, x = dst[stretch:], x[stretch:]
	}
	num.AddScaled(dst, a, x[:len(dst)])
}

// scaled writes a·x to dst.
func scaled(dst []float32, a float32, x []float32) {
	for len(dst) > stretch {
		num.Scale(dst[:stretch], a, x[:stretch])
		dst, x = dst[stretch:], x[stretch:]
	}
	num.Scale(dst, a, x[:len(dst)])
}

// sumOf returns Σx.
func sumOf(x []float32) float64 {
	s := 0.0
	for len(x) > stretch {
		s += num.Sum(x[:stretch])
		x = x[stretch:]
	}
	return s + num.Sum(x)
}

func fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

// exp32 is e^x.
func exp32(x float32) float32 { return float32(math.Exp(float64(x))) }
