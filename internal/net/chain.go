package net

import (
	"fmt"
	"math"
	"slices"
)

// Chain is a network of one layer after the other, read off its parameters: 3×3 or other odd square convolutions at stride
// 1, each with ReLU and 2×2 max-pooling after it, then linear layers with ReLU between them. What [Graph.ConvNet] and
// [Graph.MLP] with ReLU make is one, and so is a [Net].
type Chain struct {
	layers []chainLayer
	side   int // of images, when it begins with a convolution
	inputs int
	tensor []Tensor
}

type chainLayer struct {
	name   string
	out    int
	kernel int // 0: linear
}

// NewChain reads the network for rows of the given number of inputs, which a convolution takes as square images [side,
// side, channels]. Layers come in the natural order of their names. Errors say which tensor is missing, left over or does
// not fit.
func NewChain(tensors []Tensor, inputs int) (*Chain, error) {
	c := &Chain{inputs: inputs, tensor: slices.Clone(tensors)}
	byName := map[string]Tensor{}
	for _, t := range tensors {
		if _, twice := byName[t.Name]; twice || sizeOf(t.Shape) != len(t.Values) || len(t.Values) == 0 {
			return nil, fmt.Errorf("tensor %q %v has %d values, or is there twice", t.Name, t.Shape, len(t.Values))
		}
		byName[t.Name] = t
	}
	var names []string
	for _, t := range tensors {
		if layer, kind := cutLayer(t.Name); kind == "weight" {
			names = append(names, layer)
		}
	}
	slices.SortFunc(names, CompareNatural)
	if len(names) == 0 || 2*len(names) != len(tensors) {
		return nil, fmt.Errorf("%d tensors with %d weights among them: want a weight and a bias for every layer", len(tensors), len(names))
	}
	width, side := inputs, 0 // of rows, or channels of images of a side
	for i, name := range names {
		w, b := byName[joinLayer(name, "weight")], byName[joinLayer(name, "bias")]
		if len(b.Shape) != 1 || b.Shape[0] != w.Shape[0] {
			return nil, fmt.Errorf("tensor %q is %v, %q puts out %d", joinLayer(name, "bias"), b.Shape, w.Name, w.Shape[0])
		}
		l := chainLayer{name: name, out: w.Shape[0]}
		switch {
		case len(w.Shape) == 4 && w.Shape[1] == w.Shape[2] && w.Shape[1]%2 == 1 && (i == 0 || side > 0):
			if i == 0 {
				width = w.Shape[3]
				side = int(math.Round(math.Sqrt(float64(inputs) / float64(width))))
				if c.side = side; side*side*width != inputs {
					return nil, fmt.Errorf("tensor %q %v takes square images of %d channels, %d inputs are none", w.Name, w.Shape, width, inputs)
				}
			}
			if l.kernel = w.Shape[1]; w.Shape[3] != width || side < 2 {
				return nil, fmt.Errorf("tensor %q %v takes %d channels of images of at least 2×2, have %d of %d×%d", w.Name, w.Shape, w.Shape[3], width, side, side)
			}
			side /= 2
		case len(w.Shape) == 2:
			if side > 0 {
				width, side = width*side*side, 0
			}
			if w.Shape[1] != width {
				return nil, fmt.Errorf("tensor %q %v takes %d values, what is before it puts out %d", w.Name, w.Shape, w.Shape[1], width)
			}
		default:
			return nil, fmt.Errorf("tensor %q %v is not the [out in] weight of a linear layer, nor the [out k k in] weight of a convolution before those", w.Name, w.Shape)
		}
		width = l.out
		c.layers = append(c.layers, l)
	}
	return c, nil
}

// Params returns the parameters in a set of their own.
func (c *Chain) Params(seed uint64) *Params {
	ps := NewParams(seed)
	for _, t := range c.tensor {
		ps.put(&Param{Name: t.Name, Shape: slices.Clone(t.Shape), Values: slices.Clone(t.Values)})
	}
	return ps
}

// Build adds the network to a graph over [Chain.Params]; x is [rows, inputs]. It returns what each layer puts out, images
// [rows, height, width, channels] and rows [rows, out], after what follows it: the last one is the network's output.
func (c *Chain) Build(g *Graph, x *Node) []*Node { return c.BuildThrough(g, x, len(c.layers), nil) }

// BuildThrough is [Chain.Build] of the first layers alone, with what after, unless nil, makes of each one's output in its place.
func (c *Chain) BuildThrough(g *Graph, x *Node, layers int, after func(layer int, x *Node) *Node) []*Node {
	rows := x.shape[0]
	if c.side > 0 {
		x = g.Reshape(x, rows, c.side, c.side, -1)
	}
	var outs []*Node
	for i, l := range c.layers[:layers] {
		if l.kernel > 0 {
			x = g.MaxPool(g.ReLU(g.Conv(l.name, x, l.out, l.kernel, Same(l.kernel, 1))), 2, Window{Stride: [2]int{2, 2}})
		} else {
			x = g.Dense(l.name, g.Reshape(x, rows, -1), l.out)
			if i < len(c.layers)-1 {
				x = g.ReLU(x)
			}
		}
		if after != nil {
			x = after(i, x)
		}
		outs = append(outs, x)
	}
	return outs
}

// Widths are what the layers put out, values of a row or channels of an image, first to last.
func (c *Chain) Widths() (widths []int) {
	for _, l := range c.layers {
		widths = append(widths, l.out)
	}
	return widths
}

// Weights names the layers' weights, in their order.
func (c *Chain) Weights() []string { return c.named("weight") }

// Biases names the layers' biases, in their order.
func (c *Chain) Biases() []string { return c.named("bias") }

func (c *Chain) named(kind string) (names []string) {
	for _, l := range c.layers {
		names = append(names, joinLayer(l.name, kind))
	}
	return names
}

// Inputs is the length of a row.
func (c *Chain) Inputs() int { return c.inputs }

// Outputs runs rows of inputs through the network over these parameters and returns what its last layer puts out, rows×out.
func (c *Chain) Outputs(ps *Params, x []float32, rows int) ([]float32, error) {
	var out []float32
	var p *Program
	var input, last *Node
	for lo := 0; lo < rows; lo += blockRows {
		block := min(blockRows, rows-lo)
		if p == nil || input.shape[0] != block {
			g := NewGraph(ps)
			g.Training = false
			input = g.Input(block, c.inputs)
			outs := c.Build(g, input)
			last = outs[len(outs)-1]
			var err error
			if p, err = g.Infer(last); err != nil {
				return nil, err
			}
		}
		copy(input.Value(), x[lo*c.inputs:(lo+block)*c.inputs])
		p.Forward()
		out = append(out, last.Value()...)
	}
	return out, nil
}
