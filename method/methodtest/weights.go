package methodtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/moments"
)

// layer is one tensor of the toy network.
type layer struct {
	name  string
	dtype data.DType
	shape []int
}

// network has every floating-point type, kernels of a convolution [out, in, 3, 3], and a counter that no arithmetic may touch.
var network = []layer{
	{"stem.weight", data.F32, []int{3, 3, 3, 3}},
	{"encoder.weight", data.F32, []int{3, 4}},
	{"encoder.bias", data.F16, []int{3}},
	{"head.weight", data.BF16, []int{2, 3}},
	{"head.scale", data.F64, []int{1}},
}

const counter = "encoder.steps"

// weights is the toy network: number 0 is the one that the others were tuned from, each a small step away.
func weights(seed uint64, number int) *data.Checkpoint {
	c := &data.Checkpoint{Meta: map[string]string{"format": "pt"}, Tensors: map[string]data.Tensor{counter: data.Int64Tensor([]int64{7, 1 << 60}, 2)}}
	start, step := rand.New(rand.NewPCG(seed, 10)), rand.New(rand.NewPCG(seed, 11+uint64(number)))
	for _, l := range network {
		v := make([]float64, product(l.shape))
		for i := range v {
			v[i] = start.NormFloat64()
			if number > 0 {
				v[i] += 0.25 * step.NormFloat64()
			}
		}
		c.Tensors[l.name] = data.CastTensor(l.dtype, v, l.shape...)
	}
	return c
}

// Inputs of methods on checkpoints that belong to the toy network beside them, by their slots' names.
const (
	adapterSlot   = "adapter"   // low-rank changes of its matrices
	momentsSlot   = "moments"   // what its matrices read: a moments state
	precisionSlot = "precision" // how sure each of its weights is: numbers that are not negative
)

// adapterFor is an adapter of rank two for the toy network's matrices, named as PEFT names them.
func adapterFor(seed uint64) *data.Checkpoint {
	r := rand.New(rand.NewPCG(seed, 20))
	c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for _, l := range network[:4] {
		if len(l.shape) != 2 {
			continue
		}
		for factor, shape := range map[string][]int{"A": {2, l.shape[1]}, "B": {l.shape[0], 2}} {
			c.Tensors["base_model.model."+l.name[:len(l.name)-len("weight")]+"lora_"+factor+".weight"] = data.CastTensor(data.F32, make([]float64, product(shape)), shape...)
		}
	}
	for _, name := range c.Names() {
		t := c.Tensors[name]
		v := make([]float64, t.Len())
		for i := range v {
			v[i] = r.NormFloat64()
		}
		c.Tensors[name] = data.CastTensor(t.DType, v, t.Shape...)
	}
	return c
}

// activations is the moments state of what the toy network's matrices read: a column for each of their columns, named by both.
func activations(seed uint64, number int) *data.Checkpoint {
	var names []string
	for _, l := range network {
		for j := 0; len(l.shape) == 2 && j < l.shape[1]; j++ {
			names = append(names, fmt.Sprintf("%s.%d", l.name, j))
		}
	}
	r := rand.New(rand.NewPCG(seed, 30+uint64(number)))
	x := make([]float32, 40*len(names))
	for i := range x {
		x[i] = float32(r.NormFloat64() * float64(1+i%len(names)))
	}
	return must(moments.FromSource(context.Background(), must(data.NewNamed(40, names, x)), moments.Options{})).Checkpoint()
}

// squared is a checkpoint with the squares of another's floating-point elements.
func squared(c *data.Checkpoint) *data.Checkpoint {
	for name, t := range c.Tensors {
		if !t.DType.Float() {
			continue
		}
		v := must(t.Float64s())
		for i := range v {
			v[i] *= v[i]
		}
		c.Tensors[name] = data.CastTensor(t.DType, v, t.Shape...)
	}
	return c
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// quadratic is a bowl over all floating-point tensors, ½Σ(scale·w − goal)²: an objective whose best point is known.
type quadratic struct{ goal map[string][]float64 }

// bowl has its lowest point near the toy network's second and third versions.
func bowl(seed uint64) data.Differentiable {
	q := quadratic{map[string][]float64{}}
	a, b := weights(seed, 2), weights(seed, 3)
	for _, l := range network {
		x, y := must(a.Tensors[l.name].Float64s()), must(b.Tensors[l.name].Float64s())
		goal := make([]float64, len(x))
		for i := range x {
			goal[i] = (x[i] + y[i]) / 2
		}
		q.goal[l.name] = goal
	}
	return q
}

// Kind says that a bowl is a noun.
func (quadratic) Kind() data.Kind { return data.KindEvaluator }

// Evaluate returns minus the loss.
func (q quadratic) Evaluate(ctx context.Context, c *data.Checkpoint) (float64, error) {
	loss, _, _, err := q.Loss(ctx, c, 1)
	return -loss, err
}

// Loss returns the height of the bowl and its slopes.
func (q quadratic) Loss(ctx context.Context, c *data.Checkpoint, scale float64) (loss, byScale float64, gradient map[string][]float64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, 0, nil, err
	}
	gradient = map[string][]float64{}
	for _, name := range slices.Sorted(maps.Keys(q.goal)) {
		w, _, err := c.Floats(name, shapeOf(name)...)
		if err != nil {
			return 0, 0, nil, fmt.Errorf("evaluator: %w", err)
		}
		g := make([]float64, len(w))
		for i, v := range w {
			off := scale*v - q.goal[name][i]
			loss += off * off / 2
			byScale += off * v
			g[i] = scale * off
		}
		gradient[name] = g
	}
	return loss, byScale, gradient, nil
}

func shapeOf(name string) []int {
	return network[slices.IndexFunc(network, func(l layer) bool { return l.name == name })].shape
}
