package net

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// Net is a stack of linear layers with ReLU between them. Its methods may run concurrently, but not beside training.
type Net struct {
	names []string  // L layers, first to last
	sizes []int     // L+1: inputs, hidden widths, outputs
	theta []float32 // each layer's weight [out, in] and bias [out], one after the other
}

// New makes a network of the given widths, inputs first and outputs last, with He-normal weights and zero biases.
// Layers are named "0", "2", "4" … as in a sequence in which the ReLUs take the odd numbers.
// Source: He et al. (2015), eq. (10): weights of variance 2/in.
func New(seed uint64, sizes ...int) *Net {
	n := &Net{sizes: slices.Clone(sizes)}
	r := rand.New(rand.NewPCG(hash(seed, 0), hash(seed, 1)))
	for l, in := range sizes[:len(sizes)-1] {
		out := sizes[l+1]
		n.names = append(n.names, strconv.Itoa(2*l))
		for range out * in {
			n.theta = append(n.theta, float32(r.NormFloat64()*math.Sqrt(2/float64(in))))
		}
		n.theta = append(n.theta, make([]float32, out)...)
	}
	return n
}

// FromTensors makes a network from its tensors, whose values it copies. Layers are taken in the natural order of their
// names ("fc9" before "fc10"). Errors say which tensor is missing, left over, or does not fit its neighbour.
func FromTensors(tensors []Tensor) (*Net, error) {
	byName := make(map[string]Tensor, len(tensors))
	n := &Net{}
	for _, t := range tensors {
		byName[t.Name] = t
		layer, kind := cutLayer(t.Name)
		switch {
		case kind == "weight" && len(t.Shape) == 2 && len(t.Values) == t.Shape[0]*t.Shape[1] && len(t.Values) > 0:
			n.names = append(n.names, layer)
		case kind == "bias" && len(t.Shape) == 1 && len(t.Values) == t.Shape[0]:
		default:
			return nil, fmt.Errorf("tensor %q %v is not the [out in] weight or the [out] bias of a linear layer", t.Name, t.Shape)
		}
	}
	if len(n.names) == 0 {
		return nil, fmt.Errorf("none of the %d tensors is a linear layer's weight", len(tensors))
	}
	slices.SortFunc(n.names, CompareNatural)
	for l, layer := range n.names {
		w := byName[joinLayer(layer, "weight")]
		b, ok := byName[joinLayer(layer, "bias")]
		switch {
		case !ok:
			return nil, fmt.Errorf("tensor %q is missing", joinLayer(layer, "bias"))
		case len(b.Values) != w.Shape[0]:
			return nil, fmt.Errorf("tensor %q has %d values, %q puts out %d", b.Name, len(b.Values), w.Name, w.Shape[0])
		case l > 0 && w.Shape[1] != n.sizes[l]:
			return nil, fmt.Errorf("tensor %q takes %d values, the layer before it, %q, puts out %d", w.Name, w.Shape[1], n.names[l-1], n.sizes[l])
		case l == 0:
			n.sizes = append(n.sizes, w.Shape[1])
		}
		n.sizes = append(n.sizes, w.Shape[0])
		n.theta = append(append(n.theta, w.Values...), b.Values...)
	}
	if len(tensors) != 2*len(n.names) {
		return nil, fmt.Errorf("%d tensors for %d layers: a bias has no weight, or two tensors share a name", len(tensors), len(n.names))
	}
	return n, nil
}

// cutLayer splits "fc1.weight" into "fc1" and "weight"; a lone linear layer's "weight" has an empty layer name.
func cutLayer(name string) (layer, kind string) {
	i := strings.LastIndexByte(name, '.')
	return name[:max(i, 0)], name[i+1:]
}

func joinLayer(layer, kind string) string {
	if layer == "" {
		return kind
	}
	return layer + "." + kind
}

// CompareNatural orders text, numbers in it by value.
func CompareNatural(a, b string) int {
	for a != "" && b != "" {
		x, restA := cutDigits(a)
		y, restB := cutDigits(b)
		if x != "" && y != "" {
			p, q := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(cmp.Compare(len(p), len(q)), cmp.Compare(p, q), cmp.Compare(len(x), len(y))); c != 0 {
				return c
			}
			a, b = restA, restB
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func cutDigits(s string) (digits, rest string) {
	rest = strings.TrimLeft(s, "0123456789")
	return s[:len(s)-len(rest)], rest
}

// Dims returns the numbers of inputs and outputs.
func (n *Net) Dims() (in, out int) { return n.sizes[0], n.sizes[len(n.sizes)-1] }

// Clone returns an independent copy.
func (n *Net) Clone() *Net { return &Net{n.names, n.sizes, slices.Clone(n.theta)} }

// Size returns the number of parameters.
func (n *Net) Size() int { return len(n.theta) }

// Tensors returns the parameters by name, sharing the network's memory.
func (n *Net) Tensors() []Tensor { return n.Named(n.theta) }

// Named gives the parts of a vector with one value for each parameter, such as a gradient, the parameters' names and shapes.
func (n *Net) Named(flat []float32) []Tensor {
	var ts []Tensor
	for l, name := range n.names {
		in, out := n.sizes[l], n.sizes[l+1]
		ts = append(ts, Tensor{joinLayer(name, "weight"), []int{out, in}, flat[:out*in]}, Tensor{joinLayer(name, "bias"), []int{out}, flat[out*in : out*in+out]})
		flat = flat[out*in+out:]
	}
	return ts
}

// blockRows is how many rows pass through the network at a time: memory stays small and sums have one fixed order.
const blockRows = 256

// params returns the parameters, sharing the network's memory.
func (n *Net) params() *Params {
	ps := NewParams(0)
	for _, t := range n.Tensors() {
		ps.put(&Param{Name: t.Name, Shape: t.Shape, Values: t.Values})
	}
	return ps
}

// build adds the network to a graph.
func (n *Net) build(g *Graph, x *Node) *Node {
	for l, name := range n.names {
		if l > 0 {
			x = g.ReLU(x)
		}
		x = g.Dense(name, x, n.sizes[l+1])
	}
	return x
}

// Logits returns the outputs for rows of inputs, rows×out.
func (n *Net) Logits(x []float32, rows int) []float32 {
	in, out := n.Dims()
	z := make([]float32, 0, rows*out)
	ps := n.params()
	var p *Program
	var input, logits *Node
	for lo := 0; lo < rows; lo += blockRows {
		block := min(blockRows, rows-lo)
		if p == nil || input.shape[0] != block {
			g := NewGraph(ps)
			g.Training = false
			input = g.Input(block, in)
			logits = n.build(g, input)
			p = must(g.Infer(logits))
		}
		copy(input.Value(), x[lo*in:])
		p.Forward()
		z = append(z, logits.Value()...)
	}
	return z
}

// must is for graphs whose shapes were checked before.
func must(p *Program, err error) *Program {
	if err != nil {
		panic(err)
	}
	return p
}

// Objective is the mean softmax cross-entropy of logits times Scale against labels, of whose unit mass Smoothing is
// spread evenly over all classes.
type Objective struct {
	Scale     float64 // > 0; 1 is the ordinary loss
	Smoothing float64 // [0, 1)
}

// Loss returns the objective over the rows of x and its derivative by Scale; a non-nil gradient, one value for each
// parameter, is overwritten with the derivative by the parameters.
func (n *Net) Loss(o Objective, x []float32, labels []int, gradient []float32) (loss, byScale float64) {
	in, _ := n.Dims()
	ps := n.params()
	ps.ZeroGradients()
	for _, p := range ps.list {
		p.Frozen = gradient == nil
	}
	var s *scaledLoss
	for lo := 0; lo < len(labels); lo += blockRows {
		hi := min(lo+blockRows, len(labels))
		if s == nil || len(s.labels.Values) != hi-lo {
			s = n.scaledLoss(ps, hi-lo, Targets{Smoothing: o.Smoothing, Total: float64(len(labels))})
			s.scale.Value()[0] = float32(o.Scale)
		}
		copy(s.x.Value(), x[lo*in:hi*in])
		for i, label := range labels[lo:hi] {
			s.labels.Values[i] = int32(label)
		}
		s.Forward()
		s.Backward()
		loss += s.Loss()
		byScale += float64(s.scale.Gradient()[0])
	}
	if gradient != nil {
		clear(gradient)
		for i, t := range n.Named(gradient) {
			copy(t.Values, ps.list[i].Gradient())
		}
	}
	return loss, byScale
}

// scaledLoss is the network with its cross-entropy, its logits multiplied by a variable.
type scaledLoss struct {
	*Program
	x, scale *Node
	labels   *Ints
}

func (n *Net) scaledLoss(ps *Params, rows int, t Targets) *scaledLoss {
	g := NewGraph(ps)
	s := &scaledLoss{x: g.Input(rows, n.sizes[0]), labels: g.Ints(rows), scale: g.Variable(1)}
	s.Program = must(g.Train(g.CrossEntropy(g.Mul(n.build(g, s.x), s.scale), s.labels, t)))
	return s
}
