package net

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// opCase holds an operation beside the same in float64, written the plain way.
type opCase struct {
	name      string
	shapes    [][]int // of inputs
	build     func(g *Graph, x []*Node) *Node
	reference func(x [][]float64) []float64 // of inputs, then of parameters
	low, high float64                       // of inputs; both zero: −2 to 2
}

// check compares values with the reference and gradients with its central differences, once where the gradient is the
// only one of its tensors and once where it adds to another.
func (c opCase) check(t *testing.T) {
	t.Helper()
	for _, adds := range []bool{false, true} {
		ps := NewParams(1)
		g := NewGraph(ps)
		var x []*Node
		for _, s := range c.shapes {
			x = append(x, g.Variable(s...))
		}
		y := c.build(g, x)
		for _, p := range ps.All() {
			if !p.statistic {
				x = append(x, g.Param(p.Name, nil, p.Shape...))
			}
		}
		weight := g.Input(y.shape...)
		loss := g.Sum(g.Mul(y, weight))
		if adds {
			for _, v := range x {
				loss = g.Add(loss, g.Scale(g.Sum(v), 3, 0))
			}
		}
		p, err := g.Train(loss, y)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(7, 7))
		low, high := c.low, c.high
		if low == 0 && high == 0 {
			low, high = -2, 2
		}
		wide := make([][]float64, len(x))
		for i, v := range x {
			for j := range v.Value() {
				v.Value()[j] = float32(low + (high-low)*r.Float64())
				wide[i] = append(wide[i], float64(v.Value()[j]))
			}
		}
		for j := range weight.Value() {
			weight.Value()[j] = float32(1 + r.Float64())
		}
		for range 2 { // the second pass finds buffers used
			p.Forward()
			ps.ZeroGradients()
			p.Backward()
		}
		want := c.reference(wide)
		if len(want) != y.Size() {
			t.Fatalf("the reference has %d values, the operation %d", len(want), y.Size())
		}
		for j, v := range y.Value() {
			// float32 carries 6e-8; sums here have up to some hundred terms.
			if d := math.Abs(float64(v) - want[j]); !(d <= 3e-6*(1+math.Abs(want[j]))) {
				t.Fatalf("value %d is %.8g, want %.8g", j, v, want[j])
			}
		}
		objective := func() float64 {
			s := 0.0
			for j, v := range c.reference(wide) {
				s += v * float64(weight.Value()[j])
			}
			return s
		}
		const h = 1e-4 // float64: truncation near h², rounding near 1e-16/h
		for i, v := range x {
			for j := range wide[i] {
				was := wide[i][j]
				wide[i][j] = was + h
				up := objective()
				wide[i][j] = was - h
				down := objective()
				wide[i][j] = was
				slope := (up - down) / (2 * h)
				if adds {
					slope += 3
				}
				got := v.Gradient()
				if v.param != nil {
					got = v.param.Gradient()
				}
				if d := math.Abs(float64(got[j]) - slope); !(d <= 2e-5*(1+math.Abs(slope))) {
					t.Fatalf("adds %t: derivative by value %d of input %d is %.8g, want %.8g", adds, j, i, got[j], slope)
				}
			}
		}
	}
}

func checkAll(t *testing.T, cases []opCase) {
	for _, c := range cases {
		t.Run(c.name, c.check)
	}
}

// mapped is a reference by elements.
func mapped(f func(float64) float64) func([][]float64) []float64 {
	return func(x [][]float64) []float64 {
		y := make([]float64, len(x[0]))
		for i, v := range x[0] {
			y[i] = f(v)
		}
		return y
	}
}

func TestElementwise(t *testing.T) {
	one := func(name string, op func(*Graph, *Node) *Node, f func(float64) float64, low, high float64) opCase {
		return opCase{name, [][]int{{3, 5}}, func(g *Graph, x []*Node) *Node { return op(g, x[0]) }, mapped(f), low, high}
	}
	normal := func(x float64) float64 { return 0.5 * (1 + math.Erf(x/math.Sqrt2)) }
	checkAll(t, []opCase{
		one("exp", (*Graph).Exp, math.Exp, 0, 0),
		one("log", (*Graph).Log, math.Log, 0.5, 3),
		one("sqrt", (*Graph).Sqrt, math.Sqrt, 0.5, 3),
		one("abs", (*Graph).Abs, math.Abs, 0, 0),
		one("tanh", (*Graph).Tanh, math.Tanh, 0, 0),
		one("sigmoid", (*Graph).Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 0, 0),
		one("softplus", (*Graph).Softplus, func(x float64) float64 { return math.Log(1 + math.Exp(x)) }, 0, 0),
		one("relu", (*Graph).ReLU, func(x float64) float64 { return math.Max(x, 0) }, 0, 0),
		one("silu", (*Graph).SiLU, func(x float64) float64 { return x / (1 + math.Exp(-x)) }, 0, 0),
		one("gelu", (*Graph).GELU, func(x float64) float64 { return x * normal(x) }, 0, 0),
		one("gelu by tanh", (*Graph).GELUTanh, func(x float64) float64 {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}, 0, 0),
		one("power", func(g *Graph, x *Node) *Node { return g.Power(x, 1.7) }, func(x float64) float64 { return math.Pow(x, 1.7) }, 0.5, 2),
		one("square", func(g *Graph, x *Node) *Node { return g.Power(x, 2) }, func(x float64) float64 { return x * x }, 0, 0),
		one("scale", func(g *Graph, x *Node) *Node { return g.Scale(x, -1.5, 0.5) }, func(x float64) float64 { return 0.5 - 1.5*x }, 0, 0),
		one("clamp", func(g *Graph, x *Node) *Node { return g.Clamp(x, -1, 0.5) }, func(x float64) float64 { return math.Min(math.Max(x, -1), 0.5) }, 0, 0),
		one("a chain in place", func(g *Graph, x *Node) *Node { return g.Tanh(g.Scale(g.ReLU(g.Sigmoid(x)), 2, -1)) },
			func(x float64) float64 { return math.Tanh(2/(1+math.Exp(-x)) - 1) }, 0, 0),
	})
}

// index walks through a shape, giving flat positions of broadcast operands.
func broadcastReference(f func(a, b float64) float64, shape, sa, sb []int) func([][]float64) []float64 {
	return func(x [][]float64) []float64 {
		y := make([]float64, sizeOf(shape))
		at := func(i int, s []int) int {
			flat, stride := 0, 1
			for axis := len(shape) - 1; axis >= 0; axis-- {
				c := i % shape[axis]
				i /= shape[axis]
				if j := axis - len(shape) + len(s); j >= 0 {
					if s[j] > 1 {
						flat += c * stride
					}
					stride *= s[j]
				}
			}
			return flat
		}
		for i := range y {
			y[i] = f(x[0][at(i, sa)], x[1][at(i, sb)])
		}
		return y
	}
}

func TestBroadcast(t *testing.T) {
	var cases []opCase
	for _, s := range []struct{ a, b, y []int }{
		{[]int{2, 3}, []int{2, 3}, []int{2, 3}},
		{[]int{4, 3}, []int{3}, []int{4, 3}},
		{[]int{3}, []int{4, 3}, []int{4, 3}},
		{[]int{4, 3}, []int{4, 1}, []int{4, 3}},
		{[]int{4, 1}, []int{1, 3}, []int{4, 3}},
		{[]int{2, 3, 4}, []int{3, 1}, []int{2, 3, 4}},
		{[]int{2, 3, 1, 2}, []int{3, 4, 1}, []int{2, 3, 4, 2}},
		{[]int{2, 3}, nil, []int{2, 3}},
	} {
		for _, o := range []struct {
			name string
			op   func(*Graph, *Node, *Node) *Node
			f    func(a, b float64) float64
		}{
			{"add", (*Graph).Add, func(a, b float64) float64 { return a + b }},
			{"subtract", (*Graph).Sub, func(a, b float64) float64 { return a - b }},
			{"multiply", (*Graph).Mul, func(a, b float64) float64 { return a * b }},
			{"divide", (*Graph).Div, func(a, b float64) float64 { return a / b }},
		} {
			cases = append(cases, opCase{o.name + shapes(&Node{shape: s.a}, &Node{shape: s.b}), [][]int{s.a, s.b},
				func(g *Graph, x []*Node) *Node { return o.op(g, x[0], x[1]) }, broadcastReference(o.f, s.y, s.a, s.b), 0.5, 2})
		}
	}
	cases = append(cases,
		opCase{"a tensor by itself", [][]int{{5}}, func(g *Graph, x []*Node) *Node { return g.Mul(x[0], x[0]) }, mapped(func(v float64) float64 { return v * v }), 0, 0},
		opCase{"a tensor and itself", [][]int{{5}}, func(g *Graph, x []*Node) *Node { return g.Add(g.Exp(x[0]), g.Exp(x[0])) }, mapped(func(v float64) float64 { return 2 * math.Exp(v) }), 0, 0},
		opCase{"one node twice", [][]int{{5}}, func(g *Graph, x []*Node) *Node { e := g.Exp(x[0]); return g.Add(e, e) }, mapped(func(v float64) float64 { return 2 * math.Exp(v) }), 0, 0},
		opCase{"a residual", [][]int{{5}}, func(g *Graph, x []*Node) *Node { e := g.Scale(x[0], 2, 0); return g.Add(e, g.Exp(g.Tanh(e))) },
			mapped(func(v float64) float64 { return 2*v + math.Exp(math.Tanh(2*v)) }), 0, 0})
	checkAll(t, cases)
}

func TestReductions(t *testing.T) {
	// [2, 3, 4], reduced over the axes of a mask.
	reduce := func(mask [3]bool, f func(values []float64) float64) func([][]float64) []float64 {
		return func(x [][]float64) []float64 {
			groups, order := map[[3]int][]float64{}, [][3]int{}
			for i, v := range x[0] {
				at := [3]int{i / 12, i / 4 % 3, i % 4}
				for a := range at {
					if mask[a] {
						at[a] = 0
					}
				}
				if groups[at] == nil {
					order = append(order, at)
				}
				groups[at] = append(groups[at], v)
			}
			var y []float64
			for _, at := range order {
				y = append(y, f(groups[at]))
			}
			return y
		}
	}
	sum := func(v []float64) (s float64) {
		for _, x := range v {
			s += x
		}
		return s
	}
	var cases []opCase
	for _, axes := range [][]int{{0}, {1}, {-1}, {0, 1}, {1, 2}, {0, 2}, nil} {
		var mask [3]bool
		for _, a := range axes {
			mask[(a+3)%3] = true
		}
		if axes == nil {
			mask = [3]bool{true, true, true}
		}
		in := [][]int{{2, 3, 4}}
		cases = append(cases,
			opCase{"sum", in, func(g *Graph, x []*Node) *Node { return g.Sum(x[0], axes...) }, reduce(mask, sum), 0, 0},
			opCase{"mean", in, func(g *Graph, x []*Node) *Node { return g.MeanKept(x[0], axes...) }, reduce(mask, func(v []float64) float64 { return sum(v) / float64(len(v)) }), 0, 0},
			opCase{"max", in, func(g *Graph, x []*Node) *Node { return g.Max(x[0], axes...) }, reduce(mask, slices.Max[[]float64]), 0, 0})
	}
	checkAll(t, cases)
}

func TestShapes(t *testing.T) {
	at := func(x []float64, shape []int, c ...int) float64 {
		flat := 0
		for i, v := range c {
			flat = flat*shape[i] + v
		}
		return x[flat]
	}
	s := []int{2, 3, 4}
	checkAll(t, []opCase{
		{"transpose", [][]int{s}, func(g *Graph, x []*Node) *Node { return g.Transpose(x[0], 2, 0, 1) }, func(x [][]float64) (y []float64) {
			for k := range 4 {
				for i := range 2 {
					for j := range 3 {
						y = append(y, at(x[0], s, i, j, k))
					}
				}
			}
			return y
		}, 0, 0},
		{"transpose of the middle", [][]int{s}, func(g *Graph, x []*Node) *Node { return g.Transpose(x[0], 1, 0, 2) }, func(x [][]float64) (y []float64) {
			for j := range 3 {
				for i := range 2 {
					for k := range 4 {
						y = append(y, at(x[0], s, i, j, k))
					}
				}
			}
			return y
		}, 0, 0},
		{"concat", [][]int{{2, 3}, {2, 1}, {2, 2}}, func(g *Graph, x []*Node) *Node { return g.Concat(1, x...) }, func(x [][]float64) []float64 {
			return []float64{x[0][0], x[0][1], x[0][2], x[1][0], x[2][0], x[2][1], x[0][3], x[0][4], x[0][5], x[1][1], x[2][2], x[2][3]}
		}, 0, 0},
		{"slice", [][]int{s}, func(g *Graph, x []*Node) *Node { return g.Slice(x[0], 1, 1, 3) }, func(x [][]float64) []float64 {
			return append(slices.Clone(x[0][4:12]), x[0][16:24]...)
		}, 0, 0},
		{"pad", [][]int{{2, 2}}, func(g *Graph, x []*Node) *Node { return g.Pad(x[0], -1, 1, 2) }, func(x [][]float64) []float64 {
			return []float64{0, x[0][0], x[0][1], 0, 0, 0, x[0][2], x[0][3], 0, 0}
		}, 0, 0},
		{"reshape", [][]int{{2, 6}}, func(g *Graph, x []*Node) *Node { return g.Sum(g.Reshape(g.Exp(x[0]), 4, -1), 0) }, func(x [][]float64) []float64 {
			y := make([]float64, 3)
			for i, v := range x[0] {
				y[i%3] += math.Exp(v)
			}
			return y
		}, 0, 0},
		{"gather", [][]int{{3, 2}}, func(g *Graph, x []*Node) *Node {
			index := g.Ints(4)
			copy(index.Values, []int32{2, 0, 2, 7})
			return g.Gather(x[0], index)
		}, func(x [][]float64) []float64 {
			return []float64{x[0][4], x[0][5], x[0][0], x[0][1], x[0][4], x[0][5], 0, 0}
		}, 0, 0},
		{"scatter", [][]int{{3, 2}}, func(g *Graph, x []*Node) *Node {
			index := g.Ints(3)
			copy(index.Values, []int32{1, -1, 1})
			return g.Scatter(x[0], index, 2)
		}, func(x [][]float64) []float64 { return []float64{0, 0, x[0][0] + x[0][4], x[0][1] + x[0][5]} }, 0, 0},
		{"pick", [][]int{{3, 2}}, func(g *Graph, x []*Node) *Node {
			index := g.Ints(3)
			copy(index.Values, []int32{1, 0, 9})
			return g.Pick(x[0], index)
		}, func(x [][]float64) []float64 { return []float64{x[0][1], x[0][2], 0} }, 0, 0},
	})
}

// product is the plain matrix product of stored or transposed operands.
func product(a, b []float64, m, n, k int, transA, transB bool) []float64 {
	y := make([]float64, m*n)
	for i := range m {
		for j := range n {
			for p := range k {
				u, v := a[min(i*k+p, len(a)-1)], b[min(p*n+j, len(b)-1)]
				if transA {
					u = a[p*m+i]
				}
				if transB {
					v = b[j*k+p]
				}
				y[i*n+j] += u * v
			}
		}
	}
	return y
}

func TestProducts(t *testing.T) {
	var cases []opCase
	for _, ta := range []bool{false, true} {
		for _, tb := range []bool{false, true} {
			sa, sb := []int{3, 2, 4}, []int{3, 4, 5}
			if ta {
				sa = []int{3, 4, 2}
			}
			if tb {
				sb = []int{3, 5, 4}
			}
			cases = append(cases, opCase{"batch", [][]int{sa, sb}, func(g *Graph, x []*Node) *Node { return g.MatMul(x[0], x[1], ta, tb) }, func(x [][]float64) (y []float64) {
				for i := range 3 {
					y = append(y, product(x[0][i*8:i*8+8], x[1][i*20:i*20+20], 2, 5, 4, ta, tb)...)
				}
				return y
			}, 0, 0}, opCase{"shared", [][]int{sa, sb[1:]}, func(g *Graph, x []*Node) *Node { return g.MatMul(x[0], x[1], ta, tb) }, func(x [][]float64) (y []float64) {
				for i := range 3 {
					y = append(y, product(x[0][i*8:i*8+8], x[1], 2, 5, 4, ta, tb)...)
				}
				return y
			}, 0, 0})
		}
	}
	cases = append(cases, opCase{"linear", [][]int{{2, 3, 4}, {5, 4}, {5}}, func(g *Graph, x []*Node) *Node { return g.Linear(x[0], x[1], x[2]) }, func(x [][]float64) []float64 {
		y := product(x[0], x[1], 6, 5, 4, false, true)
		for i := range y {
			y[i] += x[2][i%5]
		}
		return y
	}, 0, 0}, opCase{"linear of many rows", [][]int{{300, 2}, {1, 2}, {1}}, func(g *Graph, x []*Node) *Node { return g.Linear(x[0], x[1], x[2]) }, func(x [][]float64) []float64 {
		y := product(x[0], x[1], 300, 1, 2, false, true)
		for i := range y {
			y[i] += x[2][0]
		}
		return y
	}, 0, 0})
	checkAll(t, cases)
}

// logSoftmax is log(e^x/Σe^x) of rows.
func logSoftmax(x []float64, k int) []float64 {
	y := make([]float64, len(x))
	for i := 0; i < len(x); i += k {
		sum := 0.0
		for _, v := range x[i : i+k] {
			sum += math.Exp(v)
		}
		for j := range k {
			y[i+j] = x[i+j] - math.Log(sum)
		}
	}
	return y
}

func TestSoftmaxAndLosses(t *testing.T) {
	labels := func(g *Graph, v ...int32) *Ints {
		l := g.Ints(len(v))
		copy(l.Values, v)
		return l
	}
	many := []int32{3, 99, 50}
	checkAll(t, []opCase{
		{"log softmax", [][]int{{3, 4}}, func(g *Graph, x []*Node) *Node { return g.LogSoftmax(x[0]) }, func(x [][]float64) []float64 { return logSoftmax(x[0], 4) }, 0, 0},
		{"softmax", [][]int{{3, 4}}, func(g *Graph, x []*Node) *Node { return g.Softmax(x[0]) }, func(x [][]float64) []float64 {
			return mapped(math.Exp)([][]float64{logSoftmax(x[0], 4)})
		}, 0, 0},
		{"cross-entropy", [][]int{{3, 4}}, func(g *Graph, x []*Node) *Node { return g.CrossEntropy(x[0], labels(g, 1, -1, 3), Targets{}) }, func(x [][]float64) []float64 {
			l := logSoftmax(x[0], 4)
			return []float64{-(l[1] + l[11]) / 2}
		}, 0, 0},
		{"cross-entropy, smoothed and weighted", [][]int{{3, 4}}, func(g *Graph, x []*Node) *Node {
			rows := g.Input(3)
			copy(rows.Value(), []float32{1, 2, 0.5})
			return g.CrossEntropy(x[0], labels(g, 1, 0, 3), Targets{Smoothing: 0.2, Classes: []float32{1, 3, 1, 0.5}, Rows: rows})
		}, func(x [][]float64) []float64 {
			l := logSoftmax(x[0], 4)
			weight, loss := []float64{3, 2, 0.25}, 0.0
			for i, label := range []int{1, 0, 3} {
				for c := range 4 {
					q := 0.05
					if c == label {
						q += 0.8
					}
					loss -= weight[i] * q * l[i*4+c]
				}
			}
			return []float64{loss / 5.25}
		}, 0, 0},
		{"cross-entropy of many classes", [][]int{{3, 100}}, func(g *Graph, x []*Node) *Node { return g.CrossEntropy(x[0], labels(g, many...), Targets{Total: 2}) }, func(x [][]float64) []float64 {
			l, loss := logSoftmax(x[0], 100), 0.0
			for i, label := range many {
				loss -= l[i*100+int(label)] / 2
			}
			return []float64{loss}
		}, 0, 0},
		{"cross-entropy, soft", [][]int{{2, 3}}, func(g *Graph, x []*Node) *Node {
			q := g.Input(2, 3)
			copy(q.Value(), []float32{0.5, 0.5, 0, 0.25, 0, 0.75})
			return g.CrossEntropySoft(x[0], q, Targets{})
		}, func(x [][]float64) []float64 {
			l := logSoftmax(x[0], 3)
			return []float64{-(0.5*l[0] + 0.5*l[1] + 0.25*l[3] + 0.75*l[5]) / 2}
		}, 0, 0},
		{"cross-entropy, soft, of many classes", [][]int{{3, 100}}, func(g *Graph, x []*Node) *Node {
			q := g.Input(3, 100)
			for i, label := range many {
				q.Value()[i*100+int(label)], q.Value()[i*100+7] = 0.75, 0.25
			}
			return g.CrossEntropySoft(x[0], q, Targets{})
		}, func(x [][]float64) []float64 {
			l, loss := logSoftmax(x[0], 100), 0.0
			for i, label := range many {
				loss -= (0.75*l[i*100+int(label)] + 0.25*l[i*100+7]) / 3
			}
			return []float64{loss}
		}, 0, 0},
		{"mean squared error", [][]int{{2, 3}, {2, 3}}, func(g *Graph, x []*Node) *Node { return g.MSE(x[0], x[1]) }, func(x [][]float64) []float64 {
			s := 0.0
			for i := range x[0] {
				s += (x[0][i] - x[1][i]) * (x[0][i] - x[1][i]) / 6
			}
			return []float64{s}
		}, 0, 0},
		{"divergence", [][]int{{2, 3}, {2, 3}}, func(g *Graph, x []*Node) *Node { return g.KL(x[0], g.LogSoftmax(x[1])) }, func(x [][]float64) []float64 {
			l, s := logSoftmax(x[1], 3), 0.0
			for i, p := range x[0] {
				s += p * (math.Log(p) - l[i]) / 2
			}
			return []float64{s}
		}, 0.1, 1},
		{"binary cross-entropy", [][]int{{2, 3}, {2, 3}}, func(g *Graph, x []*Node) *Node { return g.BinaryCrossEntropy(x[0], x[1]) }, func(x [][]float64) []float64 {
			s := 0.0
			for i, z := range x[0] {
				p, t := 1/(1+math.Exp(-z)), x[1][i]
				s -= (t*math.Log(p) + (1-t)*math.Log(1-p)) / 6
			}
			return []float64{s}
		}, 0.1, 0.9},
	})
}

func TestSmallest(t *testing.T) {
	for k := 1; k <= 5; k++ {
		opCase{"smallest", [][]int{{2, 3, 5}}, func(g *Graph, x []*Node) *Node { return g.Smallest(x[0], k) }, func(x [][]float64) []float64 {
			var y []float64
			for row := range slices.Chunk(x[0], 5) {
				y = append(y, slices.Sorted(slices.Values(row))[:k]...)
			}
			return y
		}, 0, 0}.check(t)
	}
	g := NewGraph(NewParams(1))
	if g.Smallest(g.Input(2, 3), 4); g.Err() == nil {
		t.Error("4 of 3 values were taken")
	}
}

func TestStraightThroughAndStop(t *testing.T) {
	g := NewGraph(NewParams(1))
	x := g.Variable(3)
	hard := g.Clamp(g.Scale(x, 10, 0), -1, 1)
	y := g.StraightThrough(x, hard)
	p, err := g.Train(g.Sum(g.Mul(y, g.StopGradient(x))), y)
	if err != nil {
		t.Fatal(err)
	}
	copy(x.Value(), []float32{0.5, -3, 0.01})
	p.Forward()
	p.Backward()
	for i, want := range []float32{1, -1, 0.1} {
		if math.Abs(float64(y.Value()[i]-want)) > 1e-6 || x.Gradient()[i] != x.Value()[i] {
			t.Errorf("value %v with slope %v, want %v with %v", y.Value()[i], x.Gradient()[i], want, x.Value()[i])
		}
	}
}
