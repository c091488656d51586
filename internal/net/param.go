package net

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"slices"
)

// Tensor is one named parameter, row-major.
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// Param is a tensor that graphs read and training changes.
type Param struct {
	Name   string
	Shape  []int
	Values []float32
	// Frozen parameters get no gradient: nothing that only serves it is computed.
	Frozen bool

	statistic bool // written by the forward pass, such as a running mean; no gradient ever
	gradient  []float32
	fresh     bool // the gradient is zero, whatever the buffer holds
}

// Gradient returns what [Program.Backward] has added up since [Params.ZeroGradients].
func (p *Param) Gradient() []float32 {
	p.settle()
	return p.gradient
}

// settle makes the buffer hold the gradient.
func (p *Param) settle() {
	if p.gradient == nil {
		p.gradient = make([]float32, len(p.Values))
	} else if p.fresh {
		clear(p.gradient)
	}
	p.fresh = false
}

// Params is a set of named parameters, in the order in which they were made. Graphs share it: one for training, one for
// the last short batch, one for validation.
type Params struct {
	// Seed is that of the initial values: a parameter's are a function of seed and name.
	Seed uint64

	list   []*Param
	byName map[string]*Param
}

// NewParams returns an empty set. The first graph built over it makes the parameters.
func NewParams(seed uint64) *Params { return &Params{Seed: seed, byName: map[string]*Param{}} }

// All lists the parameters.
func (ps *Params) All() []*Param { return ps.list }

// Get returns the parameter of a name, nil if there is none.
func (ps *Params) Get(name string) *Param { return ps.byName[name] }

// Size counts the values of all parameters.
func (ps *Params) Size() int {
	n := 0
	for _, p := range ps.list {
		n += len(p.Values)
	}
	return n
}

// Tensors returns the parameters, sharing their memory.
func (ps *Params) Tensors() []Tensor {
	ts := make([]Tensor, len(ps.list))
	for i, p := range ps.list {
		ts[i] = Tensor{p.Name, p.Shape, p.Values}
	}
	return ts
}

// Put copies a tensor's values in, making the parameter if there is none of its name. Errors: a shape that differs, or
// that does not fit the number of values.
func (ps *Params) Put(t Tensor) error {
	if sizeOf(t.Shape) != len(t.Values) {
		return fmt.Errorf("net: tensor %q has %d values, its shape %v asks for %d", t.Name, len(t.Values), t.Shape, sizeOf(t.Shape))
	}
	p := ps.byName[t.Name]
	switch {
	case p == nil:
		ps.put(&Param{Name: t.Name, Shape: slices.Clone(t.Shape), Values: slices.Clone(t.Values)})
	case !slices.Equal(p.Shape, t.Shape):
		return fmt.Errorf("net: tensor %q is %v, the parameter %v", t.Name, t.Shape, p.Shape)
	default:
		copy(p.Values, t.Values)
	}
	return nil
}

func (ps *Params) put(p *Param) {
	ps.byName[p.Name] = p
	ps.list = append(ps.list, p)
}

// Freeze stops gradients to the parameters whose names match a pattern of [path.Match], in graphs built afterwards, and
// returns how many there are. Errors: a malformed pattern.
func (ps *Params) Freeze(pattern string) (int, error) {
	n := 0
	for _, p := range ps.list {
		match, err := path.Match(pattern, p.Name)
		if err != nil {
			return 0, fmt.Errorf("net: pattern %q: %w", pattern, err)
		}
		if match {
			p.Frozen = true
			n++
		}
	}
	return n, nil
}

// ZeroGradients forgets all gradients.
func (ps *Params) ZeroGradients() {
	for _, p := range ps.list {
		p.fresh = true
	}
}

// Lend returns a set of the same parameters, values shared, with gradients of its own: for passes that run at the same time.
func (ps *Params) Lend() *Params {
	other := NewParams(ps.Seed)
	for _, p := range ps.list {
		other.put(&Param{Name: p.Name, Shape: p.Shape, Values: p.Values, Frozen: p.Frozen, statistic: p.statistic})
	}
	return other
}

// Init sets a parameter's first values. fanIn is the number of values that an output sums over: the product of all axes
// but the first.
type Init func(values []float32, fanIn int, r *rand.Rand)

// Constant sets all values alike.
func Constant(v float32) Init {
	return func(values []float32, _ int, _ *rand.Rand) {
		for i := range values {
			values[i] = v
		}
	}
}

// HeNormal draws from a normal distribution of variance 2/fanIn, for what ReLUs follow. Source: He et al. (2015), eq. (10).
func HeNormal(values []float32, fanIn int, r *rand.Rand) {
	Normal(math.Sqrt(2/float64(fanIn)))(values, fanIn, r)
}

// LeCunNormal draws from a normal distribution of variance 1/fanIn, which keeps the scale through linear maps.
func LeCunNormal(values []float32, fanIn int, r *rand.Rand) {
	Normal(1/math.Sqrt(float64(fanIn)))(values, fanIn, r)
}

// Normal draws from a normal distribution of the given standard deviation.
func Normal(deviation float64) Init {
	return func(values []float32, _ int, r *rand.Rand) {
		for i := range values {
			values[i] = float32(r.NormFloat64() * deviation)
		}
	}
}

// draw makes a parameter with its first values.
func (ps *Params) draw(name string, init Init, shape []int) *Param {
	p := &Param{Name: name, Shape: slices.Clone(shape), Values: make([]float32, sizeOf(shape))}
	key := ps.Seed
	for _, c := range []byte(name) {
		key = hash(key, uint64(c))
	}
	fanIn := 1
	if len(shape) > 1 {
		fanIn = sizeOf(shape[1:])
	}
	init(p.Values, fanIn, rand.New(rand.NewPCG(key, hash(key, 1))))
	ps.put(p)
	return p
}

func sizeOf(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
