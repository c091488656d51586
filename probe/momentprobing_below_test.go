package probe

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

// stack is a network of two convolutions and a linear layer on images of 8×8.
func stack(t *testing.T) *data.Checkpoint {
	t.Helper()
	params := net.NewParams(5)
	g := net.NewGraph(params)
	g.ConvNet("net", g.Input(1, 8, 8, 1), 3, 4, 6)
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, p := range params.Tensors() {
		c.Tensors[p.Name] = data.Float32Tensor(p.Values, p.Shape...)
	}
	return c
}

// grain are images of noise, smoothed along the lines or along the columns.
func grain(t *testing.T, seed uint64, n int) *data.Table {
	t.Helper()
	const side = 8
	r := rand.New(rand.NewPCG(seed, 8))
	x, names := make([]float32, 0, n*side*side), []string{}
	for i := range n {
		var raw [side + 1][side + 1]float64
		for y := range raw {
			for z := range raw {
				raw[y][z] = r.NormFloat64()
			}
		}
		for y := range side {
			for z := range side {
				other := raw[y+1][z]
				if i%2 == 1 {
					other = raw[y][z+1]
				}
				x = append(x, float32(0.5*(raw[y][z]+other)))
			}
		}
		names = append(names, []string{"columns", "lines"}[i%2])
	}
	out, err := data.NewTable(n, side*side, x)
	if err == nil {
		out, err = out.WithClassNames(names)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tokensOf runs images through the network's first layers and lists tokens or channels first.
func tokensOf(t *testing.T, c *data.Checkpoint, in *data.Table, layers int, channelsFirst bool) *data.Table {
	t.Helper()
	r := c.Read()
	var tensors []net.Tensor
	for _, name := range c.Names() {
		shape := c.Tensors[name].Shape
		tensors = append(tensors, net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)})
	}
	n, d := in.Dims()
	chain, err := net.NewChain(tensors, d)
	if err != nil {
		t.Fatal(err)
	}
	g := net.NewGraph(chain.Params(0))
	g.Training = false
	x := g.Input(n, d)
	out := chain.Build(g, x)[layers-1]
	p, err := g.Infer(out)
	if err != nil {
		t.Fatal(err)
	}
	copy(x.Value(), in.X())
	p.Forward()
	channels := out.Shape()[3]
	places := out.Size() / n / channels
	values := slices.Clone(out.Value())
	if channelsFirst {
		for i := range n {
			for at := range places {
				for c := range channels {
					values[(i*channels+c)*places+at] = out.Value()[(i*places+at)*channels+c]
				}
			}
		}
	}
	tokens, err := data.NewTable(n, places*channels, values)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := in.Labels()
	if tokens, err = tokens.WithLabels(labels, in.Classes()); err != nil {
		t.Fatal(err)
	}
	return tokens
}

func apart(t *testing.T, a, b *data.Table) (most float64) {
	t.Helper()
	if !slices.Equal(a.Columns(), b.Columns()) || len(a.X()) != len(b.X()) {
		t.Fatalf("%d values under %v, %d under %v", len(a.X()), a.Columns(), len(b.X()), b.Columns())
	}
	for i, v := range a.X() {
		most = max(most, math.Abs(float64(v)-float64(b.X()[i])))
	}
	return most
}

// TestMomentProbingThrough: before anything is recalibrated the model of inputs is the model of tokens, whatever their order
// and the layer that they come from.
func TestMomentProbingThrough(t *testing.T) {
	c, train, query := stack(t), grain(t, 1, 60), grain(t, 2, 30)
	for _, config := range []MomentProbing{
		{Tokens: 16, Width: 7, Heads: 2, Epochs: 1}, {Tokens: 16, Width: 7, Heads: 2, Epochs: 1, ChannelsFirst: true, Center: true},
		{Tokens: 4, Width: 7, Heads: 2, Epochs: 1, Pool: "first"},
	} {
		layers := 1
		if config.Tokens == 4 {
			layers = 2
		}
		m, err := config.Fit(t.Context(), tokensOf(t, c, train, layers, config.ChannelsFirst))
		if err != nil {
			t.Fatal(err)
		}
		next, err := m.through(c, 64)
		if err != nil {
			t.Fatal(err)
		}
		if next.below.layers != layers {
			t.Errorf("%+v: tokens of layer %d, want %d", config, next.below.layers, layers)
		}
		want, err := m.Logits(tokensOf(t, c, query, layers, config.ChannelsFirst))
		if err != nil {
			t.Fatal(err)
		}
		have, err := next.Logits(query)
		if err != nil {
			t.Fatal(err)
		}
		if e := apart(t, have, want); e > 1e-5 { // float32: rows are standardised in the graph instead of before it
			t.Errorf("%+v: logits differ by %g", config, e)
		}
	}
}

// TestMomentProbingRecalibration: derivatives of the cross-entropy by scales, shifts and what they share are those by central
// differences, and the network's weights have none.
func TestMomentProbingRecalibration(t *testing.T) {
	c, train := stack(t), grain(t, 1, 20)
	m, err := MomentProbing{Tokens: 16, Width: 7, Heads: 2, Epochs: 1}.Fit(t.Context(), tokensOf(t, c, train, 1, false))
	if err != nil {
		t.Fatal(err)
	}
	next, err := m.through(c, 64)
	if err != nil {
		t.Fatal(err)
	}
	g := net.NewGraph(next.params)
	x, own := g.Input(20, 64), g.Ints(20)
	logits, _ := next.build(g, x, 2)
	loss := g.CrossEntropy(logits, own, net.Targets{})
	program, err := g.Train(loss)
	if err != nil {
		t.Fatal(err)
	}
	copy(x.Value(), train.X())
	labels, _ := train.Labels()
	for i, l := range labels {
		own.Values[i] = int32(l)
	}
	r := rand.New(rand.NewPCG(3, 3))
	checked := 0
	for _, p := range next.params.All() {
		if strings.HasPrefix(p.Name, "recalibrate.") && !strings.HasSuffix(p.Name, "down") {
			for i := range p.Values { // away from zero, where the shared layer has no derivative
				p.Values[i] = float32(0.3 * r.NormFloat64())
			}
		}
	}
	program.Forward()
	program.Backward()
	for _, p := range next.params.All() {
		if strings.HasPrefix(p.Name, momentprobingEncoder) {
			for _, v := range p.Gradient() {
				if v != 0 {
					t.Fatalf("%s is to stay and has a derivative of %g", p.Name, v)
				}
			}
		}
		if !strings.HasPrefix(p.Name, "recalibrate.") {
			continue
		}
		gradient := slices.Clone(p.Gradient())
		largest := 0.0
		for _, v := range gradient {
			largest = max(largest, math.Abs(float64(v)))
		}
		for i := 0; i < len(p.Values); i += 5 {
			const step = 1.0 / 128
			was := p.Values[i]
			at := func(by float32) float64 {
				p.Values[i] = was + by
				program.Forward()
				return float64(loss.Value()[0])
			}
			want := (at(step) - at(-step)) / (2 * step)
			p.Values[i] = was
			checked++
			if have := float64(gradient[i]); math.Abs(have-want) > 0.05*largest+1e-4 { // float32 losses over 1/64, and kinks of ReLU
				t.Errorf("%s, value %d: %g, by differences %g", p.Name, i, have, want)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d derivatives were checked", checked)
	}
}

// TestMomentProbingRefine: what the frozen layers hardly tell, recalibrated ones do; the network's own weights stay; a file
// gives the same model again.
func TestMomentProbingRefine(t *testing.T) {
	c, train, query := stack(t), grain(t, 1, 80), grain(t, 2, 100)
	config := MomentProbing{Tokens: 16, Width: 7, Heads: 2, Epochs: 30}
	m, err := config.Fit(t.Context(), tokensOf(t, c, train, 1, false))
	if err != nil {
		t.Fatal(err)
	}
	next, err := m.Refine(t.Context(), MomentProbingInput{Inputs: train, Network: c})
	if err != nil {
		t.Fatal(err)
	}
	loss := func(m *MomentProbingModel, in *data.Table) (sum float64) {
		p, err := m.Predict(in)
		if err != nil {
			t.Fatal(err)
		}
		n, _ := in.Dims()
		for i := range n {
			sum -= math.Log(max(float64(p.Row(i)[slices.Index(p.Columns(), in.ClassName(i))]), 1e-9)) / float64(n)
		}
		return sum
	}
	before, after := loss(m, tokensOf(t, c, train, 1, false)), loss(next, train)
	t.Logf("log loss of training rows %.4f, recalibrated %.4f", before, after)
	if after > before {
		t.Errorf("log loss of training rows %.4f, recalibrated %.4f", before, after)
	}
	for name, tensor := range c.Tensors {
		p := next.params.Get(momentprobingEncoder + name)
		if r := c.Read(); p == nil || !slices.Equal(p.Values, r.Float32s(name, tensor.Shape...)) {
			t.Errorf("%s is gone or has changed", name)
		}
	}
	moved := 0.0
	for _, v := range next.params.Get("recalibrate.0.scale").Values {
		moved = max(moved, math.Abs(float64(v)))
	}
	if moved == 0 {
		t.Error("no scale has moved")
	}
	again, err := loadMomentProbing(config, next.State())
	if err != nil {
		t.Fatal(err)
	}
	a, _ := next.Logits(query)
	b, err := again.Logits(query)
	if err != nil {
		t.Fatal(err)
	}
	if e := apart(t, a, b); e != 0 {
		t.Errorf("logits of the loaded model differ by %g", e)
	}
	n, _ := train.Dims()
	order := rand.New(rand.NewPCG(4, 4)).Perm(n)
	turned, err := m.Refine(t.Context(), MomentProbingInput{Inputs: train.Pick(order), Network: c})
	if err != nil {
		t.Fatal(err)
	}
	b, _ = turned.Logits(query)
	if e := apart(t, a, b); e != 0 {
		t.Errorf("rows in another order move logits by %g", e)
	}
}

func TestMomentProbingRefineRefuses(t *testing.T) {
	c, train := stack(t), grain(t, 1, 20)
	m, err := MomentProbing{Tokens: 16, Width: 7, Heads: 2, Epochs: 1}.Fit(t.Context(), tokensOf(t, c, train, 1, false))
	if err != nil {
		t.Fatal(err)
	}
	other, _ := train.WithClassNames(slices.Repeat([]string{"neither"}, 20))
	free, _ := data.NewTable(20, 64, train.X())
	narrow, _ := MomentProbing{Tokens: 5, Width: 7, Heads: 2, Epochs: 1}.Fit(t.Context(), mustTable(t, train, 60))
	for name, row := range map[string]struct {
		model *MomentProbingModel
		in    MomentProbingInput
		want  error
	}{
		"no network":       {m, MomentProbingInput{Inputs: train}, method.ErrInput},
		"unknown class":    {m, MomentProbingInput{other, c}, data.ErrLabels},
		"no labels":        {m, MomentProbingInput{free, c}, data.ErrLabels},
		"no such layer":    {narrow, MomentProbingInput{train, c}, data.ErrShape},
		"no such network":  {m, MomentProbingInput{train, &data.Checkpoint{Tensors: map[string]data.Tensor{"a": data.Float32Tensor([]float32{1}, 1)}}}, data.ErrFormat},
		"refined already":  {&MomentProbingModel{network: m.network, below: &momentprobingBelow{}}, MomentProbingInput{train, c}, method.ErrInput},
		"other image size": {m, MomentProbingInput{mustTable(t, train, 60), c}, data.ErrFormat},
	} {
		if _, err := row.model.Refine(t.Context(), row.in); !errors.Is(err, row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// mustTable is the first columns of each row.
func mustTable(t *testing.T, in *data.Table, d int) *data.Table {
	t.Helper()
	n, _ := in.Dims()
	var x []float32
	for i := range n {
		x = append(x, in.Row(i)[:d]...)
	}
	out, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := in.Labels()
	if out, err = out.WithLabels(labels, in.Classes()); err != nil {
		t.Fatal(err)
	}
	return out
}
