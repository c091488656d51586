package graph

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func random(r *rand.Rand, shape ...int) *Tensor {
	v := make([]float32, size(shape))
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return Floats(v, shape...)
}

func ints(v ...int64) Attribute { return Attribute{Ints: v} }

// TestConvAgainstSums compares convolutions of all kinds with their definition, a sum for every output, in float64.
func TestConvAgainstSums(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct{ channels, outputs, groups, h, w, kh, kw, sh, sw, dh, dw, top, left, bottom, right int }{
		{3, 5, 1, 9, 8, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},
		{4, 4, 4, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},   // depthwise
		{4, 8, 4, 9, 9, 3, 3, 2, 2, 1, 1, 0, 1, 1, 0},   // two outputs a channel, strides
		{3, 3, 3, 12, 11, 3, 3, 1, 1, 2, 3, 2, 3, 2, 3}, // depthwise, dilated
		{2, 2, 2, 6, 20, 5, 4, 2, 3, 1, 2, 2, 3, 1, 0},
		{6, 4, 2, 8, 8, 3, 2, 2, 1, 2, 2, 1, 0, 2, 1},
		{3, 7, 1, 6, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, // plain product
		{3, 7, 1, 6, 5, 1, 1, 2, 2, 1, 1, 0, 0, 0, 0},
		{1, 6, 1, 300, 70, 5, 5, 1, 1, 1, 1, 2, 2, 2, 2}, // strips
		{2, 2, 2, 2, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1},    // smaller than the kernel
		{2, 2, 2, 1, 1, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1},
	} {
		x, w, b := random(r, 2, c.channels, c.h, c.w), random(r, c.outputs, c.channels/c.groups, c.kh, c.kw), random(r, c.outputs)
		g := &Graph{Inputs: []string{"x"}, Outputs: []string{"y"}, Constants: map[string]*Tensor{"w": w, "b": b}, Nodes: []Node{{Op: "Conv", Inputs: []string{"x", "w", "b"}, Outputs: []string{"y"},
			Attributes: map[string]Attribute{"group": {Int: int64(c.groups)}, "strides": ints(int64(c.sh), int64(c.sw)), "dilations": ints(int64(c.dh), int64(c.dw)),
				"pads": ints(int64(c.top), int64(c.left), int64(c.bottom), int64(c.right))}}}}
		p, err := Compile(g)
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.Run(new(Memory), x)
		if err != nil {
			t.Fatal(err)
		}
		oh := (c.h+c.top+c.bottom-c.dh*(c.kh-1)-1)/c.sh + 1
		ow := (c.w+c.left+c.right-c.dw*(c.kw-1)-1)/c.sw + 1
		if !slices.Equal(out[0].Shape, []int{2, c.outputs, oh, ow}) {
			t.Fatalf("%+v: shape %v", c, out[0].Shape)
		}
		each, at := c.channels/c.groups, 0
		for n := range 2 {
			for o := range c.outputs {
				for y := range oh {
					for z := range ow {
						sum := float64(b.Floats[o])
						for i := range each {
							for ky := range c.kh {
								for kx := range c.kw {
									iy, ix := y*c.sh+ky*c.dh-c.top, z*c.sw+kx*c.dw-c.left
									if iy < 0 || ix < 0 || iy >= c.h || ix >= c.w {
										continue
									}
									ch := o/(c.outputs/c.groups)*each + i
									sum += float64(x.Floats[((n*c.channels+ch)*c.h+iy)*c.w+ix]) * float64(w.Floats[((o*each+i)*c.kh+ky)*c.kw+kx])
								}
							}
						}
						if have := float64(out[0].Floats[at]); math.Abs(have-sum) > 1e-4 { // at most 54 products of standard normals
							t.Fatalf("%+v: value %d is %v, want %v", c, at, have, sum)
						}
						at++
					}
				}
			}
		}
	}
}

// residual is a small network with everything that Compile changes: normalisations to fold, activations to join, constants to compute.
func residual(r *rand.Rand) *Graph {
	variance := random(r, 4)
	for i, v := range variance.Floats {
		variance.Floats[i] = v*v + 0.1
	}
	return &Graph{Inputs: []string{"x"}, Outputs: []string{"out"},
		Constants: map[string]*Tensor{"w1": random(r, 4, 3, 3, 3), "b1": random(r, 4), "w2": random(r, 4, 4, 3, 3), "scale": random(r, 4), "shift": random(r, 4), "mean": random(r, 4), "variance": variance,
			"dense": random(r, 5, 4), "half": Floats([]float32{0.25}), "six": Floats([]float32{6})},
		Nodes: []Node{
			{Op: "Conv", Inputs: []string{"x", "w1", "b1"}, Outputs: []string{"c1"}},
			{Op: "BatchNormalization", Inputs: []string{"c1", "scale", "shift", "mean", "variance"}, Outputs: []string{"n1"}},
			{Op: "Relu", Inputs: []string{"n1"}, Outputs: []string{"r1"}},
			{Op: "Conv", Inputs: []string{"r1", "w2"}, Outputs: []string{"c2"}, Attributes: map[string]Attribute{"auto_pad": {Text: "SAME_UPPER"}}},
			{Op: "BatchNormalization", Inputs: []string{"c2", "scale", "shift", "mean", "variance"}, Outputs: []string{"n2"}},
			{Op: "Add", Inputs: []string{"n2", "r1"}, Outputs: []string{"s"}},
			{Op: "Clip", Inputs: []string{"s", "half", "six"}, Outputs: []string{"r2"}},
			{Op: "GlobalAveragePool", Inputs: []string{"r2"}, Outputs: []string{"p"}},
			{Op: "Flatten", Inputs: []string{"p"}, Outputs: []string{"f"}},
			{Op: "Mul", Inputs: []string{"dense", "half"}, Outputs: []string{"d"}},
			{Op: "Gemm", Inputs: []string{"f", "d"}, Outputs: []string{"g"}, Attributes: map[string]Attribute{"transB": {Int: 1}}},
			{Op: "Relu", Inputs: []string{"g"}, Outputs: []string{"out"}},
			{Op: "Exp", Inputs: []string{"g"}, Outputs: []string{"unused"}},
		}}
}

// TestCompileChangesNothing compares the compiled graph with its nodes run one by one, and with all their values asked for, which
// forbids joining them.
func TestCompileChangesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	g := residual(r)
	x := random(r, 3, 3, 8, 7)
	p, err := Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.nodes) != 6 { // two convolutions, the sum, the pool, the flattening, the product
		t.Errorf("%d nodes are left, want 6", len(p.nodes))
	}
	m := new(Memory)
	have, err := p.Run(m, x)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]*Tensor{"x": x}
	for name, c := range g.Constants {
		values[name] = c
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		var in []*Tensor
		for _, name := range n.Inputs {
			in = append(in, values[name])
		}
		out, err := run(&step{Node: n, op: operators[n.Op]}, in, new(Memory))
		if err != nil {
			t.Fatal(err)
		}
		values[n.Outputs[0]] = out[0]
	}
	for i, v := range values["out"].Floats {
		if math.Abs(float64(v-have[0].Floats[i])) > 1e-4 {
			t.Errorf("value %d: %v compiled, %v node by node", i, have[0].Floats[i], v)
		}
	}
	all := *g
	all.Outputs = []string{"c1", "n1", "r1", "c2", "n2", "s", "r2", "p", "f", "d", "g", "out"}
	q, err := Compile(&all)
	if err != nil {
		t.Fatal(err)
	}
	each, err := q.Run(m, x)
	if err != nil {
		t.Fatal(err)
	}
	for k, name := range all.Outputs {
		if !slices.Equal(each[k].Floats, values[name].Floats) {
			t.Errorf("%s differs when it is taken out", name)
		}
	}
	// A row alone, in another batch, and again in used memory: the same bits.
	for n := range 3 {
		one, err := p.Run(m, Floats(x.Floats[n*3*8*7:(n+1)*3*8*7], 1, 3, 8, 7))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one[0].Floats, have[0].Floats[n*5:(n+1)*5]) {
			t.Errorf("row %d differs alone", n)
		}
	}
}

// TestThreadsChangeNothing: an image shared by threads, alone or in a batch, has the bits that one thread gives it.
func TestThreadsChangeNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, c := range []struct {
		weight          []int
		stride, pad, by int
	}{{[]int{32, 32, 3, 3}, 1, 1, 1}, {[]int{40, 16, 3, 3}, 2, 1, 2}, {[]int{64, 32, 1, 1}, 1, 0, 1}, {[]int{32, 1, 9, 9}, 1, 4, 32}, {[]int{24, 32, 5, 5}, 1, 2, 1}} {
		g := &Graph{Inputs: []string{"x"}, Outputs: []string{"y"}, Constants: map[string]*Tensor{"w": random(r, c.weight...), "b": random(r, c.weight[0])},
			Nodes: []Node{{Op: "Conv", Inputs: []string{"x", "w", "b"}, Outputs: []string{"c"}, Attributes: map[string]Attribute{
				"pads": ints(int64(c.pad), int64(c.pad), int64(c.pad), int64(c.pad)), "strides": ints(int64(c.stride), int64(c.stride)), "group": {Int: int64(c.by)}}},
				{Op: "Relu", Inputs: []string{"c"}, Outputs: []string{"y"}}}}
		p, err := Compile(g)
		if err != nil {
			t.Fatal(err)
		}
		x, m := random(r, 3, 32, 37, 33), new(Memory)
		var want []float32
		for _, procs := range []int{1, 2, 5} {
			before := runtime.GOMAXPROCS(procs)
			batch, err := p.Run(m, x)
			if err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = batch[0].Floats
			}
			if !slices.Equal(batch[0].Floats, want) {
				t.Errorf("weights %v on %d threads: other bits", c.weight, procs)
			}
			one, err := p.Run(m, Floats(x.Floats[32*37*33:2*32*37*33], 1, 32, 37, 33))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(want) / 3; !slices.Equal(one[0].Floats, want[n:2*n]) {
				t.Errorf("weights %v on %d threads: an image alone has other bits", c.weight, procs)
			}
			runtime.GOMAXPROCS(before)
		}
	}
}

// TestMemoryIsUsedAgain: after the first run, a run allocates no values, only shapes and the results.
func TestMemoryIsUsedAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	p, err := Compile(residual(r))
	if err != nil {
		t.Fatal(err)
	}
	x, m := random(r, 2, 3, 40, 40), new(Memory)
	bytes := testing.Benchmark(func(b *testing.B) {
		for range b.N {
			if _, err := p.Run(m, x); err != nil {
				b.Fatal(err)
			}
		}
	}).AllocedBytesPerOp()
	if bytes > 8000 { // one activation has 2·4·38·38·4 = 46 kB
		t.Errorf("%d bytes a run", bytes)
	}
}

func TestCompileRefuses(t *testing.T) {
	relu := func(in, out string) Node { return Node{Op: "Relu", Inputs: []string{in}, Outputs: []string{out}} }
	for _, c := range []struct {
		what  string
		nodes []Node
		words []string
	}{
		{"unknown operators, all of them", []Node{relu("x", "a"), {Op: "Zap", Inputs: []string{"a"}, Outputs: []string{"b"}}, {Op: "Bang", Inputs: []string{"b"}, Outputs: []string{"y"}}}, []string{"Bang, Zap"}},
		{"a value that nothing makes", []Node{relu("z", "y")}, []string{`"z"`, "Relu"}},
		{"an output that nothing makes", []Node{relu("x", "a")}, []string{`"y"`}},
		{"too many inputs", []Node{{Op: "Relu", Inputs: []string{"x", "x"}, Outputs: []string{"y"}}}, []string{"2 inputs", "1 to 1"}},
		{"a missing input", []Node{{Op: "Add", Inputs: []string{"x", ""}, Outputs: []string{"y"}}}, []string{"input 2"}},
	} {
		_, err := Compile(&Graph{Inputs: []string{"x"}, Outputs: []string{"y"}, Nodes: c.nodes})
		if !errors.Is(err, ErrGraph) {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v lacks %q", c.what, err, w)
			}
		}
	}
	p, err := Compile(&Graph{Inputs: []string{"x"}, Outputs: []string{"y"}, Constants: map[string]*Tensor{"w": Floats(make([]float32, 24), 2, 3, 2, 2)},
		Nodes: []Node{{Name: "stem", Op: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"y"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(new(Memory), Floats(make([]float32, 64), 1, 4, 4, 4)); !errors.Is(err, ErrGraph) || !strings.Contains(err.Error(), "stem") || !strings.Contains(err.Error(), "want 3 input channels, have 4") {
		t.Errorf("four channels for three: %v", err)
	}
	if _, err := p.Run(new(Memory)); !errors.Is(err, ErrGraph) {
		t.Errorf("no input: %v", err)
	}
}

func BenchmarkConv(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	g := &Graph{Inputs: []string{"x"}, Outputs: []string{"y"}, Constants: map[string]*Tensor{"w": random(r, 32, 32, 3, 3)}, Nodes: []Node{{Op: "Conv", Inputs: []string{"x", "w"}, Outputs: []string{"y"},
		Attributes: map[string]Attribute{"pads": ints(1, 1, 1, 1)}}}}
	p, err := Compile(g)
	if err != nil {
		b.Fatal(err)
	}
	x, m := random(r, 1, 32, 32, 32), new(Memory)
	for b.Loop() {
		if _, err := p.Run(m, x); err != nil {
			b.Fatal(err)
		}
	}
}
