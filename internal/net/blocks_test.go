package net

import (
	"math"
	"slices"
	"testing"
)

// run computes one pass outside training with inputs drawn by seed, and returns inputs and outputs.
func run(t *testing.T, ps *Params, build func(g *Graph, x []*Node) *Node, shapes [][]int, change func(x [][]float32)) []float32 {
	t.Helper()
	g := NewGraph(ps)
	g.Training = false
	var x []*Node
	var values [][]float32
	for i, s := range shapes {
		x = append(x, g.Input(s...))
		for j := range x[i].Value() {
			x[i].Value()[j] = float32(normalAt(uint64(i), uint64(j)))
		}
		values = append(values, x[i].Value())
	}
	y := build(g, x)
	p, err := g.Infer(y)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(values)
	}
	p.Forward()
	return slices.Clone(y.Value())
}

var blocks = []struct {
	name   string
	shapes [][]int
	out    []int
	build  func(g *Graph, x []*Node) *Node
}{
	{"MLP", [][]int{{4, 5}}, []int{4, 3}, func(g *Graph, x []*Node) *Node { return g.MLP("b", x[0], (*Graph).Tanh, 7, 3) }},
	{"convolutional network", [][]int{{3, 8, 8, 2}}, []int{3, 5}, func(g *Graph, x []*Node) *Node { return g.ConvNet("b", x[0], 5, 4, 6) }},
	{"residual network", [][]int{{3, 8, 8, 2}}, []int{3, 5}, func(g *Graph, x []*Node) *Node { return g.ResNet("b", x[0], 5, 2, 4, 6) }},
	{"strided convolutional network", [][]int{{3, 9, 8, 2}}, []int{3, 5}, func(g *Graph, x []*Node) *Node { return g.StridedConvNet("b", x[0], 5, 4, 6) }},
	{"encoder", [][]int{{3, 6, 8}}, []int{3, 6, 8}, func(g *Graph, x []*Node) *Node {
		return Transformer{Layers: 2, Heads: 2, Hidden: 12}.Encoder(g, "b", x[0], Mask{})
	}},
	{"decoder", [][]int{{3, 6, 8}, {3, 4, 5}}, []int{3, 6, 8}, func(g *Graph, x []*Node) *Node {
		return Transformer{Layers: 2, Heads: 2, Hidden: 12}.Decoder(g, "b", x[0], x[1], Mask{})
	}},
	{"patch mixer", [][]int{{3, 6, 4}}, []int{3, 6, 4}, func(g *Graph, x []*Node) *Node { return g.PatchMixer("b", x[0], 2, 5, 7) }},
	{"MLP denoiser", [][]int{{4, 3}, {4}}, []int{4, 3}, func(g *Graph, x []*Node) *Node { return g.MLPDenoiser("b", x[0], x[1], 12, 2) }},
	{"U-Net", [][]int{{2, 8, 4, 3}, {2}}, []int{2, 8, 4, 3}, func(g *Graph, x []*Node) *Node { return g.UNet("b", x[0], x[1], 6, 8, 8) }},
	{"LSTM", [][]int{{3, 5, 4}}, []int{3, 5, 6}, func(g *Graph, x []*Node) *Node { return g.LSTM("b", x[0], 6) }},
	{"GRU", [][]int{{3, 5, 4}}, []int{3, 5, 6}, func(g *Graph, x []*Node) *Node { return g.GRU("b", x[0], 6) }},
}

// TestBlocks takes the loss along its gradient by all parameters: the slope there is the gradient's squared norm.
func TestBlocks(t *testing.T) {
	for _, b := range blocks {
		t.Run(b.name, func(t *testing.T) {
			ps := NewParams(2)
			g := NewGraph(ps)
			var x []*Node
			for i, s := range b.shapes {
				x = append(x, g.Input(s...))
				for j := range x[i].Value() {
					x[i].Value()[j] = float32(normalAt(uint64(i), uint64(j)))
				}
			}
			y := b.build(g, x)
			if g.Err() == nil && !slices.Equal(y.Shape(), b.out) {
				t.Fatalf("shape %v, want %v", y.Shape(), b.out)
			}
			target := make([]float32, y.Size())
			for i := range target {
				target[i] = float32(normalAt(99, uint64(i)))
			}
			p, err := g.Train(g.MSE(y, g.Constant(target, y.Shape()...)))
			if err != nil {
				t.Fatal(err)
			}
			loss := func() float64 { p.Forward(); return p.Loss() }
			first := loss()
			ps.ZeroGradients()
			p.Backward()
			square := 0.0
			for _, q := range ps.All() {
				for _, v := range q.Gradient() {
					square += float64(v) * float64(v)
				}
			}
			if !(square > 1e-6) {
				t.Fatalf("squared norm of the gradient %g", square)
			}
			move := func(step float64) {
				for _, q := range ps.All() {
					for i, v := range q.Gradient() {
						q.Values[i] += float32(step * float64(v))
					}
				}
			}
			h := 3e-4 / math.Sqrt(square) // far above float32's rounding, short against curvature
			move(h)
			up := loss()
			move(-2 * h)
			down := loss()
			move(h)
			if slope := (up - down) / (2 * h); math.Abs(slope/square-1) > 0.03 {
				t.Errorf("slope along the gradient %g, want %g", slope, square)
			}
			o := Optimiser{Rule: Adam, Rate: 0.01}
			for range 60 {
				p.Forward()
				ps.ZeroGradients()
				p.Backward()
				o.Step(ps, 1)
			}
			if last := loss(); !(last < 0.7*first) {
				t.Errorf("60 steps take the loss from %g to %g", first, last)
			}
		})
	}
}

// TestBlocksOutsideTrainingKeepRowsApart: an entry's output does not depend on the others in its batch.
func TestBlocksOutsideTrainingKeepRowsApart(t *testing.T) {
	for _, b := range blocks {
		ps := NewParams(2)
		all := run(t, ps, b.build, b.shapes, nil)
		again := run(t, ps, b.build, b.shapes, func(x [][]float32) {
			for i, v := range x {
				for j := sizeOf(b.shapes[i][1:]); j < len(v); j++ {
					v[j] = -v[j]
				}
			}
		})
		if first := sizeOf(b.out[1:]); !slices.Equal(all[:first], again[:first]) || slices.Equal(all[first:], again[first:]) {
			t.Errorf("%s: the first entry must depend on itself alone, the others on themselves", b.name)
		}
	}
}

// TestDecoderSeesNoLaterStep changes the last step of the input.
func TestDecoderSeesNoLaterStep(t *testing.T) {
	b := blocks[slices.IndexFunc(blocks, func(b struct {
		name   string
		shapes [][]int
		out    []int
		build  func(g *Graph, x []*Node) *Node
	}) bool {
		return b.name == "decoder"
	})]
	ps := NewParams(2)
	all := run(t, ps, b.build, b.shapes, nil)
	again := run(t, ps, b.build, b.shapes, func(x [][]float32) { x[0][5*8] += 1 })
	if !slices.Equal(all[:5*8], again[:5*8]) || slices.Equal(all[5*8:6*8], again[5*8:6*8]) {
		t.Error("a step sees a later one, or not itself")
	}
}

func TestUpsampleAndWaves(t *testing.T) {
	y := run(t, NewParams(1), func(g *Graph, x []*Node) *Node { return g.Upsample(x[0], 2) }, [][]int{{1, 1, 2, 1}}, func(x [][]float32) { copy(x[0], []float32{3, 4}) })
	if !slices.Equal(y, []float32{3, 3, 4, 4, 3, 3, 4, 4}) {
		t.Errorf("upsampled: %v", y)
	}
	y = run(t, NewParams(1), func(g *Graph, x []*Node) *Node { return g.Waves(x[0], 4, 1) }, [][]int{{1}}, func(x [][]float32) { x[0][0] = 2 })
	for i, want := range []float64{math.Sin(2), math.Sin(0.02), math.Cos(2), math.Cos(0.02)} {
		if math.Abs(float64(y[i])-want) > 1e-6 {
			t.Errorf("wave %d is %v, want %g", i, y[i], want)
		}
	}
}
