package num

// Errors below are against the exact value of the float32 argument, in units of the result's last place. NaN gives NaN;
// −Inf and Inf give the limits. Results below 2^-126 are denormal and rounded like others. Vector paths agree in every
// bit; portable code computes in float64 and rounds once, so it may differ from them by the stated error.

// Exp writes dst = exp(x), within 1.1 units.
func Exp(dst, x []float32) { one("Exp", active.vector.exp, dst, x) }

// Tanh writes dst = tanh(x), within 2.25 units.
func Tanh(dst, x []float32) { one("Tanh", active.vector.tanh, dst, x) }

// TanhGradient writes dst = dy·(1−y²), where y is what [Tanh] gave.
func TanhGradient(dst, y, dy []float32) { two("TanhGradient", active.vector.tanhGradient, dst, y, dy) }

// Sigmoid writes dst = 1/(1+exp(−x)), within 2 units.
func Sigmoid(dst, x []float32) { one("Sigmoid", active.vector.sigmoid, dst, x) }

// SigmoidGradient writes dst = dy·y·(1−y), where y is what [Sigmoid] gave.
func SigmoidGradient(dst, y, dy []float32) {
	two("SigmoidGradient", active.vector.sigmoidGradient, dst, y, dy)
}

// ReLU writes dst = max(x, 0).
func ReLU(dst, x []float32) { one("ReLU", active.vector.relu, dst, x) }

// ReLUGradient writes dst = dy where x > 0, zero elsewhere.
func ReLUGradient(dst, x, dy []float32) { two("ReLUGradient", active.vector.reluGradient, dst, x, dy) }

// SiLU writes dst = x/(1+exp(−x)), within 3 units everywhere, the far negative tail included.
func SiLU(dst, x []float32) { one("SiLU", active.vector.silu, dst, x) }

// SiLUGradient writes dst = dy·(d/dx of [SiLU] at x). The derivative is within 2^-22 of the exact one, absolutely: it has a
// zero near −1.28.
func SiLUGradient(dst, x, dy []float32) { two("SiLUGradient", active.vector.siluGradient, dst, x, dy) }

// GELU writes dst = x·Φ(x), Φ the standard normal distribution: the exact form, PyTorch's default. It is within 5.5 units
// everywhere, the far negative tail included, where 1 + erf has lost all digits.
func GELU(dst, x []float32) { one("GELU", active.vector.gelu, dst, x) }

// GELUGradient writes dst = dy·(Φ(x) + x·φ(x)). The derivative is within 2^-22 of the exact one, absolutely: it has a zero
// near −0.75.
func GELUGradient(dst, x, dy []float32) { two("GELUGradient", active.vector.geluGradient, dst, x, dy) }

// GELUTanh writes dst = x·(1+tanh(√(2/π)·(x+0.044715x³)))/2, the approximation of [GELU] that some networks were trained
// with, within 3 units of that formula everywhere.
func GELUTanh(dst, x []float32) { one("GELUTanh", active.vector.geluTanh, dst, x) }

// GELUTanhGradient writes dst = dy·(d/dx of [GELUTanh] at x), the derivative within 2^-22 of the exact one, absolutely.
func GELUTanhGradient(dst, x, dy []float32) {
	two("GELUTanhGradient", active.vector.geluTanhGradient, dst, x, dy)
}
