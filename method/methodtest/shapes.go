package methodtest

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
)

// odd is a table at the edge of what a table can be.
type odd struct {
	name   string
	n, d   int
	at     func(i, j int) float64 // value of row i, column j
	class  func(i int) int        // −1 is unknown; nil for no labels
	shared int                    // classes listed, at least as many as class returns
}

func noise(seed uint64) func(i, j int) float64 {
	return func(i, j int) float64 {
		return rand.New(rand.NewPCG(seed+uint64(i), uint64(j))).NormFloat64()
	}
}

// scaled multiplies values, one factor a column, the last one for all that follow.
func scaled(f func(i, j int) float64, by ...float64) func(i, j int) float64 {
	return func(i, j int) float64 { return f(i, j) * by[min(j, len(by)-1)] }
}

func mod(k int) func(i int) int { return func(i int) int { return i % k } }

// oddities are the tables on which methods fail in practice.
var oddities = []odd{
	{"no rows", 0, 4, noise(1), mod(2), 2},
	{"no columns", 6, 0, noise(1), mod(2), 2},
	{"one row", 1, 4, noise(2), mod(1), 1},
	{"two rows", 2, 4, noise(3), mod(2), 2},
	{"one column", 20, 1, noise(4), mod(2), 2},
	{"one class", 20, 4, noise(5), mod(1), 1},
	{"as many classes as rows", 8, 3, noise(6), mod(8), 8},
	{"one row of one class, many of another", 20, 3, noise(7), func(i int) int { return min(i, 1) }, 2},
	{"a class without rows", 20, 3, noise(8), mod(2), 3},
	{"some rows without a class", 20, 3, noise(9), func(i int) int { return i%3 - 1 }, 2},
	{"no row has a class", 20, 3, noise(10), func(int) int { return data.Unknown }, 2},
	{"a constant column", 20, 3, scaled(noise(11), 1, 0, 1), mod(2), 2},
	{"the same column twice", 20, 3, func(i, j int) float64 { return noise(12)(i, j/2) }, mod(2), 2},
	{"every row three times", 21, 3, func(i, j int) float64 { return noise(13)(i/3, j) }, mod(2), 2},
	{"fewer rows than columns", 5, 12, noise(14), mod(2), 2},
	{"all rows equal", 12, 3, func(_, j int) float64 { return float64(j) + 0.5 }, mod(2), 2},
	{"all zero", 12, 3, func(int, int) float64 { return 0 }, mod(2), 2},
	{"all rows of a class equal", 12, 3, func(i, j int) float64 { return float64(i%2*3 + j) }, mod(2), 2},
	{"huge values", 20, 3, scaled(noise(15), 1e30), mod(2), 2},
	{"tiny values", 20, 3, scaled(noise(16), 1e-30), mod(2), 2},
	{"values below float32's normal range", 20, 3, scaled(noise(17), 1e-42), mod(2), 2},
	{"columns of very different scale", 20, 3, scaled(noise(18), 1e-20, 1, 1e20), mod(2), 2},
	{"the largest values there are", 12, 3, func(i, j int) float64 { return math.MaxFloat32 * float64(1-(i+j)%2*2) }, mod(3), 3},
}

func (o odd) table() *data.Table {
	x := make([]float32, o.n*o.d)
	for i := range x {
		x[i] = float32(o.at(i/o.d, i%o.d))
	}
	t := must(data.NewTable(o.n, o.d, x))
	labels := make([]int, o.n)
	for i := range labels {
		labels[i] = o.class(i)
	}
	var names []string
	for c := range o.shared {
		names = append(names, fmt.Sprint("class ", c))
	}
	return must(t.WithLabels(labels, names))
}

// extremes are rows that no training set prepares for.
func extremes(d int) *data.Table {
	values := []float32{0, math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32, 1e20, -1e-20}
	var x []float32
	for _, v := range values {
		for range d {
			x = append(x, v)
		}
	}
	for j := range d {
		x = append(x, values[j%len(values)])
	}
	return must(data.NewTable(len(values)+1, d, x))
}

// checkShapes: at every edge there is an answer or an error with a sentinel; never a NaN, never a panic.
func checkShapes(t *T) {
	if !takesTables(t.Spec) {
		t.checkOddCheckpoints()
		return
	}
	for _, o := range oddities {
		x := o.table()
		if len(toys(t.Spec)[0].in[t.Spec.Inputs[0].Name].(*data.Table).Targets()) > 0 {
			x = must(x.WithTargets(targetsOf(scaledDown(x), 0)))
		}
		y := toy{name: o.name, in: withHead(eachTable(toys(t.Spec)[0].in, func(*data.Table) *data.Table { return x }), x), query: x, task: rename(x)}
		t.lawful(o.name, func() []answer { return t.observe(t.Spec.Config(), y) })
		if t.Spec.Learns() {
			t.lawfulQueries("fitted on "+o.name, y.in, x)
		}
	}
	y := toys(t.Spec)[0]
	if t.Spec.Learns() {
		t.lawfulQueries("fitted on ordinary rows", y.in, y.query)
		return
	}
	t.lawful("extreme values", func() []answer {
		return t.apply(t.Spec.Config(), eachTable(y.in, func(x *data.Table) *data.Table { _, d := x.Dims(); return extremes(d) }))
	})
}

// scaledDown keeps targets finite whatever the features are.
func scaledDown(x *data.Table) *data.Table {
	n, d := x.Dims()
	v := make([]float32, n*d)
	for i, f := range x.X() {
		v[i] = float32(math.Tanh(float64(f)))
	}
	return must(data.NewTable(n, d, v))
}

// rename gives a table's classes names that the training table does not have.
func rename(x *data.Table) *data.Table {
	var names []string
	for _, name := range x.Classes() {
		names = append(names, "new "+name)
	}
	return must(x.WithLabels(must(x.Labels()), names))
}

// lawful notes answers that break what holds of every answer.
func (t *T) lawful(what string, f func() []answer) {
	t.try(what, func() {
		for _, a := range f() {
			if bad := a.unlawful(); bad != "" {
				t.Errorf("%s: %s: %s", what, a.verb, bad)
			}
		}
	})
}

// lawfulQueries fits, and asks about no row, one row and extreme rows.
func (t *T) lawfulQueries(what string, in data.Bundle, like *data.Table) {
	t.try(what, func() {
		m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), in)
		if err != nil {
			return
		}
		n, d := like.Dims()
		t.lawful(what+", asked about no rows", func() []answer { return t.ask(m, like.Slice(0, 0)) })
		t.lawful(what+", asked about one row", func() []answer { return t.ask(m, like.Slice(0, min(n, 1))) })
		t.lawful(what+", asked about extreme rows", func() []answer { return t.ask(m, extremes(d)) })
		empty := toy{in: in, query: like, task: rename(like.Slice(0, 0))}
		t.lawful(what+", taught no rows", func() []answer { return t.use(m, empty) })
		one := toy{in: in, query: like, task: rename(like.Slice(0, min(n, 1)))}
		t.lawful(what+", taught one row", func() []answer { return t.use(m, one) })
	})
}

// checkOddCheckpoints is checkShapes for methods on checkpoints.
func (t *T) checkOddCheckpoints() {
	usual := toys(t.Spec)[0].in
	all := func(f func(c *data.Checkpoint) *data.Checkpoint) data.Bundle { return eachCheckpoint(usual, f) }
	tensor := func(v []float64, shape ...int) func(*data.Checkpoint) *data.Checkpoint {
		return func(c *data.Checkpoint) *data.Checkpoint {
			c.Tensors["encoder.weight"] = data.CastTensor(data.F32, v, shape...)
			return c
		}
	}
	calls := 0
	for _, o := range []struct {
		name string
		in   data.Bundle
	}{
		{"no tensors", all(func(*data.Checkpoint) *data.Checkpoint { return &data.Checkpoint{} })},
		{"a tensor without elements", all(tensor(nil, 0, 4))},
		{"a tensor without dimensions", all(tensor([]float64{2}))},
		{"all weights zero", all(tensor(make([]float64, 12), 3, 4))},
		{"largest values", all(func(c *data.Checkpoint) *data.Checkpoint {
			for _, l := range network { // the largest of float16 fits them all
				c.Tensors[l.name] = data.CastTensor(l.dtype, slices.Repeat([]float64{65504}, product(l.shape)), l.shape...)
			}
			return c
		})},
		{"integers that differ", all(func(c *data.Checkpoint) *data.Checkpoint {
			calls++
			c.Tensors[counter] = data.Int64Tensor([]int64{int64(calls), 0}, 2)
			return c
		})},
		{"only integers", all(func(c *data.Checkpoint) *data.Checkpoint {
			return &data.Checkpoint{Tensors: map[string]data.Tensor{counter: c.Tensors[counter]}}
		})},
		{"other metadata", all(func(c *data.Checkpoint) *data.Checkpoint { c.Meta = nil; return c })},
		{"no checkpoints", eachList(usual, func(data.Checkpoints) data.Checkpoints { return nil })},
		{"one checkpoint", eachList(usual, func(l data.Checkpoints) data.Checkpoints { return l[:1] })},
		{"one checkpoint twice", eachList(usual, func(l data.Checkpoints) data.Checkpoints { return data.Checkpoints{l[0], l[0]} })},
	} {
		t.lawful(o.name, func() []answer { return t.observe(t.Spec.Config(), toy{in: o.in}) })
	}
}

// eachCheckpoint returns the bundle with every checkpoint replaced by what f makes of a copy.
func eachCheckpoint(in data.Bundle, f func(*data.Checkpoint) *data.Checkpoint) data.Bundle {
	out := maps.Clone(in)
	for _, name := range slices.Sorted(maps.Keys(in)) {
		switch v := in[name].(type) {
		case *data.Checkpoint:
			out[name] = f(cloneCheckpoint(v))
		case data.Checkpoints:
			var list data.Checkpoints
			for _, c := range v {
				list = append(list, f(cloneCheckpoint(c)))
			}
			out[name] = list
		}
	}
	return out
}

func eachList(in data.Bundle, f func(data.Checkpoints) data.Checkpoints) data.Bundle {
	out := maps.Clone(in)
	for name, v := range in {
		if list, ok := v.(data.Checkpoints); ok {
			out[name] = f(list)
		}
	}
	return out
}

func cloneCheckpoint(c *data.Checkpoint) *data.Checkpoint {
	return &data.Checkpoint{Meta: maps.Clone(c.Meta), Tensors: maps.Clone(c.Tensors)}
}
