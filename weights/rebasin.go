package weights

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a network with its hidden units in the order of another's",
	Paper: "ainsworth2023git",
	Small: map[string]string{"chain": "encoder,head"}, // the suite's network has a convolution beside its chain
}, Rebasin.Apply))

// Rebasin reorders the hidden units of one network so that its weights lie as near as possible to another's; it computes the same as before.
//
// Networks trained from different starts find the same units in different orders, and their average is useless. In one order they can
// be averaged with a smaller loss in between, the wider they are the better. It does not help networks tuned from one start, whose
// order is the same.
//
// Takes:   from, the network to reorder; to, another with the same tensors. Layers follow each other in a chain: linear [out, in] or convolutions [out, in, …], with what has one number for each output (bias, normalisation) beside them.
// Apply:   from with its hidden units permuted, the same bytes in another order. Metadata: rebasin.moved, how many hidden units changed places. Each layer's order is the best one given its neighbours', by linear assignment, in rounds until none changes; O(n³) for n units.
// Errors:  ErrShape listing how the checkpoints differ, or naming a layer whose inputs are no multiple of the outputs before it; ErrConfig for a chain that names no tensor; ErrInput without a layer; ErrFinite naming tensor and element.
// Differs: layers are visited in order, not at random; only chains: networks with residual connections, whose orders are tied to each other, are not reordered.
// Source:  ainsworth2023git, section 3.2, Algorithm 1 (weight matching).
// Claim:   none: it is one of the tools that users of merges expect; that planted orders are found is tested.
type Rebasin struct {
	// Chain lists the layers in order, separated by commas: each the name of its tensors up to .weight, and behind plus signs those of normalisations of its outputs, as in conv1+bn1,conv2+bn2,fc. By default all tensors NAME.weight of two dimensions or more, in the natural order of their names.
	Chain string
}

// RebasinInput are two networks.
type RebasinInput struct {
	// From is reordered.
	From *data.Checkpoint
	// To has the order that is wanted.
	To *data.Checkpoint
}

// rebasinLayer is a layer of the chain: of n outputs, each with width weights, block of which belong to one unit of the layer before.
type rebasinLayer struct {
	weight     string
	beside     []string // tensors with one number for each output
	n, width   int
	block      int
	from, to   []float64 // weights, n×width
	aFrom, aTo []float64 // what is beside, n×len(beside)
	place      []int     // place[i] is which unit of from comes i-th
}

// Apply reorders.
func (c Rebasin) Apply(ctx context.Context, in RebasinInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := sources{data.Checkpoints{in.From, in.To}, []string{"the network to reorder", "the other network"}}.align()
	if err != nil {
		return nil, err
	}
	layers, err := c.layers(s)
	if err != nil {
		return nil, err
	}
	hidden := layers[:len(layers)-1] // what comes last keeps its order: it has names outside
	for changed := true; changed; {  // every change raises one sum over finitely many orders
		changed = false
		for l, layer := range hidden {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			gain := rebasinGain(layers, l)
			place := part.Assign(gain, layer.n)
			if better, now := rebasinTotal(gain, place), rebasinTotal(gain, layer.place); better > now+1e-12*math.Abs(now) {
				layer.place, changed = place, true
			}
		}
	}
	out := &data.Checkpoint{Meta: sources{list: data.Checkpoints{in.From}}.meta(), Tensors: map[string]data.Tensor{}}
	for name, t := range s.list[0].Tensors {
		out.Tensors[name] = t
	}
	moved := 0
	for l, layer := range layers {
		var before []int
		if l > 0 {
			before = layers[l-1].place
		}
		for i, p := range layer.place {
			if i != p {
				moved++
			}
		}
		for _, name := range append([]string{layer.weight}, layer.beside...) {
			columns := before
			if name != layer.weight {
				columns = nil
			}
			if out.Tensors[name], err = rebasinReorder(s.list[0].Tensors[name], layer.place, columns, layer.block); err != nil {
				return nil, fmt.Errorf("%s, tensor %q: %w", s.who[0], name, err)
			}
		}
	}
	out.Meta["rebasin.moved"] = strconv.Itoa(moved)
	return out, ctx.Err()
}

// layers reads the chain.
func (c Rebasin) layers(s sources) ([]*rebasinLayer, error) {
	first := s.list[0]
	var chain []string
	if c.Chain != "" {
		chain = strings.Split(c.Chain, ",")
	} else {
		for _, name := range first.Names() {
			if stem, ok := strings.CutSuffix(name, ".weight"); ok && first.Tensors[name].DType.Float() && len(first.Tensors[name].Shape) > 1 {
				chain = append(chain, stem)
			}
		}
		slices.SortFunc(chain, net.CompareNatural)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: no tensor NAME.weight has two dimensions or more", method.ErrInput)
	}
	var list []*rebasinLayer
	for i, text := range chain {
		names := strings.Split(strings.TrimSpace(text), "+")
		l := &rebasinLayer{weight: names[0] + ".weight", block: 1}
		t, ok := first.Tensors[l.weight]
		if !ok || len(t.Shape) < 2 || !t.DType.Float() {
			return nil, fmt.Errorf("%w: --chain: %q is no tensor of two dimensions or more", method.ErrConfig, l.weight)
		}
		var err error
		if l.from, l.n, l.width, err = matrixOf(s.who[0], l.weight, t); err != nil {
			return nil, err
		}
		if l.to, _, _, err = matrixOf(s.who[1], l.weight, s.list[1].Tensors[l.weight]); err != nil {
			return nil, err
		}
		if i > 0 {
			if before := list[i-1]; before.n == 0 || l.width%before.n != 0 {
				return nil, fmt.Errorf("tensor %q: %w: %d inputs, and the layer before, %q, has %d outputs; name the layers in order with --chain", l.weight, data.ErrShape, l.width, before.weight, before.n)
			}
			l.block = l.width / max(list[i-1].n, 1)
		}
		for _, stem := range names {
			for _, name := range first.Names() {
				t := first.Tensors[name]
				if strings.HasPrefix(name, stem+".") && slices.Equal(t.Shape, []int{l.n}) && t.DType.Float() {
					l.beside = append(l.beside, name)
				}
			}
		}
		for _, which := range []struct {
			c  *data.Checkpoint
			to *[]float64
		}{{first, &l.aFrom}, {s.list[1], &l.aTo}} {
			*which.to = make([]float64, l.n*len(l.beside))
			for k, name := range l.beside {
				v, err := which.c.Tensors[name].Float64s()
				if err != nil {
					return nil, fmt.Errorf("tensor %q: %w", name, err)
				}
				for i, x := range v {
					if x-x != 0 {
						return nil, fmt.Errorf("tensor %q: element %d is %v, %w", name, i, x, data.ErrFinite)
					}
					(*which.to)[i*len(l.beside)+k] = x
				}
			}
		}
		l.place = make([]int, l.n)
		for i := range l.place {
			l.place[i] = i
		}
		list = append(list, l)
	}
	return list, nil
}

// rebasinTotal is what an order gains.
func rebasinTotal(gain []float64, place []int) (sum float64) {
	for i, j := range place {
		sum += gain[i*len(place)+j]
	}
	return sum
}

// rebasinGain is what each pair of units would add to the inner product of both networks' weights, given the other layers' orders.
func rebasinGain(layers []*rebasinLayer, at int) []float64 {
	l, next := layers[at], layers[at+1]
	n := l.n
	gain := make([]float64, n*n)
	add := func(to, from []float64, width int) {
		num.Gemm(false, true, n, n, width, 1, to, max(width, 1), from, max(width, 1), 1, gain, max(n, 1))
	}
	from := l.from
	if at > 0 { // inputs in the order that they have now
		from = make([]float64, len(l.from))
		for i := range n {
			rebasinColumns(from[i*l.width:(i+1)*l.width], l.from[i*l.width:(i+1)*l.width], layers[at-1].place, l.block)
		}
	}
	add(l.to, from, l.width)
	add(l.aTo, l.aFrom, len(l.beside))
	// What the next layer reads of each unit: its outputs in the order that they have now.
	reads := func(w []float64, order []int) []float64 {
		out := make([]float64, len(w))
		each := next.n * next.block
		for o := range next.n {
			row := w[order[o]*next.width : (order[o]+1)*next.width]
			for unit := range n {
				copy(out[unit*each+o*next.block:], row[unit*next.block:(unit+1)*next.block])
			}
		}
		return out
	}
	straight := make([]int, next.n)
	for i := range straight {
		straight[i] = i
	}
	add(reads(next.to, straight), reads(next.from, next.place), next.n*next.block)
	return gain
}

// rebasinColumns copies a row with its blocks in another order.
func rebasinColumns[T any](dst, src []T, order []int, block int) {
	for i, from := range order {
		copy(dst[i*block:(i+1)*block], src[from*block:(from+1)*block])
	}
}

// rebasinReorder moves a tensor's rows, and the blocks of its columns unless there is no order for them.
func rebasinReorder(t data.Tensor, rows, columns []int, block int) (data.Tensor, error) {
	b, err := t.Bytes()
	if err != nil {
		return t, err
	}
	out := make([]byte, len(b))
	width := len(b) / max(len(rows), 1)
	for i, from := range rows {
		row := b[from*width : (from+1)*width]
		if columns == nil {
			copy(out[i*width:], row)
			continue
		}
		rebasinColumns(out[i*width:(i+1)*width], row, columns, block*t.DType.Size())
	}
	return data.NewTensor(t.DType, t.Shape, out)
}
