package net

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// convolved is the plain convolution of images x with w [out, kh, kw, in/groups] and b.
func convolved(x, w, b []float64, batch, high, wide, in, out, kh, kw int, win Window) []float64 {
	sy, sx, dy, dx, groups := max(win.Stride[0], 1), max(win.Stride[1], 1), max(win.Dilation[0], 1), max(win.Dilation[1], 1), max(win.Groups, 1)
	var y []float64
	for n := range batch {
		for top := -win.Pad[0]; top+dy*(kh-1) < high+win.Pad[2]; top += sy {
			for left := -win.Pad[1]; left+dx*(kw-1) < wide+win.Pad[3]; left += sx {
				for o := range out {
					s := b[o]
					group := o / (out / groups)
					for ky := range kh {
						for kx := range kw {
							py, px := top+ky*dy, left+kx*dx
							if py < 0 || py >= high || px < 0 || px >= wide {
								continue
							}
							for c := range in / groups {
								s += x[((n*high+py)*wide+px)*in+group*(in/groups)+c] * w[((o*kh+ky)*kw+kx)*(in/groups)+c]
							}
						}
					}
					y = append(y, s)
				}
			}
		}
	}
	return y
}

func TestConvolutions(t *testing.T) {
	var cases []opCase
	for _, c := range []struct {
		batch, high, wide, in, out, kh, kw int
		win                                Window
	}{
		{2, 4, 5, 2, 3, 3, 3, Same(3, 1)},
		{2, 5, 4, 2, 3, 3, 3, Same(3, 2)},
		{1, 6, 5, 3, 2, 3, 2, Window{Stride: [2]int{2, 1}, Pad: [4]int{1, 0, 2, 1}}},
		{1, 7, 6, 2, 2, 3, 3, Window{Dilation: [2]int{2, 2}, Pad: [4]int{2, 2, 2, 2}}},
		{2, 4, 4, 4, 6, 3, 3, Window{Groups: 2, Pad: [4]int{1, 1, 1, 1}}},
		{2, 3, 3, 4, 3, 1, 1, Window{}},
		{2, 5, 5, 4, 3, 1, 1, Window{Stride: [2]int{2, 2}}},
		{2, 4, 4, 4, 2, 1, 1, Window{Groups: 2}},
		{2, 3, 2, 1, 2, 5, 5, Window{Pad: [4]int{2, 2, 2, 2}}},
		{2, 5, 4, 3, 3, 3, 3, Window{Groups: 3, Stride: [2]int{2, 1}, Pad: [4]int{1, 1, 1, 1}}},
		{1, 5, 5, 3, 3, 3, 3, Window{Groups: 3, Dilation: [2]int{1, 2}, Pad: [4]int{0, 2, 1, 1}}},
	} {
		groups := max(c.win.Groups, 1)
		cases = append(cases, opCase{fmt.Sprint(c), [][]int{{c.batch, c.high, c.wide, c.in}, {c.out, c.kh, c.kw, c.in / groups}, {c.out}},
			func(g *Graph, x []*Node) *Node { return g.Conv2D(x[0], x[1], x[2], c.win) },
			func(x [][]float64) []float64 {
				return convolved(x[0], x[1], x[2], c.batch, c.high, c.wide, c.in, c.out, c.kh, c.kw, c.win)
			}, -1, 1})
	}
	checkAll(t, cases)
}

// TestConvolutionInBlocks has more lines than a block holds.
func TestConvolutionInBlocks(t *testing.T) {
	defer func(b int) { convBlock = b }(convBlock)
	convBlock = 64
	TestConvolutions(t)
}

func TestPooling(t *testing.T) {
	pooled := func(x []float64, high, wide, kernel int, win Window, largest bool) (y []float64) {
		for n := range 2 {
			for top := -win.Pad[0]; top+kernel <= high+win.Pad[2]; top += max(win.Stride[0], 1) {
				for left := -win.Pad[1]; left+kernel <= wide+win.Pad[3]; left += max(win.Stride[1], 1) {
					for c := range 2 {
						var v []float64
						for py := max(top, 0); py < min(top+kernel, high); py++ {
							for px := max(left, 0); px < min(left+kernel, wide); px++ {
								v = append(v, x[((n*high+py)*wide+px)*2+c])
							}
						}
						s := 0.0
						for _, u := range v {
							s += u / float64(len(v))
						}
						if largest {
							s = slices.Max(v)
						}
						y = append(y, s)
					}
				}
			}
		}
		return y
	}
	var cases []opCase
	for _, win := range []Window{{Stride: [2]int{2, 2}}, {Stride: [2]int{1, 2}, Pad: [4]int{1, 0, 0, 1}}, {Stride: [2]int{2, 2}, Pad: [4]int{1, 1, 1, 1}}} {
		for _, kernel := range []int{2, 3} {
			in := [][]int{{2, 5, 4, 2}}
			cases = append(cases,
				opCase{fmt.Sprint("max ", kernel, win), in, func(g *Graph, x []*Node) *Node { return g.MaxPool(x[0], kernel, win) }, func(x [][]float64) []float64 { return pooled(x[0], 5, 4, kernel, win, true) }, 0, 0},
				opCase{fmt.Sprint("mean ", kernel, win), in, func(g *Graph, x []*Node) *Node { return g.AvgPool(x[0], kernel, win) }, func(x [][]float64) []float64 { return pooled(x[0], 5, 4, kernel, win, false) }, 0, 0})
		}
	}
	cases = append(cases, opCase{"global", [][]int{{2, 3, 2, 2}}, func(g *Graph, x []*Node) *Node { return g.GlobalPool(x[0]) }, func(x [][]float64) []float64 {
		y := make([]float64, 4)
		for i, v := range x[0] {
			y[i/12*2+i%2] += v / 6
		}
		return y
	}, 0, 0})
	checkAll(t, cases)
}

// normalised takes each set of positions to mean 0 and variance 1.
func normalised(x []float64, set func(i int) int) []float64 {
	sum, square, count := map[int]float64{}, map[int]float64{}, map[int]float64{}
	for i, v := range x {
		sum[set(i)] += v
		count[set(i)]++
	}
	for i, v := range x {
		d := v - sum[set(i)]/count[set(i)]
		square[set(i)] += d * d
	}
	y := make([]float64, len(x))
	for i, v := range x {
		s := set(i)
		y[i] = (v - sum[s]/count[s]) / math.Sqrt(square[s]/count[s]+1e-5)
	}
	return y
}

func TestNorms(t *testing.T) {
	scaled := func(set func(i int) int) func([][]float64) []float64 {
		return func(x [][]float64) []float64 {
			y := normalised(x[0], set)
			for i := range y {
				y[i] = y[i]*x[1][i%len(x[1])] + x[2][i%len(x[1])]
			}
			return y
		}
	}
	checkAll(t, []opCase{
		{"layer", [][]int{{2, 3, 5}}, func(g *Graph, x []*Node) *Node { return g.Norm("n", x[0]) }, scaled(func(i int) int { return i / 5 }), 0, 0},
		{"layer of many rows", [][]int{{70, 3}}, func(g *Graph, x []*Node) *Node { return g.Norm("n", x[0]) }, scaled(func(i int) int { return i / 3 }), 0, 0},
		{"group", [][]int{{2, 3, 2, 6}, {6}, {6}}, func(g *Graph, x []*Node) *Node { return g.GroupNorm(x[0], x[1], x[2], 3) }, scaled(func(i int) int { return i/36*3 + i%6/2 }), 0, 0},
		{"batch", [][]int{{3, 4, 2}}, func(g *Graph, x []*Node) *Node { return g.BatchNorm("n", x[0]) }, scaled(func(i int) int { return i % 2 }), 0, 0},
		{"batch of many rows", [][]int{{300, 2}}, func(g *Graph, x []*Node) *Node { return g.BatchNorm("n", x[0]) }, scaled(func(i int) int { return i % 2 }), 0, 0},
	})
}

func TestBatchNormOutsideTraining(t *testing.T) {
	ps := NewParams(1)
	g := NewGraph(ps)
	x := g.Input(4, 1)
	p, err := g.Train(g.Sum(g.BatchNorm("n", x)))
	if err != nil {
		t.Fatal(err)
	}
	copy(x.Value(), []float32{1, 2, 3, 6}) // mean 3, variance 14/4, unbiased 14/3
	for range 400 {
		p.Forward()
	}
	e := NewGraph(ps)
	e.Training = false
	in := e.Input(2, 1)
	y := e.BatchNorm("n", in)
	q, err := e.Infer(y)
	if err != nil {
		t.Fatal(err)
	}
	copy(in.Value(), []float32{3, 4})
	q.Forward()
	if want := 1 / math.Sqrt(14.0/3+1e-5); math.Abs(float64(y.Value()[0])) > 1e-5 || math.Abs(float64(y.Value()[1])-want) > 1e-5 {
		t.Errorf("%v, want 0 and %g", y.Value(), want)
	}
}

// attended is plain attention over whole rows of scores.
func attended(q, k, v []float64, batch, queries, keys, d, heads int, causal bool, lengths []int32) []float64 {
	y := make([]float64, batch*queries*d)
	w := d / heads
	for b := range batch {
		for h := range heads {
			for i := range queries {
				p, sum := make([]float64, keys), 0.0
				for j := range keys {
					if causal && j > i+keys-queries || lengths != nil && j >= int(lengths[b]) {
						continue
					}
					s := 0.0
					for c := range w {
						s += q[(b*queries+i)*d+h*w+c] * k[(b*keys+j)*d+h*w+c]
					}
					p[j] = math.Exp(s / math.Sqrt(float64(w)))
					sum += p[j]
				}
				for j, e := range p {
					for c := range w {
						if sum > 0 {
							y[(b*queries+i)*d+h*w+c] += e / sum * v[(b*keys+j)*d+h*w+c]
						}
					}
				}
			}
		}
	}
	return y
}

func TestAttention(t *testing.T) {
	var cases []opCase
	for _, c := range []struct {
		queries, keys int
		causal        bool
		lengths       []int32
	}{{5, 5, false, nil}, {5, 5, true, nil}, {3, 6, true, nil}, {6, 3, true, nil}, {4, 7, false, []int32{3, 0}}, {4, 4, true, []int32{2, 9}}} {
		mask := func(g *Graph) Mask {
			m := Mask{Causal: c.causal}
			if c.lengths != nil {
				m.Lengths = g.Ints(2)
				copy(m.Lengths.Values, c.lengths)
			}
			return m
		}
		cases = append(cases, opCase{fmt.Sprint(c), [][]int{{2, c.queries, 4}, {2, c.keys, 4}, {2, c.keys, 4}}, func(g *Graph, x []*Node) *Node { return g.Attention(x[0], x[1], x[2], 2, mask(g)) },
			func(x [][]float64) []float64 {
				return attended(x[0], x[1], x[2], 2, c.queries, c.keys, 4, 2, c.causal, c.lengths)
			}, -1, 1})
		if c.queries != c.keys {
			continue
		}
		cases = append(cases, opCase{"itself " + fmt.Sprint(c), [][]int{{2, c.queries, 4}}, func(g *Graph, x []*Node) *Node { return g.Attention(x[0], x[0], x[0], 1, mask(g)) },
			func(x [][]float64) []float64 {
				return attended(x[0], x[0], x[0], 2, c.queries, c.keys, 4, 1, c.causal, c.lengths)
			}, -1, 1}, opCase{"side by side " + fmt.Sprint(c), [][]int{{2, c.queries, 12}}, func(g *Graph, x []*Node) *Node { return g.SelfAttention(x[0], 2, mask(g)) },
			func(x [][]float64) []float64 {
				var part [3][]float64
				for i, v := range x[0] {
					part[i%12/4] = append(part[i%12/4], v)
				}
				return attended(part[0], part[1], part[2], 2, c.queries, c.keys, 4, 2, c.causal, c.lengths)
			}, -1, 1})
	}
	checkAll(t, cases)
}

// TestAttentionInTiles has more queries and keys than a tile holds: against whole rows, and its gradient against that of
// the same from matmul and softmax.
func TestAttentionInTiles(t *testing.T) {
	const s, d = 300, 4
	values, slopes := make([][]float32, 2), make([][]float32, 2)
	for way := range 2 {
		g := NewGraph(NewParams(1))
		q, k, v := g.Variable(2, s, d), g.Variable(2, s, d), g.Variable(2, s, d)
		weight, mask := g.Input(2, s, d), g.Input(s, s)
		var y *Node
		if way == 0 {
			y = g.Attention(q, k, v, 1, Mask{Causal: true})
		} else {
			y = g.MatMul(g.Softmax(g.Add(g.Scale(g.MatMul(q, k, false, true), 0.5, 0), mask)), v, false, false)
		}
		p, err := g.Train(g.Sum(g.Mul(y, weight)), y)
		if err != nil {
			t.Fatal(err)
		}
		for i := range q.Value() {
			for j, n := range []*Node{q, k, v, weight} {
				n.Value()[i] = float32(4 * normalAt(uint64(j), uint64(i)))
			}
		}
		for i := range mask.Value() {
			if i%s > i/s {
				mask.Value()[i] = -1e9
			}
		}
		p.Forward()
		p.Backward()
		values[way] = slices.Clone(y.Value())
		for _, n := range []*Node{q, k, v} {
			slopes[way] = append(slopes[way], n.Gradient()...)
		}
	}
	for i, v := range values[1] {
		if d := math.Abs(float64(values[0][i] - v)); d > 2e-5 {
			t.Fatalf("value %d is %v, want %v", i, values[0][i], v)
		}
	}
	for i, v := range slopes[1] {
		if d := math.Abs(float64(slopes[0][i] - v)); d > 1e-3*(1+math.Abs(float64(v))) {
			t.Fatalf("slope %d is %v, want %v", i, slopes[0][i], v)
		}
	}
}

func TestCells(t *testing.T) {
	s := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	checkAll(t, []opCase{
		{"LSTM", [][]int{{2, 12}, {2, 3}}, func(g *Graph, x []*Node) *Node {
			c := g.LSTMCell(x[0], x[1])
			return g.Concat(1, c, g.LSTMOutput(x[0], c))
		}, func(x [][]float64) (y []float64) {
			for b := range 2 {
				var c, h []float64
				for j := range 3 {
					gate := func(i int) float64 { return x[0][b*12+i*3+j] }
					c = append(c, s(gate(1))*x[1][b*3+j]+s(gate(0))*math.Tanh(gate(2)))
					h = append(h, s(gate(3))*math.Tanh(c[j]))
				}
				y = append(append(y, c...), h...)
			}
			return y
		}, 0, 0},
		{"GRU", [][]int{{2, 9}, {2, 9}, {2, 3}}, func(g *Graph, x []*Node) *Node { return g.GRUCell(x[0], x[1], x[2]) }, func(x [][]float64) (y []float64) {
			for b := range 2 {
				for j := range 3 {
					v := func(side, i int) float64 { return x[side][b*9+i*3+j] }
					r, z := s(v(0, 0)+v(1, 0)), s(v(0, 1)+v(1, 1))
					y = append(y, (1-z)*math.Tanh(v(0, 2)+r*v(1, 2))+z*x[2][b*3+j])
				}
			}
			return y
		}, 0, 0},
	})
}

// TestRecurrentLayers runs whole sequences the plain way: x and parameters in the order weight_ih, bias_ih, weight_hh, bias_hh.
func TestRecurrentLayers(t *testing.T) {
	const batch, steps, in, w = 2, 3, 2, 3
	s := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	// side is W·v + b, gate by gate.
	side := func(weight, bias, v []float64) []float64 {
		y := slices.Clone(bias)
		for i := range y {
			for j, u := range v {
				y[i] += weight[i*len(v)+j] * u
			}
		}
		return y
	}
	layer := func(next func(a, b, h, c []float64)) func([][]float64) []float64 {
		return func(x [][]float64) (y []float64) {
			for b := range batch {
				h, c := make([]float64, w), make([]float64, w)
				for step := range steps {
					v := x[0][(b*steps+step)*in:][:in]
					next(side(x[1], x[2], v), side(x[3], x[4], h), h, c)
					y = append(y, h...)
				}
			}
			return y
		}
	}
	checkAll(t, []opCase{
		{"LSTM", [][]int{{batch, steps, in}}, func(g *Graph, x []*Node) *Node { return g.LSTM("r", x[0], w) }, layer(func(a, b, h, c []float64) {
			for j := range w {
				gate := func(i int) float64 { return a[i*w+j] + b[i*w+j] }
				c[j] = s(gate(1))*c[j] + s(gate(0))*math.Tanh(gate(2))
				h[j] = s(gate(3)) * math.Tanh(c[j])
			}
		}), 0, 0},
		{"GRU", [][]int{{batch, steps, in}}, func(g *Graph, x []*Node) *Node { return g.GRU("r", x[0], w) }, layer(func(a, b, h, _ []float64) {
			for j := range w {
				r, z := s(a[j]+b[j]), s(a[w+j]+b[w+j])
				h[j] = (1-z)*math.Tanh(a[2*w+j]+r*b[2*w+j]) + z*h[j]
			}
		}), 0, 0},
	})
}
