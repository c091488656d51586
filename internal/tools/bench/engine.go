package main

import (
	"fmt"

	"github.com/gimbal-ml/gimbal/internal/net"
)

// engineRows compare training steps and passes of networks with PyTorch's, same sizes and rule (Adam) on both sides.
func engineRows() []*row {
	var out []*row
	add := func(name, request string, prepare func() func()) {
		out = append(out, &row{name: name, threads: []int{1, 2}, peer: "engine", label: "PyTorch", goal: 1,
			request: func(reps int) string { return fmt.Sprintf("%s %d", request, reps) }, prepare: prepare})
	}
	add("training step, MLP 784×512×512×10, batch 256", "mlp 784 512 512 10 256", func() func() {
		return trainingStep(256, func(g *net.Graph) *net.Node {
			return g.MLP("net", g.Input(256, 784), (*net.Graph).ReLU, 512, 512, 10)
		})
	})
	add("training step, 2 layers of a transformer, width 128, 64 steps, batch 64", "transformer 128 64 64", func() func() {
		return trainingStep(64, func(g *net.Graph) *net.Node {
			h := net.Transformer{Layers: 2, Heads: 4, Hidden: 512}.Encoder(g, "net", g.Input(64, 64, 128), net.Mask{})
			return g.Dense("head", g.Mean(h, 1), 10)
		})
	})
	add("training step, convolutions 32, 64 at stride 2, batch 128", "strided 32 64 128", func() func() {
		return trainingStep(128, func(g *net.Graph) *net.Node {
			h := g.ReLU(g.Conv("0", g.Input(128, 28, 28, 1), 32, 3, net.Same(3, 2)))
			h = g.ReLU(g.Conv("1", h, 64, 3, net.Same(3, 2)))
			return g.Dense("head", g.Reshape(h, 128, -1), 10)
		})
	})
	add("training step, convolutions 32, 64 with pooling, batch 128", "pooled 32 64 128", func() func() {
		return trainingStep(128, func(g *net.Graph) *net.Node { return g.ConvNet("net", g.Input(128, 28, 28, 1), 10, 32, 64) })
	})
	add("attention and its gradient, 8 heads, 256 steps of width 64", "attention 8 256 64", attention)
	for _, batch := range []int{1, 128} {
		add(fmt.Sprintf("inference, ResNet 20, images 32×32, batch %d", batch), fmt.Sprintf("resnet 20 32 %d", batch), func() func() {
			g := net.NewGraph(net.NewParams(1))
			g.Training = false
			x := g.Input(batch, 32, 32, 3)
			p := ready(g.Infer(g.ResNet("net", x, 10, 3, 16, 32, 64)))
			copy(x.Value(), normals[float32](x.Size()))
			return p.Forward
		})
	}
	return out
}

// ready is for graphs that this command itself lays out.
func ready(p *net.Program, err error) *net.Program {
	if err != nil {
		panic(err)
	}
	return p
}

// trainingStep is forward, backward and Adam on the cross-entropy of ten classes; inputs are normal.
func trainingStep(batch int, model func(g *net.Graph) *net.Node) func() {
	params := net.NewParams(1)
	g := net.NewGraph(params)
	labels := g.Ints(batch)
	p := ready(g.Train(g.CrossEntropy(model(g), labels, net.Targets{})))
	for _, x := range g.Inputs() {
		copy(x.Value(), normals[float32](x.Size()))
	}
	for i := range labels.Values {
		labels.Values[i] = int32(i % 10)
	}
	o := net.Optimiser{Rule: net.Adam, Rate: 1e-3}
	return func() {
		p.Forward()
		params.ZeroGradients()
		p.Backward()
		o.Step(params, 1)
	}
}

func attention() func() {
	g := net.NewGraph(net.NewParams(1))
	q, k, v := g.Variable(1, 256, 512), g.Variable(1, 256, 512), g.Variable(1, 256, 512)
	p := ready(g.Train(g.Sum(g.Attention(q, k, v, 8, net.Mask{}))))
	for _, x := range g.Inputs() {
		copy(x.Value(), normals[float32](x.Size()))
	}
	return func() {
		p.Forward()
		p.Backward()
	}
}
