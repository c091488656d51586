package claim

import (
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// gradientRows is how many rows a graph is built for.
const gradientRows = 250

// Gradient returns the derivative by each row's inputs of a loss that is a sum over rows. build adds the loss to a graph that
// holds the outputs of all layers, the hidden ones after their ReLU, for the given number of rows; the function that it
// returns, if any, is called with the place of the first row before each pass.
func (p Perceptron) Gradient(in *data.Table, build func(g *net.Graph, layers []*net.Node) (loss *net.Node, feed func(first int))) (*data.Table, error) {
	n, d := in.Dims()
	out := make([]float32, 0, n*d)
	var program *net.Program
	var x *net.Node
	var feed func(first int)
	for lo := 0; lo < n; lo += gradientRows {
		rows := min(gradientRows, n-lo)
		if program == nil || x.Shape()[0] != rows {
			params := net.NewParams(0)
			for _, t := range p.Tensors() {
				if err := params.Put(t); err != nil {
					return nil, err
				}
			}
			g := net.NewGraph(params)
			g.Training = false
			x = g.Variable(rows, d)
			var layers []*net.Node
			h := x
			for i, t := range p.Tensors() {
				if i%2 == 1 { // the bias goes with the weight
					continue
				}
				h = g.Dense(strings.TrimSuffix(t.Name, ".weight"), h, t.Shape[0])
				if i < len(p.Tensors())-2 {
					h = g.ReLU(h)
				}
				layers = append(layers, h)
			}
			var err error
			var loss *net.Node
			loss, feed = build(g, layers)
			if program, err = g.Train(loss); err != nil {
				return nil, err
			}
		}
		copy(x.Value(), in.X()[lo*d:(lo+rows)*d])
		if feed != nil {
			feed(lo)
		}
		program.Forward()
		program.Backward()
		out = append(out, x.Gradient()...)
	}
	return data.NewTable(n, d, out)
}

// Attacked moves every value of labelled inputs by step in the direction in which the loss of the right class grows, and
// back into [0, 1]: the fast gradient sign method of Goodfellow et al. (2015).
func (p Perceptron) Attacked(in *data.Table, step float32) (*data.Table, error) {
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	gradient, err := p.Gradient(in, func(g *net.Graph, layers []*net.Node) (*net.Node, func(int)) {
		logits := layers[len(layers)-1]
		classes := g.Ints(logits.Shape()[0])
		return g.CrossEntropy(logits, classes, net.Targets{}), func(first int) {
			for i := range classes.Values {
				classes.Values[i] = int32(labels[first+i])
			}
		}
	})
	if err != nil {
		return nil, err
	}
	n, d := in.Dims()
	x := make([]float32, n*d)
	for i, v := range in.X() {
		switch g := gradient.X()[i]; {
		case g > 0:
			v += step
		case g < 0:
			v -= step
		}
		x[i] = min(max(v, 0), 1)
	}
	return data.NewTable(n, d, x)
}
