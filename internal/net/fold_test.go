package net

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFoldedNormalisation compares a pass that folds normalisation and ReLU into convolutions with one that is asked for
// every value in between, which forbids it; then with itself on an image alone.
func TestFoldedNormalisation(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	params := NewParams(3)
	build := func(batch int) (g *Graph, x *Node, inner []*Node, y *Node) {
		g = NewGraph(params)
		g.Training = false
		x = g.Input(batch, 9, 8, 4)
		keep := func(n *Node) *Node { inner = append(inner, n); return n }
		grouped := Same(3, 2)
		grouped.Groups = 2
		h := keep(g.ReLU(keep(g.BatchNorm("n0", keep(g.Conv("c0", x, 6, 3, grouped))))))
		s := keep(g.BatchNorm("n1", keep(g.Conv2D(h, g.Param("c1", HeNormal, 6, 1, 1, 6), nil, Window{}))))
		h = keep(g.ReLU(keep(g.Add(h, s))))
		h = keep(g.ReLU(keep(g.Conv("c2", h, 5, 3, Same(3, 1)))))
		h = keep(g.Conv("c3", h, 5, 3, Same(3, 1))) // read twice: not to be folded
		return g, x, inner, g.Add(keep(g.BatchNorm("n2", h)), h)
	}
	run := func(batch int, images []float32, all bool) []float32 {
		g, x, inner, y := build(batch)
		outputs := []*Node{y}
		if all {
			outputs = append(outputs, inner...)
		}
		p, err := g.Infer(outputs...)
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 8, true: 12}[all]; len(p.ops) != want {
			t.Errorf("%d operations, want %d", len(p.ops), want)
		}
		copy(x.Value(), images)
		p.Forward()
		first := slices.Clone(y.Value())
		if p.Forward(); !slices.Equal(first, y.Value()) {
			t.Error("a second pass differs")
		}
		return first
	}
	images := make([]float32, 3*9*8*4)
	for i := range images {
		images[i] = float32(r.NormFloat64())
	}
	run(3, images, true) // makes the parameters
	for i := range 3 {
		for name, least := range map[string]float64{"running_mean": -1, "running_var": 0.2, "weight": -1, "bias": -1} {
			for j := range params.Get(fmt.Sprintf("n%d.%s", i, name)).Values {
				params.Get(fmt.Sprintf("n%d.%s", i, name)).Values[j] = float32(least + 2*r.Float64())
			}
		}
	}
	want, have := run(3, images, true), run(3, images, false)
	for i, v := range want {
		if math.Abs(float64(v-have[i])) > 1e-4 { // values near 10 after five layers
			t.Errorf("value %d is %v folded, %v apart", i, have[i], v)
		}
	}
	n := len(want) / 3
	if one := run(1, images[9*8*4:], false); !slices.Equal(one, have[n:2*n]) {
		t.Error("an image alone has other bits")
	}
}
