package net

import (
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
