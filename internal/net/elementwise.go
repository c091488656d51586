package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// elementGrain is how many elements are worth a thread.
const elementGrain = 1 << 14

// function is a map of one value to one, with its gradient.
type function struct {
	name            string
	f               func(dst, x []float32)
	df              func(dst, x, y, dy []float32) // dst = dy·f′; dst may be dy
	keepIn, keepOut bool                          // what df reads
}

// unary applies a function to every element.
type unary struct {
	g        *Graph
	fn       *function
	x, y     *Node
	run, der func(lo, hi int)
	dx       []float32
	add      bool
}

func (g *Graph) unary(fn *function, x *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	y := g.node(x.shape...)
	k := &unary{g: g, fn: fn, x: x, y: y}
	k.run, k.der = k.forwardRange, k.backwardRange
	return g.add(operation{name: fn.name, in: []*Node{x}, out: y, keepIn: fn.keepIn, keepOut: fn.keepOut, inPlace: true}, k)
}

func (k *unary) forward() { num.Parallel(len(k.y.root.value), elementGrain, k.run) }

func (k *unary) forwardRange(lo, hi int) {
	x, y := k.x.root.value, k.y.root.value
	for ; lo < hi; lo += stretch {
		to := min(lo+stretch, hi)
		k.fn.f(y[lo:to], x[lo:to])
	}
}

func (k *unary) backward() {
	if k.dx, k.add = k.x.gradient(); k.dx != nil {
		num.Parallel(len(k.dx), elementGrain, k.der)
	}
}

func (k *unary) backwardRange(lo, hi int) {
	x, y, dy := k.x.root.value, k.y.root.value, k.y.root.grad
	part := func(v []float32, keep bool, from, to int) []float32 {
		if !keep {
			return nil // its buffer may have gone to another tensor
		}
		return v[from:to]
	}
	var room []float32
	if k.add {
		s := k.g.scratch.take(stretch)
		defer k.g.scratch.give(s)
		room = s.values
	}
	for ; lo < hi; lo += stretch {
		to := min(lo+stretch, hi)
		d := k.dx[lo:to]
		if k.add {
			d = room[:to-lo]
		}
		k.fn.df(d, part(x, k.fn.keepIn, lo, to), part(y, k.fn.keepOut, lo, to), dy[lo:to])
		if k.add {
			addTo(k.dx[lo:to], d)
		}
	}
}

// each makes a function from formulas for one value. Gradients that read the output set byOut.
func each(name string, f func(x float64) float64, df func(v float64) float64, byOut bool) *function {
	return &function{
		name: name, keepIn: !byOut, keepOut: byOut,
		f: func(dst, x []float32) {
			for i, v := range x {
				dst[i] = float32(f(float64(v)))
			}
		},
		df: func(dst, x, y, dy []float32) {
			if byOut {
				x = y
			}
			for i, v := range x {
				dst[i] = float32(df(float64(v)) * float64(dy[i]))
			}
		},
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

var (
	expFunction      = &function{name: "exp", keepOut: true, f: num.Exp, df: func(dst, _, y, dy []float32) { num.Multiply(dst, y, dy) }}
	tanhFunction     = &function{name: "tanh", keepOut: true, f: num.Tanh, df: func(dst, _, y, dy []float32) { num.TanhGradient(dst, y, dy) }}
	sigmoidFunction  = &function{name: "sigmoid", keepOut: true, f: num.Sigmoid, df: func(dst, _, y, dy []float32) { num.SigmoidGradient(dst, y, dy) }}
	reluFunction     = &function{name: "relu", keepOut: true, f: num.ReLU, df: func(dst, _, y, dy []float32) { num.ReLUGradient(dst, y, dy) }}
	siluFunction     = &function{name: "silu", keepIn: true, f: num.SiLU, df: func(dst, x, _, dy []float32) { num.SiLUGradient(dst, x, dy) }}
	geluFunction     = &function{name: "gelu", keepIn: true, f: num.GELU, df: func(dst, x, _, dy []float32) { num.GELUGradient(dst, x, dy) }}
	geluTanhFunction = &function{name: "gelu by tanh", keepIn: true, f: num.GELUTanh, df: func(dst, x, _, dy []float32) { num.GELUTanhGradient(dst, x, dy) }}
	squareFunction   = &function{name: "square", keepIn: true, f: func(dst, x []float32) { num.Multiply(dst, x, x) }, df: func(dst, x, _, dy []float32) {
		for i, v := range x {
			dst[i] = 2 * v * dy[i]
		}
	}}
	logFunction      = each("log", math.Log, func(x float64) float64 { return 1 / x }, false)
	sqrtFunction     = each("sqrt", math.Sqrt, func(y float64) float64 { return 0.5 / y }, true)
	softplusFunction = each("softplus", func(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }, sigmoid, false)
	sinFunction      = each("sine", math.Sin, math.Cos, false)
	absFunction      = each("abs", math.Abs, func(x float64) float64 {
		if x == 0 {
			return 0
		}
		return math.Copysign(1, x)
	}, false)
)

// Exp returns e^x.
func (g *Graph) Exp(x *Node) *Node { return g.unary(expFunction, x) }

// Log returns the natural logarithm.
func (g *Graph) Log(x *Node) *Node { return g.unary(logFunction, x) }

// Sqrt returns the square root.
func (g *Graph) Sqrt(x *Node) *Node { return g.unary(sqrtFunction, x) }

// Abs returns |x|; its slope at zero is zero.
func (g *Graph) Abs(x *Node) *Node { return g.unary(absFunction, x) }

// Sin returns the sine of x in radians.
func (g *Graph) Sin(x *Node) *Node { return g.unary(sinFunction, x) }

// Tanh returns the hyperbolic tangent.
func (g *Graph) Tanh(x *Node) *Node { return g.unary(tanhFunction, x) }

// Sigmoid returns 1/(1+e^−x).
func (g *Graph) Sigmoid(x *Node) *Node { return g.unary(sigmoidFunction, x) }

// Softplus returns log(1+e^x).
func (g *Graph) Softplus(x *Node) *Node { return g.unary(softplusFunction, x) }

// ReLU returns max(x, 0); its slope at zero is zero.
func (g *Graph) ReLU(x *Node) *Node { return g.unary(reluFunction, x) }

// SiLU returns x·sigmoid(x).
func (g *Graph) SiLU(x *Node) *Node { return g.unary(siluFunction, x) }

// GELU returns x·Φ(x), Φ the normal distribution function.
func (g *Graph) GELU(x *Node) *Node { return g.unary(geluFunction, x) }

// GELUTanh returns GELU by its approximation with tanh. Source: Hendrycks and Gimpel (2016), section 2.
func (g *Graph) GELUTanh(x *Node) *Node { return g.unary(geluTanhFunction, x) }

// Scale returns a·x + b.
func (g *Graph) Scale(x *Node, a, b float64) *Node {
	s, t := float32(a), float32(b)
	return g.unary(&function{
		name: "scale",
		f: func(dst, x []float32) {
			for i, v := range x {
				dst[i] = s*v + t
			}
		},
		df: func(dst, _, _, dy []float32) { num.Scale(dst, s, dy) },
	}, x)
}

// Power returns x to a fixed power.
func (g *Graph) Power(x *Node, p float64) *Node {
	if p == 2 {
		return g.unary(squareFunction, x)
	}
	return g.unary(each("power", func(x float64) float64 { return math.Pow(x, p) }, func(x float64) float64 { return p * math.Pow(x, p-1) }, false), x)
}

// Clamp returns x cut to [low, high]; its slope outside is zero.
func (g *Graph) Clamp(x *Node, low, high float64) *Node {
	return g.unary(each("clamp", func(x float64) float64 { return math.Min(math.Max(x, low), high) }, func(x float64) float64 {
		if x < low || x > high {
			return 0
		}
		return 1
	}, false), x)
}

// StraightThrough returns the values of y with the slope of x: what y depends on gets no gradient, x gets y's as it is.
// Source: Bengio et al. (2013), section 3.4.
func (g *Graph) StraightThrough(x, y *Node) *Node {
	return g.Add(x, g.StopGradient(g.Sub(y, x)))
}
