package num

import (
	"fmt"
	"math"
)

// AdamStep is what a step of Adam needs besides its vectors. The kernels read the fields in this order.
type AdamStep struct {
	KeepMean, GainMean     float64 // m ← KeepMean·m + GainMean·g
	KeepSquare, GainSquare float64 // v ← KeepSquare·v + GainSquare·g²
	UnbiasMean             float64 // m is divided by it,
	UnbiasSquare           float64 // and v
	Epsilon                float64
	Rate                   float64
	Keep                   float64 // θ ← Keep·θ − Rate·(m/UnbiasMean)/(√(v/UnbiasSquare) + Epsilon)
}

// Adam changes parameters theta by their gradients; first and second hold the mean gradient and the mean square. It
// computes in float64 and rounds what it stores; the mean and the square that were not rounded move theta. It stays on
// the caller's thread. Every machine writes the same bits.
func Adam(theta, gradient, first, second []float32, s AdamStep) {
	n := len(theta)
	if len(gradient) != n || len(first) != n || len(second) != n {
		panic(fmt.Sprintf("num: Adam: slices of %d, %d, %d and %d values", n, len(gradient), len(first), len(second)))
	}
	if n > 0 {
		active.vector.adam(theta, gradient, first, second, s)
	}
}

// The conversions forbid a fused multiply-add.
func adamPortable(theta, gradient, first, second []float32, s AdamStep) {
	gradient, first, second = gradient[:len(theta)], first[:len(theta)], second[:len(theta)]
	for i, w := range theta {
		g, m, v := float64(gradient[i]), float64(first[i]), float64(second[i])
		m = float64(s.KeepMean*m) + float64(s.GainMean*g)
		v = float64(s.KeepSquare*v) + float64(s.GainSquare*g*g)
		first[i], second[i] = float32(m), float32(v)
		theta[i] = float32(float64(s.Keep*float64(w)) - s.Rate*(m/s.UnbiasMean)/(math.Sqrt(v/s.UnbiasSquare)+s.Epsilon))
	}
}
