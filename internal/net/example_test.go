package net_test

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/internal/net"
)

// A perceptron learns exclusive or: the network once, then a recipe.
func ExampleTrainer() {
	rows, classes := []float32{0, 0, 0, 1, 1, 0, 1, 1}, []int32{0, 1, 1, 0}
	model := func(g *net.Graph, x *net.Node) *net.Node {
		return g.MLP("net", x, (*net.Graph).Tanh, 8, 2)
	}
	params := net.NewParams(1)
	trainer, err := net.NewTrainer(net.Loop{Epochs: 200, Batch: 4, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 0.05}}, params, net.Task{
		Rows: 4,
		Build: func(g *net.Graph, n int) (*net.Node, func(net.Batch)) {
			x, labels := g.Input(n, 2), g.Ints(n)
			return g.CrossEntropy(model(g, x), labels, net.Targets{}), func(b net.Batch) {
				for i, row := range b.Rows {
					copy(x.Value()[2*i:], rows[2*row:2*row+2])
					labels.Values[i] = classes[row]
				}
			}
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := trainer.Run(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	g := net.NewGraph(params)
	g.Training = false
	x := g.Constant(rows, 4, 2)
	z := model(g, x)
	p, err := g.Infer(z)
	if err != nil {
		fmt.Println(err)
		return
	}
	p.Forward()
	for i := range 4 {
		fmt.Println(rows[2*i:2*i+2], z.Value()[2*i+1] > z.Value()[2*i])
	}
	// Output:
	// [0 0] false
	// [0 1] true
	// [1 0] true
	// [1 1] false
}
