package net

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// scalar is a parameter of one value with a gradient set by hand.
func scalar(ps *Params, name string, v float32) *Param {
	if err := ps.Put(Tensor{name, []int{1}, []float32{v}}); err != nil {
		panic(err)
	}
	return ps.Get(name)
}

func TestStepsAgainstTheFormulas(t *testing.T) {
	run := func(o Optimiser, start float32, gradients ...float32) float32 {
		ps := NewParams(1)
		p := scalar(ps, "w", start)
		for _, v := range gradients {
			ps.ZeroGradients()
			p.Gradient()[0] = v
			o.Step(ps, 1)
		}
		return p.Values[0]
	}
	for _, c := range []struct {
		name      string
		o         Optimiser
		start     float32
		gradients []float32
		want      float64
	}{
		{"momentum", Optimiser{Rule: SGD, Rate: 0.25, Momentum: 0.5}, 1, []float32{1, -2, 4}, 1 - 0.25*(1-1.5+3.25)},                  // memories: 1, −1.5, 3.25
		{"Nesterov", Optimiser{Rule: SGD, Rate: 0.25, Momentum: 0.5, Nesterov: true}, 1, []float32{1, -2}, 1 - 0.25*(1.5-2.75)},       // 0.5·1+1, 0.5·(−1.5)−2
		{"decay", Optimiser{Rule: SGD, Rate: 0.25, Decay: 0.5}, 2, []float32{0}, 2 * (1 - 0.125)},                                     // apart from the gradient
		{"penalty", Optimiser{Rule: SGD, Rate: 0.25, Penalty: 0.5}, 2, []float32{1}, 2 - 0.25*(1+0.5*2)},                              // part of the gradient
		{"Adam, first step", Optimiser{Rule: Adam, Rate: 0.1}, 0, []float32{100}, -0.1},                                               // rate·sign whatever the size
		{"Adam, second step", Optimiser{Rule: Adam, Rate: 0.1}, 0, []float32{1, -1}, -0.1 + 0.1*(0.01/0.19)},                          // m = −0.01, v = 0.001999
		{"AdamW", Optimiser{Rule: Adam, Rate: 0.1, Decay: 0.5}, 2, []float32{3}, 2*(1-0.05) - 0.1},                                    //
		{"clip", Optimiser{Rule: SGD, Rate: 1, Clip: 0.5}, 0, []float32{3}, -0.5},                                                     //
		{"Hamiltonian without noise", Optimiser{Rule: SGHMC, Rate: 0.25, Momentum: 0.5}, 1, []float32{1, -2}, 1 - 0.25 + 0.5 - 0.125}, // velocities −0.25, 0.375
	} {
		if got := run(c.o, c.start, c.gradients...); math.Abs(float64(got)-c.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestClipNormGroupsAndFreezing(t *testing.T) {
	ps := NewParams(1)
	a, b, c := scalar(ps, "body.a", 0), scalar(ps, "head.b", 1), scalar(ps, "stem.c", 5)
	if n, err := ps.Freeze("stem.*"); n != 1 || err != nil {
		t.Fatalf("%d frozen, %v", n, err)
	}
	o := Optimiser{Rule: SGD, Rate: 1, Decay: 0.5, ClipNorm: 1, Groups: []Group{{Pattern: "head.*", Rate: 0.1, NoDecay: true}}}
	ps.ZeroGradients()
	a.Gradient()[0], b.Gradient()[0] = 3, 4
	if n := o.Norm(ps); n != 5 {
		t.Errorf("norm %g, want 5", n)
	}
	o.Step(ps, 1)
	if math.Abs(float64(a.Values[0])+0.6) > 1e-6 || math.Abs(float64(b.Values[0])-(1-0.08)) > 1e-6 || c.Values[0] != 5 {
		t.Errorf("%v, %v, %v; want −0.6, 0.92, 5", a.Values, b.Values, c.Values)
	}
	if err := (&Optimiser{Rule: SGD, Groups: []Group{{Pattern: "["}}}).Check(); err == nil {
		t.Error("a malformed pattern passes")
	}
}

// TestSGHMCSamplesTheTarget: of U = θ²/2 at temperature T the stationary variance is T, up to the step's size.
func TestSGHMCSamplesTheTarget(t *testing.T) {
	const n, temperature = 20000, 0.5
	ps := NewParams(1)
	if err := ps.Put(Tensor{"w", []int{n}, make([]float32, n)}); err != nil {
		t.Fatal(err)
	}
	p, o := ps.Get("w"), Optimiser{Rule: SGHMC, Rate: 0.01, Momentum: 0.7, Temperature: temperature, Seed: 3}
	for range 400 {
		ps.ZeroGradients()
		copy(p.Gradient(), p.Values)
		o.Step(ps, 1)
	}
	square := 0.0
	for _, v := range p.Values {
		square += float64(v) * float64(v) / n
	}
	// The variance's standard error is √(2/n) = 1 %; the step of 0.01 leaves a bias of the order of itself.
	if math.Abs(square/temperature-1) > 0.05 {
		t.Errorf("variance %.4f, want %.4f", square, temperature)
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		step int
		want float64
	}{
		{Schedule{}, 70, 1},
		{Schedule{Cosine: true}, 0, 1},
		{Schedule{Cosine: true}, 50, 0.5},
		{Schedule{Cosine: true, Floor: 0.2}, 100, 0.2},
		{Schedule{Cosine: true, Warmup: 20}, 4, 0.25},
		{Schedule{Cosine: true, Warmup: 20}, 60, 0.5},
		{Schedule{Every: 30, Factor: 0.1}, 29, 1},
		{Schedule{Every: 30, Factor: 0.1}, 61, 0.01},
	} {
		if got := c.s.At(c.step, 100); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%+v at %d: %g, want %g", c.s, c.step, got, c.want)
		}
	}
}

func TestAverages(t *testing.T) {
	for _, c := range []struct {
		a    Average
		want float32
	}{{Average{}, 14.0 / 3}, {Average{From: 1}, 6}, {Average{Decay: 0.75}, 0.75*(0.75*2+0.25*4) + 0.25*8}} {
		ps := NewParams(1)
		p := scalar(ps, "w", 0)
		for _, v := range []float32{2, 4, 8} {
			p.Values[0] = v
			c.a.Update(ps)
		}
		c.a.Swap(ps)
		if math.Abs(float64(p.Values[0]-c.want)) > 1e-6 {
			t.Errorf("%+v: %v, want %v", c.a, p.Values[0], c.want)
		}
		if c.a.Swap(ps); p.Values[0] != 8 {
			t.Errorf("swapped back: %v, want 8", p.Values[0])
		}
	}
}

func TestParams(t *testing.T) {
	ps := NewParams(5)
	g := NewGraph(ps)
	g.Dense("b", g.Input(1, 3), 2)
	g.Dense("a", g.Input(1, 3), 2)
	other := NewParams(5)
	h := NewGraph(other)
	h.Dense("a", h.Input(4, 3), 2) // another order, another batch
	if !slices.Equal(ps.Get("a.weight").Values, other.Get("a.weight").Values) || slices.Equal(ps.Get("a.weight").Values, ps.Get("b.weight").Values) {
		t.Error("first values must be a function of seed and name")
	}
	if err := ps.Put(Tensor{"a.weight", []int{3, 2}, make([]float32, 6)}); err == nil || !strings.Contains(err.Error(), `tensor "a.weight" is [3 2], the parameter [2 3]`) {
		t.Errorf("error %v", err)
	}
	if err := ps.Put(Tensor{"c", []int{3}, make([]float32, 2)}); err == nil {
		t.Error("two values of three pass")
	}
	if lent := ps.Lend(); &lent.Get("a.weight").Values[0] != &ps.Get("a.weight").Values[0] || &lent.Get("a.weight").Gradient()[0] == &ps.Get("a.weight").Gradient()[0] {
		t.Error("a lent set shares values and nothing else")
	}
}
