package num

import (
	"fmt"
	"math"
	"os"
	"testing"
)

// ulps returns |got − want| in units of the float32 place of want, 0 for equal specials.
func ulps(got float32, want float64) float64 {
	if math.IsNaN(want) && got != got {
		return 0
	}
	rounded := float32(want)
	if got == rounded {
		if want == 0 || math.IsInf(float64(rounded), 0) {
			return 0
		}
	}
	if math.IsInf(float64(got), 0) && math.Abs(want) > math.MaxFloat32 { // beyond the last number by less than a place
		return 0
	}
	_, e := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(e-24, -149))
}

// activations are the functions of one value: their exact form in float64, and the error that their doc states.
var activations = []struct {
	name   string
	run    func(dst, x []float32)
	exact  func(x float64) float64
	ulps   float64
	limits [2]float32 // at −Inf and Inf
}{
	{"Exp", Exp, math.Exp, 1.1, [2]float32{0, float32(math.Inf(1))}},
	{"Tanh", Tanh, math.Tanh, 2.25, [2]float32{-1, 1}},
	{"Sigmoid", Sigmoid, sigmoid, 2, [2]float32{0, 1}},
	{"SiLU", SiLU, func(x float64) float64 { return x * sigmoid(x) }, 3, [2]float32{0, float32(math.Inf(1))}},
	{"GELU", GELU, func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 }, 5.5, [2]float32{0, float32(math.Inf(1))}},
	{"GELUTanh", GELUTanh, func(x float64) float64 {
		return x * sigmoid(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))
	}, 3, [2]float32{0, float32(math.Inf(1))}},
	{"ReLU", ReLU, func(x float64) float64 { return max(x, 0) }, 0, [2]float32{0, float32(math.Inf(1))}},
}

// everyFloat runs f over blocks of float32 values of all exponents and both signs: 2,000 of each exponent, or all 2^32
// with GIMBAL_EXHAUSTIVE set, which takes minutes.
func everyFloat(t *testing.T, f func(x []float32)) {
	step := uint32(4001) // a prime: all low bits occur
	if os.Getenv("GIMBAL_EXHAUSTIVE") != "" {
		step = 1
	} else if raceEnabled {
		step = 1_000_003
	}
	x := make([]float32, 0, 4096)
	for bits := uint32(0); ; bits += step {
		if x = append(x, math.Float32frombits(bits)); len(x) == cap(x) {
			f(x)
			x = x[:0]
		}
		if bits > math.MaxUint32-step {
			break
		}
	}
	f(x)
}

func TestActivationsOverEveryExponent(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for _, a := range activations {
			worst, at, dst := 0.0, float32(0), make([]float32, 4096)
			everyFloat(t, func(x []float32) {
				y := dst[:len(x)]
				a.run(y, x)
				for i, v := range x {
					if math.IsInf(float64(v), 0) {
						continue
					}
					if e := ulps(y[i], a.exact(float64(v))); !(e <= worst) {
						worst, at = e, v
					}
				}
			})
			t.Logf("%s: %.3f units at %v", a.name, worst, at)
			if !(worst <= a.ulps) {
				y := make([]float32, 1)
				a.run(y, []float32{at})
				t.Errorf("%s(%v) = %v, want %v: %.2f units off, at most %v", a.name, at, y[0], a.exact(float64(at)), worst, a.ulps)
			}
			inf := float32(math.Inf(1))
			y := make([]float32, 2)
			if a.run(y, []float32{-inf, inf}); y != nil && (y[0] != a.limits[0] || y[1] != a.limits[1]) {
				t.Errorf("%s(±Inf) = %v, want %v", a.name, y, a.limits)
			}
			if a.name != "Exp" && a.name != "Sigmoid" {
				if a.run(y, []float32{0, float32(math.Copysign(0, -1))}); y[0] != 0 || y[1] != 0 || math.Signbit(float64(y[0])) || !math.Signbit(float64(y[1])) {
					t.Errorf("%s(±0) = %v, want ±0", a.name, y)
				}
			}
		}
	})
}

// gradients are derivatives, with the error of the derivative that their doc states.
var gradients = []struct {
	name   string
	run    func(dst, x, dy []float32)
	exact  func(x float64) float64
	limits [2]float32
}{
	{"SiLUGradient", SiLUGradient, func(x float64) float64 { return sigmoid(x) * (1 + x*sigmoid(-x)) }, [2]float32{0, 1}},
	{"GELUGradient", GELUGradient, func(x float64) float64 {
		return math.Erfc(-x/math.Sqrt2)/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	}, [2]float32{0, 1}},
	{"GELUTanhGradient", GELUTanhGradient, func(x float64) float64 {
		c := math.Sqrt(2 / math.Pi)
		tanh := math.Tanh(c * (x + 0.044715*x*x*x))
		return (1+tanh)/2 + x*(1-tanh*tanh)/2*c*(1+3*0.044715*x*x)
	}, [2]float32{0, 1}},
}

func TestActivationGradients(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for _, a := range gradients {
			worst, at, dst, dy := 0.0, float32(0), make([]float32, 4096), make([]float32, 4096)
			for i := range dy {
				dy[i] = 1
			}
			everyFloat(t, func(x []float32) {
				y := dst[:len(x)]
				a.run(y, x, dy[:len(x)])
				for i, v := range x {
					if v != v && y[i] != y[i] {
						continue
					}
					want := 0.0
					if math.Abs(float64(v)) < 1e3 {
						want = a.exact(float64(v))
					} else if v > 0 {
						want = 1
					}
					if e := math.Abs(float64(y[i]) - want); !(e <= worst) {
						worst, at = e, v
					}
				}
			})
			t.Logf("%s: %.3g at %v", a.name, worst, at)
			if !(worst <= 0x1p-22) {
				t.Errorf("%s at %v is off by %g, at most 2^-22", a.name, at, worst)
			}
			inf := float32(math.Inf(1))
			y := make([]float32, 2)
			if a.run(y, []float32{-inf, inf}, []float32{1, 1}); y[0] != a.limits[0] || y[1] != a.limits[1] {
				t.Errorf("%s(±Inf) = %v, want %v", a.name, y, a.limits)
			}
			if a.run(y, []float32{0.5, 0.5}, []float32{1, -3}); y[1] != -3*y[0] {
				t.Errorf("%s: dy −3 gives %v, dy 1 gives %v", a.name, y[1], y[0])
			}
		}
	})
}

func BenchmarkActivation(b *testing.B) {
	for _, p := range available {
		for _, a := range activations {
			b.Run(fmt.Sprintf("%s/%s", p.name, a.name), func(b *testing.B) {
				before := active
				defer func() { active = before }()
				active = p
				x, dst := make([]float32, 8192), make([]float32, 8192)
				for i := range x {
					x[i] = float32(i%1000)/100 - 5
				}
				b.SetBytes(int64(4 * len(x)))
				for b.Loop() {
					a.run(dst, x)
				}
			})
		}
		for _, a := range gradients {
			b.Run(fmt.Sprintf("%s/%s", p.name, a.name), func(b *testing.B) {
				before := active
				defer func() { active = before }()
				active = p
				x, dst := make([]float32, 8192), make([]float32, 8192)
				for i := range x {
					x[i] = float32(i%1000)/100 - 5
				}
				b.SetBytes(int64(4 * len(x)))
				for b.Loop() {
					a.run(dst, x, x)
				}
			})
		}
	}
}
