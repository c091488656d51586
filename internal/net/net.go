// Package net is a multilayer perceptron on plain slices: linear layers with ReLU between them, their gradients, and
// mini-batch training. It knows no nouns: whoever holds a checkpoint hands over its tensors by name.
package net

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Tensor is one named parameter, row-major: `<layer>.weight` of shape [out, in] or `<layer>.bias` of shape [out].
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32
}

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
	slices.SortFunc(n.names, compareNatural)
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

// compareNatural orders text, numbers in it by value.
func compareNatural(a, b string) int {
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

// pass is the memory of one block's way through the network.
type pass struct {
	act   [][]float32 // L+1: the input, then each layer's output
	delta [][]float32 // L+1: derivatives of the loss by them
}

func (n *Net) newPass(rows int) *pass {
	p := &pass{}
	for _, s := range n.sizes {
		p.act = append(p.act, make([]float32, rows*s))
		p.delta = append(p.delta, make([]float32, rows*s))
	}
	return p
}

// forward computes all layers' outputs for the rows of x and returns the logits.
func (n *Net) forward(p *pass, x []float32, rows int) []float32 {
	p.act[0] = x
	theta := n.theta
	for l := range n.names {
		in, out := n.sizes[l], n.sizes[l+1]
		w, b := theta[:out*in], theta[out*in:out*in+out]
		theta = theta[out*in+out:]
		y := p.act[l+1][:rows*out]
		for i := range rows {
			copy(y[i*out:], b)
		}
		num.Gemm(false, true, rows, out, in, 1, x, in, w, in, 1, y, out)
		if l < len(n.names)-1 {
			for i, v := range y {
				y[i] = max(v, 0)
			}
		}
		x = y
	}
	return x
}

// backward adds the gradient by the parameters to gradient; p.delta of the logits is already set.
func (n *Net) backward(p *pass, rows int, gradient []float32) {
	end := len(n.theta)
	for l := len(n.names) - 1; l >= 0; l-- {
		in, out := n.sizes[l], n.sizes[l+1]
		begin := end - out*in - out
		w, gw, gb := n.theta[begin:begin+out*in], gradient[begin:begin+out*in], gradient[begin+out*in:end]
		end = begin
		x, dy := p.act[l][:rows*in], p.delta[l+1][:rows*out]
		num.Gemm(true, false, out, in, rows, 1, dy, out, x, in, 1, gw, in)
		for i := range rows {
			for k, v := range dy[i*out : i*out+out] {
				gb[k] += v
			}
		}
		if l == 0 {
			return
		}
		dx := p.delta[l][:rows*in]
		num.Gemm(false, false, rows, in, out, 1, dy, out, w, in, 0, dx, in)
		for i, v := range x {
			if v <= 0 {
				dx[i] = 0
			}
		}
	}
}

// Logits returns the outputs for rows of inputs, rows×out.
func (n *Net) Logits(x []float32, rows int) []float32 {
	in, out := n.Dims()
	z := make([]float32, 0, rows*out)
	p := n.newPass(min(rows, blockRows))
	for lo := 0; lo < rows; lo += blockRows {
		hi := min(lo+blockRows, rows)
		z = append(z, n.forward(p, x[lo*in:hi*in], hi-lo)...)
	}
	return z
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
	clear(gradient)
	p := n.newPass(min(len(labels), blockRows))
	in, _ := n.Dims()
	for lo := 0; lo < len(labels); lo += blockRows {
		hi := min(lo+blockRows, len(labels))
		l, s := n.block(p, o, x[lo*in:hi*in], labels[lo:hi], len(labels), gradient)
		loss, byScale = loss+l, byScale+s
	}
	return loss, byScale
}

// block adds one block's share of an objective over total rows.
func (n *Net) block(p *pass, o Objective, x []float32, labels []int, total int, gradient []float32) (loss, byScale float64) {
	rows, out := len(labels), n.sizes[len(n.sizes)-1]
	z := n.forward(p, x, rows)
	delta := p.delta[len(n.names)]
	scaled := make([]float64, out)
	even, share := o.Smoothing/float64(out), 1/float64(total)
	for i, label := range labels {
		row := z[i*out : i*out+out]
		for k, v := range row {
			scaled[k] = o.Scale * float64(v)
		}
		norm := num.LogSumExp(scaled)
		for k, v := range row {
			target := even
			if k == label {
				target += 1 - o.Smoothing
			}
			// −Σ q·log p = Σ q·(log Σ exp − s·z), whose derivative by s·z is p − q.
			loss += share * target * (norm - scaled[k])
			d := math.Exp(scaled[k]-norm) - target
			byScale += share * d * float64(v)
			delta[i*out+k] = float32(share * o.Scale * d)
		}
	}
	if gradient != nil {
		n.backward(p, rows, gradient)
	}
	return loss, byScale
}

// hash mixes a seed with counters (splitmix64), so that what is drawn for a row depends on nothing but its number.
func hash(seed uint64, counters ...uint64) uint64 {
	for _, c := range append(counters, 0) {
		seed += 0x9e3779b97f4a7c15 * (c + 1)
		seed = (seed ^ seed>>30) * 0xbf58476d1ce4e5b9
		seed = (seed ^ seed>>27) * 0x94d049bb133111eb
		seed ^= seed >> 31
	}
	return seed
}
