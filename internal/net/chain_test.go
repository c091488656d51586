package net

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestChainIsTheNetworkThatItWasReadFrom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const rows, side = 3, 9
	x := make([]float32, rows*side*side*2)
	for i := range x {
		x[i] = r.Float32()
	}
	same := func(what string, tensors []Tensor, inputs int, want []float32) {
		t.Helper()
		c, err := NewChain(tensors, inputs)
		if err != nil {
			t.Fatal(err)
		}
		have, err := c.Outputs(c.Params(0), x, rows)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s: outputs %v, want %v", what, have, want)
		}
	}
	params := NewParams(1)
	g := NewGraph(params)
	g.Training = false
	in := g.Constant(x, rows, side, side, 2)
	out := g.ConvNet("enc", in, 5, 4, 6)
	p, err := g.Infer(out)
	if err != nil {
		t.Fatal(err)
	}
	p.Forward()
	same("convolutions", params.Tensors(), side*side*2, out.Value())
	n := New(2, side*side*2, 7, 4)
	same("linear layers", n.Tensors(), side*side*2, n.Logits(x, rows))

	for _, k := range []struct {
		tensors []Tensor
		inputs  int
		word    string
	}{
		{params.Tensors(), 161, "161"},
		{params.Tensors()[1:], 162, "bias"},
		{n.Tensors(), 161, "161"},
		{[]Tensor{{"a.weight", []int{2, 3, 4}, make([]float32, 24)}, {"a.bias", []int{2}, make([]float32, 2)}}, 12, "a.weight"},
		{[]Tensor{{"a.weight", []int{2, 3}, make([]float32, 6)}, {"a.bias", []int{3}, make([]float32, 3)}}, 3, "a.bias"},
		{nil, 3, "0 tensors"},
	} {
		if _, err := NewChain(k.tensors, k.inputs); err == nil || !strings.Contains(err.Error(), k.word) {
			t.Errorf("want an error that says %q, have %v", k.word, err)
		}
	}
}

// TestChainGradientByInputs differentiates a frozen network of convolutions by its inputs, and by differences.
func TestChainGradientByInputs(t *testing.T) {
	const rows, side = 2, 8
	params := NewParams(3)
	g := NewGraph(params)
	g.ConvNet("enc", g.Input(rows, side, side, 1), 5, 4, 6)
	c, err := NewChain(params.Tensors(), side*side)
	if err != nil {
		t.Fatal(err)
	}
	frozen := c.Params(0)
	for _, p := range frozen.All() {
		p.Frozen = true
	}
	g = NewGraph(frozen)
	x := g.Variable(rows, side*side)
	outs := c.Build(g, x)
	z := outs[len(outs)-1]
	weight := make([]float32, rows*5)
	r := rand.New(rand.NewPCG(4, 1))
	for i := range weight {
		weight[i] = float32(r.NormFloat64())
	}
	p, err := g.Train(g.Sum(g.Mul(z, g.Constant(weight, rows, 5))))
	if err != nil {
		t.Fatal(err)
	}
	for i := range x.Value() {
		x.Value()[i] = r.Float32()
	}
	p.Forward()
	p.Backward()
	gradient := slices.Clone(x.Gradient())
	const step = 1.0 / 4096
	for i := range gradient {
		at := x.Value()[i]
		x.Value()[i] = at + step
		p.Forward()
		up := p.Loss()
		x.Value()[i] = at - step
		p.Forward()
		down := p.Loss()
		x.Value()[i] = at
		if want := (up - down) / (2 * step); math.Abs(float64(gradient[i])-want) > 0.02+0.02*math.Abs(want) {
			t.Errorf("input %d: derivative %g, by differences %g", i, gradient[i], want)
		}
	}
}
