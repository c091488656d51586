package claim

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

func TestPerceptronGradient(t *testing.T) {
	const n, d = 260, 5 // more than one graph's rows, and a rest
	r := rand.New(rand.NewPCG(1, 1))
	x, labels := make([]float32, n*d), make([]int, n)
	for i := range x {
		x[i] = r.Float32()
	}
	for i := range labels {
		labels[i] = i % 3
	}
	in, _ := data.NewTable(n, d, x)
	in, _ = in.WithLabels(labels, Numbers(3))
	p := Perceptron{net.New(1, d, 8, 3)}
	sum := func(in *data.Table) float64 { // of the first output and the second hidden value
		z, err := p.Logits(in)
		if err != nil {
			t.Fatal(err)
		}
		h, err := p.Hidden(1, in)
		if err != nil {
			t.Fatal(err)
		}
		return float64(z.Row(0)[0]) + float64(h.Row(0)[1])
	}
	g, err := p.Gradient(in, func(g *net.Graph, layers []*net.Node) (*net.Node, func(int)) {
		return g.Add(g.Sum(g.Slice(layers[1], 1, 0, 1)), g.Sum(g.Slice(layers[0], 1, 1, 2))), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 17, 255, 259} {
		for j := range d {
			const step = 1.0 / 256
			moved := func(by float32) *data.Table {
				row := append([]float32(nil), in.Row(i)...)
				row[j] += by
				out, _ := data.NewTable(1, d, row)
				return out
			}
			want := (sum(moved(step)) - sum(moved(-step))) / (2 * step)
			if have := float64(g.Row(i)[j]); math.Abs(have-want) > 1e-3+0.02*math.Abs(want) {
				t.Errorf("row %d, column %d: %g, by differences %g", i, j, have, want)
			}
		}
	}
	attacked, err := p.Attacked(in, 0.1)
	if err != nil {
		t.Fatal(err)
	}
	loss := func(in *data.Table) float64 {
		l, _ := p.Loss(net.Objective{Scale: 1}, in.X(), labels, nil)
		return l
	}
	if a, b := loss(in), loss(attacked); b <= a {
		t.Errorf("loss %g, after the attack %g", a, b)
	}
	for i, v := range attacked.X() {
		if v < 0 || v > 1 || math.Abs(float64(v-x[i])) > 0.1+1e-6 {
			t.Fatalf("value %d moved from %g to %g", i, x[i], v)
		}
	}
}
