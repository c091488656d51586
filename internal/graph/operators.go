package graph

import (
	"errors"
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// operator is what a node can be.
type operator struct {
	least, most int // inputs
	ints        bool
	clips       bool // does a Relu or Clip that follows
	run         func(c *call) error
}

const many = math.MaxInt

var errZero = errors.New("division of whole numbers by zero")

func exactly(f func(a, b int64) int64) func(a, b int64) (int64, error) {
	return func(a, b int64) (int64, error) { return f(a, b), nil }
}

var operators map[string]*operator

// The map is filled here, not at its declaration: constants are folded by running operators, which would be a circle.
func init() {
	values := func(f func(c *call) func(x float32) float32) *operator {
		return &operator{least: 1, most: 1, run: unary(f)}
	}
	two := func(f func(a, b float32) float32, g func(a, b int64) (int64, error)) *operator {
		return &operator{least: 2, most: 2, ints: true, clips: true, run: binary(nil, f, g)}
	}
	joins := func(kernel func(dst, x, y []float32), f func(a, b float32) float32, g func(a, b int64) (int64, error)) *operator {
		return &operator{least: 2, most: 2, ints: true, clips: true, run: binary(kernel, f, g)}
	}
	truth := func(f func(a, b float32) bool, g func(a, b int64) bool) *operator {
		return &operator{least: 2, most: 2, ints: true, run: compare(f, g)}
	}
	moves := func(least, most int, f func(c *call) error) *operator {
		return &operator{least: least, most: most, ints: true, run: f}
	}
	sums := func(r reduction) *operator { return moves(1, 2, reduce(r)) }
	add := func(sum, v float64) float64 { return sum + v }

	operators = map[string]*operator{
		"Conv":               {least: 2, most: 3, clips: true, run: conv},
		"Gemm":               {least: 2, most: 3, clips: true, run: gemm},
		"MatMul":             {least: 2, most: 2, run: matmul},
		"MaxPool":            {least: 1, most: 1, run: maxPool},
		"AveragePool":        {least: 1, most: 1, run: averagePool},
		"GlobalAveragePool":  {least: 1, most: 1, run: globalPool(meanOf)},
		"GlobalMaxPool":      {least: 1, most: 1, run: globalPool(maxOf)},
		"BatchNormalization": {least: 5, most: 5, run: batchNorm},
		"LayerNormalization": {least: 2, most: 3, run: layerNorm},
		"GroupNormalization": {least: 3, most: 3, run: groupNorm(false)},

		"InstanceNormalization": {least: 3, most: 3, run: groupNorm(true)},

		"Softmax":    {least: 1, most: 1, run: softmax(false)},
		"LogSoftmax": {least: 1, most: 1, run: softmax(true)},
		"LSTM":       {least: 3, most: 8, ints: true, run: lstm},

		"Relu":    {least: 1, most: 1, run: vector(num.ReLU)},
		"Sigmoid": {least: 1, most: 1, run: vector(num.Sigmoid)},
		"Tanh":    {least: 1, most: 1, run: vector(num.Tanh)},
		"Erf":     values(double(math.Erf)),
		"Exp":     {least: 1, most: 1, run: vector(num.Exp)},
		"Log":     values(double(math.Log)),
		"Sqrt":    values(double(math.Sqrt)),
		"Abs":     values(double(math.Abs)),
		"Floor":   values(double(math.Floor)),
		"Ceil":    values(double(math.Ceil)),
		"Sin":     values(double(math.Sin)),
		"Round":   values(double(math.RoundToEven)),
		"Sign": values(simply(func(x float32) float32 {
			switch {
			case x > 0:
				return 1
			case x < 0:
				return -1
			}
			return x
		})),
		"Cos":        values(double(math.Cos)),
		"Neg":        values(simply(func(x float32) float32 { return -x })),
		"Reciprocal": values(simply(func(x float32) float32 { return 1 / x })),
		"Softplus":   values(double(func(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) })),
		"Softsign":   values(simply(func(x float32) float32 { return x / (1 + max(x, -x)) })),
		"Mish":       values(double(func(x float64) float64 { return x * math.Tanh(max(x, 0)+math.Log1p(math.Exp(-math.Abs(x)))) })),
		"HardSwish":  values(simply(func(x float32) float32 { return x * min(max(x/6+0.5, 0), 1) })),
		"Gelu":       {least: 1, most: 1, run: gelu},
		"QuickGelu": values(func(c *call) func(float32) float32 {
			alpha := float64(c.float("alpha", 1.702))
			return func(x float32) float32 { return float32(float64(x) * sigmoid(alpha*float64(x))) }
		}),
		"LeakyRelu": values(func(c *call) func(float32) float32 {
			alpha := c.float("alpha", 0.01)
			return func(x float32) float32 { return max(x, 0) + alpha*min(x, 0) }
		}),
		"Elu": values(func(c *call) func(float32) float32 {
			alpha := float64(c.float("alpha", 1))
			return func(x float32) float32 { return max(x, 0) + float32(alpha*math.Expm1(min(float64(x), 0))) }
		}),
		"HardSigmoid": values(func(c *call) func(float32) float32 {
			alpha, beta := c.float("alpha", 0.2), c.float("beta", 0.5)
			return func(x float32) float32 { return min(max(alpha*x+beta, 0), 1) }
		}),
		"Clip":  {least: 1, most: 3, ints: true, run: clip},
		"PRelu": two(func(a, b float32) float32 { return max(a, 0) + b*min(a, 0) }, nil),

		"Add": joins(num.Add, func(a, b float32) float32 { return a + b }, exactly(func(a, b int64) int64 { return a + b })),
		"Sub": two(func(a, b float32) float32 { return a - b }, exactly(func(a, b int64) int64 { return a - b })),
		"Sum": moves(1, many, foldInputs(func(a, b float32) float32 { return a + b }, exactly(func(a, b int64) int64 { return a + b }))),
		"Mul": joins(num.Multiply, func(a, b float32) float32 { return a * b }, exactly(func(a, b int64) int64 { return a * b })),
		"Div": two(func(a, b float32) float32 { return a / b }, func(a, b int64) (int64, error) {
			if b == 0 {
				return 0, errZero
			}
			return a / b, nil
		}),
		"Pow": moves(2, 2, power),
		"Min": moves(1, many, foldInputs(func(a, b float32) float32 { return min(a, b) }, exactly(func(a, b int64) int64 { return min(a, b) }))),
		"Max": moves(1, many, foldInputs(func(a, b float32) float32 { return max(a, b) }, exactly(func(a, b int64) int64 { return max(a, b) }))),

		"Equal":          truth(func(a, b float32) bool { return a == b }, func(a, b int64) bool { return a == b }),
		"Less":           truth(func(a, b float32) bool { return a < b }, func(a, b int64) bool { return a < b }),
		"LessOrEqual":    truth(func(a, b float32) bool { return a <= b }, func(a, b int64) bool { return a <= b }),
		"Greater":        truth(func(a, b float32) bool { return a > b }, func(a, b int64) bool { return a > b }),
		"GreaterOrEqual": truth(func(a, b float32) bool { return a >= b }, func(a, b int64) bool { return a >= b }),
		"And":            truth(nil, func(a, b int64) bool { return a != 0 && b != 0 }),
		"Or":             truth(nil, func(a, b int64) bool { return a != 0 || b != 0 }),
		"Not":            moves(1, 1, not),
		"Where":          moves(3, 3, where),
		"Cast":           moves(1, 1, cast),

		"Reshape":         moves(1, 2, reshape),
		"Flatten":         moves(1, 1, flatten),
		"Squeeze":         moves(1, 2, squeeze),
		"Unsqueeze":       moves(1, 2, unsqueeze),
		"Identity":        moves(1, 1, identity),
		"Dropout":         moves(1, 3, dropout),
		"Transpose":       moves(1, 1, transpose),
		"Expand":          moves(2, 2, expand),
		"Concat":          moves(1, many, concat),
		"Tile":            moves(2, 2, tile),
		"CumSum":          moves(2, 2, cumulated),
		"Slice":           moves(1, 5, slice),
		"Split":           moves(1, 2, split),
		"Gather":          moves(2, 2, gather),
		"Pad":             moves(1, 4, pad),
		"Shape":           moves(1, 1, shapeOf),
		"Constant":        moves(0, 0, constant),
		"ConstantOfShape": moves(1, 1, constantOfShape),
		"Range":           moves(3, 3, ranged),

		"ReduceSum":  sums(reduction{add: add, empty: true}),
		"ReduceMean": sums(reduction{add: add, end: func(s float64, n int) float64 { return s / float64(n) }}),
		"ReduceMax":  sums(reduction{start: math.Inf(-1), add: func(s, v float64) float64 { return max(s, v) }}),
		"ReduceMin":  sums(reduction{start: math.Inf(1), add: func(s, v float64) float64 { return min(s, v) }}),
		"ReduceProd": sums(reduction{start: 1, add: func(s, v float64) float64 { return s * v }, empty: true}),
		"ReduceL1":   sums(reduction{add: func(s, v float64) float64 { return s + math.Abs(v) }, empty: true}),
		"ReduceL2": sums(reduction{add: func(s, v float64) float64 { return s + v*v }, empty: true,
			end: func(s float64, _ int) float64 { return math.Sqrt(s) }}),
		"ReduceSumSquare": sums(reduction{add: func(s, v float64) float64 { return s + v*v }, empty: true}),
	}
}
