package net

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestErrorsNameOperationAndShapes(t *testing.T) {
	for want, build := range map[string]func(g *Graph) *Node{
		"linear: input [2 3], weight [4 5]":                   func(g *Graph) *Node { return g.Linear(g.Input(2, 3), g.Input(4, 5), nil) },
		"add: shapes [2 3] and [4] do not broadcast":          func(g *Graph) *Node { return g.Sum(g.ReLU(g.Add(g.Input(2, 3), g.Input(4)))) },
		`parameter "w" is [2], the network wants [3]`:         func(g *Graph) *Node { g.Param("w", Constant(0), 2); return g.Param("w", Constant(0), 3) },
		"reshape: [2 3] has 6 values, [4 -1] does not":        func(g *Graph) *Node { return g.Reshape(g.Input(2, 3), 4, -1) },
		"input of shape [0 3]":                                func(g *Graph) *Node { return g.Input(0, 3) },
		"the loss has shape [2 3], not one value":             func(g *Graph) *Node { return g.Variable(2, 3) },
		"the loss does not depend on any parameter":           func(g *Graph) *Node { return g.Sum(g.Input(2, 3)) },
		"cross-entropy: logits [2 3] for 5 labels":            func(g *Graph) *Node { return g.CrossEntropy(g.Input(2, 3), g.Ints(5), Targets{}) },
		"matmul: shapes [2 3] and [2 3], transposed":          func(g *Graph) *Node { return g.MatMul(g.Input(2, 3), g.Input(2, 3), false, false) },
		"slice: 1 to 9 of axis 0 of shape [2 3]":              func(g *Graph) *Node { return g.Slice(g.Input(2, 3), 0, 1, 9) },
		"sum: axes [0 0] of a tensor of shape [2 3]":          func(g *Graph) *Node { return g.Sum(g.Input(2, 3), 0, 0) },
		"transpose: order [0 0] for shape [2 3]":              func(g *Graph) *Node { return g.Transpose(g.Input(2, 3), 0, 0) },
		"concat along axis 0: shapes [2 3] and [2 4]":         func(g *Graph) *Node { return g.Concat(0, g.Input(2, 3), g.Input(2, 4)) },
		"dropout: share 1 of shape [2 3]":                     func(g *Graph) *Node { return g.Dropout(g.Input(2, 3), 1) },
		"embedding: 3 indices as [2] of a table of shape [4]": func(g *Graph) *Node { return g.Embedding(g.Input(4), g.Ints(3), 2) },
	} {
		g := NewGraph(NewParams(1))
		if _, err := g.Train(build(g)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestDropout(t *testing.T) {
	pass := func(batch []int) ([]float32, []float32) {
		g := NewGraph(NewParams(1))
		x := g.Variable(len(batch), 1000)
		y := g.Dropout(x, 0.3)
		p, err := g.Train(g.Sum(y), y)
		if err != nil {
			t.Fatal(err)
		}
		fill(x.Value(), 1)
		p.SetNoise(5, batch)
		p.Forward()
		p.Backward()
		return slices.Clone(y.Value()), x.Gradient()
	}
	all, slope := pass([]int{4, 9, 2})
	if !slices.Equal(all, slope) {
		t.Error("the slope of kept values must be their scale, of others zero")
	}
	if one, _ := pass([]int{9}); !slices.Equal(one, all[1000:2000]) {
		t.Error("a row's noise depends on its batch")
	}
	// 3000 draws: the share's standard error is 0.0084, the mean's of values 0 and 1/0.7 is 0.012.
	if mean := sumOf(all) / 3000; math.Abs(mean-1) > 0.05 {
		t.Errorf("mean %g, want 1", mean)
	}
	g := NewGraph(NewParams(1))
	g.Training = false
	if x := g.Input(2, 2); g.Dropout(x, 0.5) != x {
		t.Error("dropout outside training")
	}
}

func TestStepAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector empties pools at random")
	}
	ps := NewParams(1)
	g := NewGraph(ps)
	x, labels := g.Input(8, 8, 8, 2), g.Ints(8)
	h := g.Dropout(g.GELU(g.BatchNorm("n", g.Conv("a", x, 16, 3, Same(3, 1)))), 0.1)
	h = g.MaxPool(g.Conv("d", h, 16, 3, Window{Groups: 16, Pad: [4]int{1, 1, 1, 1}}), 2, Window{Stride: [2]int{2, 2}})
	s := g.Reshape(h, 8, 16, 16)
	s = Transformer{Layers: 1, Heads: 2, Hidden: 8, Dropout: 0.1}.Encoder(g, "t", s, Mask{Causal: true})
	s = g.GRU("r", s, 4)
	s = g.Mul(g.Softmax(s), g.Param("s", Constant(1), 4))
	p, err := g.Train(g.CrossEntropy(g.Dense("c", g.Max(s, 1), 5), labels, Targets{}))
	if err != nil {
		t.Fatal(err)
	}
	o := &Optimiser{Rule: Adam, Rate: 1e-3, ClipNorm: 1}
	step := func() {
		p.Forward()
		ps.ZeroGradients()
		p.Backward()
		o.Step(ps, 1)
	}
	step()
	if n := testing.AllocsPerRun(20, step); n != 0 {
		t.Errorf("a step allocates %g times", n)
	}
}

func TestGradientsOnAnyThreads(t *testing.T) {
	run := func() []float32 {
		ps := NewParams(1)
		g := NewGraph(ps)
		x, labels := g.Input(1200, 40), g.Ints(1200)
		h := g.Mul(g.Tanh(g.Dense("a", x, 50)), g.Param("s", Constant(1), 50))
		p, err := g.Train(g.CrossEntropy(g.Dense("c", h, 5), labels, Targets{}))
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(1, 1))
		for i := range x.Value() {
			x.Value()[i] = float32(r.NormFloat64())
		}
		p.Forward()
		p.Backward()
		var all []float32
		for _, q := range ps.All() {
			all = append(all, q.Gradient()...)
		}
		return all
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := run()
	for _, n := range []int{2, 3, 8} {
		runtime.GOMAXPROCS(n)
		if !slices.Equal(run(), want) {
			t.Errorf("%d threads give other gradients", n)
		}
	}
}
