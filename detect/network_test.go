package detect_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

// networkTensor draws a tensor.
func networkTensor(r *rand.Rand, scale float64, shape ...int) data.Tensor {
	n := 1
	for _, s := range shape {
		n *= s
	}
	v := make([]float64, n)
	for i := range v {
		v[i] = scale * r.NormFloat64()
	}
	return data.CastTensor(data.F32, v, shape...)
}

// smallNetwork takes 6 values to 8, 5 and 3.
func smallNetwork() *data.Checkpoint {
	r := rand.New(rand.NewPCG(41, 1))
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"0.weight": networkTensor(r, 0.5, 8, 6), "0.bias": networkTensor(r, 0.5, 8),
		"1.weight": networkTensor(r, 0.5, 5, 8), "1.bias": networkTensor(r, 0.5, 5),
		"2.weight": networkTensor(r, 0.5, 3, 5), "2.bias": networkTensor(r, 0.5, 3),
	}}
}

// imageNetwork takes 8×8 images of one channel through a convolution of four and a linear layer to 3.
func imageNetwork() *data.Checkpoint {
	r := rand.New(rand.NewPCG(42, 1))
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"0.weight": networkTensor(r, 0.5, 4, 3, 3, 1), "0.bias": networkTensor(r, 0.5, 4),
		"1.weight": networkTensor(r, 0.3, 3, 64), "1.bias": networkTensor(r, 0.3, 3),
	}}
}

func newNetwork(t *testing.T, c *data.Checkpoint, inputs int, widths ...int) detect.Network {
	t.Helper()
	n, err := detect.NewNetwork(c, inputs, widths...)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func features(t *testing.T, n detect.Network, in *data.Table) *data.Table {
	t.Helper()
	out, err := n.Features(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestNetworkPullback compares derivatives by inputs with central differences of scores, for linear layers, several at once,
// and for images.
func TestNetworkPullback(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 1))
	for _, c := range []struct {
		name    string
		network *data.Checkpoint
		inputs  int
		widths  []int
	}{
		{"hidden layers", smallNetwork(), 6, []int{8, 5}},
		{"last hidden layer", smallNetwork(), 6, []int{5}},
		{"output", smallNetwork(), 6, []int{3}},
		{"image", imageNetwork(), 64, []int{4}},
	} {
		n := newNetwork(t, c.network, c.inputs, c.widths...)
		train := gaussian(t, r, 300, c.inputs, nil)
		m := fitMahalanobis(t, detect.Mahalanobis{Layers: c.widths, Ridge: 0.1}, features(t, n, train))
		in := gaussian(t, r, 70, c.inputs, nil) // more than the network sees at a time
		z := features(t, n, in)
		gradient, err := m.Gradient(z)
		if err != nil {
			t.Fatal(err)
		}
		back, err := n.Pullback(in, gradient)
		if err != nil {
			t.Fatal(err)
		}
		wrong := 0
		for trial := range 60 {
			i := trial % 70
			j := r.IntN(c.inputs)
			score := func(h float32) float64 {
				x := slices.Clone(in.X())
				x[i*c.inputs+j] += h
				return scores(t, m, features(t, n, mustTable(t, 70, c.inputs, x)))[i]
			}
			const h = 1e-3
			slope, have := (score(h)-score(-h))/(2*h), float64(back.Row(i)[j])
			if math.Abs(slope-have) > 0.02*(1+math.Abs(slope)) {
				wrong++ // a ReLU or a maximum may turn within h
			}
		}
		if wrong > 3 {
			t.Errorf("%s: %d of 60 derivatives differ from central differences", c.name, wrong)
		}
	}
}

func TestNetworkRefusesWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		inputs int
		widths []int
		want   error
		says   []string
	}{
		{7, []int{5}, data.ErrFormat, []string{"7"}},
		{6, []int{4}, data.ErrShape, []string{"8,5,3", "4"}},
		{6, []int{8, 3}, data.ErrShape, []string{"8,5,3", "8,3"}},
		{6, nil, data.ErrShape, nil},
	} {
		_, err := detect.NewNetwork(smallNetwork(), c.inputs, c.widths...)
		if !errors.Is(err, c.want) {
			t.Errorf("%d inputs, layers %v: %v", c.inputs, c.widths, err)
			continue
		}
		for _, word := range c.says {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%d inputs, layers %v: the error does not say %q: %v", c.inputs, c.widths, word, err)
			}
		}
	}
	n := newNetwork(t, smallNetwork(), 6, 5)
	if _, err := n.Features(mustTable(t, 1, 5, make([]float32, 5))); !errors.Is(err, data.ErrShape) {
		t.Errorf("rows of another width: %v", err)
	}
}

// TestMahalanobisWithItsNetwork: a model that was refined with its network is the one on features, after the inputs moved.
func TestMahalanobisWithItsNetwork(t *testing.T) {
	n := newNetwork(t, smallNetwork(), 6, 8, 5)
	train := gaussianClasses(44, 300, 6, 3)
	m := fitMahalanobis(t, detect.Mahalanobis{Layers: []int{8, 5}, Ridge: 0.01}, features(t, n, train))
	familiar := gaussianClasses(45, 120, 6, 3)
	far := slices.Clone(gaussianClasses(46, 120, 6, 3).X())
	for i := range far {
		far[i] = 2 - 2*far[i]
	}
	in := detect.MahalanobisInput{Familiar: familiar, Unfamiliar: mustTable(t, 120, 6, far), Network: smallNetwork()}
	refined, err := m.Combine(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	st := refined.State()
	step, _, err := st.Floats("step", 1)
	if err != nil {
		t.Fatal(err)
	}
	query := gaussianClasses(47, 50, 6, 3)
	want, err := refined.ScorePerturbed(n, query, step[0])
	if err != nil {
		t.Fatal(err)
	}
	near(t, "score", scores(t, refined, query), want, 0)
	p, err := refined.Predict(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := m.Predict(features(t, n, query))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.X(), q.X()) {
		t.Error("probabilities are not those of the features")
	}
	// The step is the best of the grid on the rows that it was chosen on.
	if step[0] > 0 {
		still := detect.MahalanobisInput{Familiar: features(t, n, familiar), Unfamiliar: features(t, n, in.Unfamiliar)}
		weighed, err := m.Combine(t.Context(), still)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := aurocOf(scores(t, refined, familiar), scores(t, refined, in.Unfamiliar)), aurocOf(scores(t, weighed, still.Familiar), scores(t, weighed, still.Unfamiliar)); a < b {
			t.Errorf("moved by %g the two kinds have an AUROC of %.4f, unmoved of %.4f", step[0], a, b)
		}
	}
	next, err := refined.Update(t.Context(), gaussianClasses(48, 90, 6, 3))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := m.Update(t.Context(), features(t, n, gaussianClasses(48, 90, 6, 3)))
	if err != nil {
		t.Fatal(err)
	}
	p, _ = next.(method.Predictor).Predict(query)
	q, _ = bare.(method.Predictor).Predict(features(t, n, query))
	if !slices.Equal(p.X(), q.X()) {
		t.Error("an update through the network is not one on its features")
	}
	if _, err := refined.Score(features(t, n, query)); !errors.Is(err, data.ErrShape) {
		t.Errorf("features where inputs are wanted: %v", err)
	}
	sameAfterLoading(t, "mahalanobis", map[string]string{"layers": "8,5", "ridge": "0.01"}, refined, query)
}

func aurocOf(low, high []float64) float64 {
	wins := 0.0
	for _, a := range low {
		for _, b := range high {
			switch {
			case b > a:
				wins++
			case b == a:
				wins += 0.5
			}
		}
	}
	return wins / float64(len(low)*len(high))
}

// sameAfterLoading takes a model through its state.
func sameAfterLoading(t *testing.T, name string, flags map[string]string, m method.Scorer, query *data.Table) {
	t.Helper()
	for _, s := range detect.Methods() {
		if s.Name != name {
			continue
		}
		cfg, err := s.Configure(flags)
		if err != nil {
			t.Fatal(err)
		}
		back, err := s.Load(cfg, m.(method.Model).State())
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+" after loading", scores(t, back.(method.Scorer), query), scores(t, m, query), 0)
		for _, key := range []string{"step", "inputs", "network/1.weight"} {
			damaged := m.(method.Model).State()
			damaged.Tensors[key] = data.Int64Tensor([]int64{-3}, 1)
			if _, err := s.Load(cfg, damaged); err == nil {
				t.Errorf("%s: a state with another %s was loaded", name, key)
			}
		}
		return
	}
	t.Fatalf("no method is called %s", name)
}

// TestODINWithItsNetwork checks direction and effect: inputs move so that the largest probability grows, to first order by
// step times the sum of the derivatives' sizes.
func TestODINWithItsNetwork(t *testing.T) {
	n := newNetwork(t, smallNetwork(), 6, 3)
	train := gaussianClasses(51, 200, 6, 3)
	const temperature = 10
	m, err := detect.ODIN{Temperature: temperature}.Fit(t.Context(), detect.LogitsInput{Logits: features(t, n, train)})
	if err != nil {
		t.Fatal(err)
	}
	query := gaussianClasses(52, 80, 6, 3)
	z := features(t, n, query)
	gradient, err := m.Gradient(z)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 80 { // by the logits: central differences of the score's logarithm
		for j := range 3 {
			at := func(h float64) float64 {
				row, top, sum := make([]float64, 3), math.Inf(-1), 0.0
				for k, v := range z.Row(i) {
					if row[k] = float64(v) / temperature; k == j {
						row[k] += h
					}
					top = max(top, row[k])
				}
				for _, v := range row {
					sum += math.Exp(v - top)
				}
				return math.Log(sum) // minus the logarithm of the largest probability
			}
			if slope := (at(1e-5) - at(-1e-5)) / 2e-5; math.Abs(slope-float64(gradient.Row(i)[j])) > 1e-5 {
				t.Fatalf("row %d, logit %d: derivative %g, want %g", i, j, gradient.Row(i)[j], slope)
			}
		}
	}
	const step = 1e-3
	still, err := m.ScorePerturbed(n, query, 0)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "unmoved", still, scores(t, m, z), 0)
	moved, err := m.ScorePerturbed(n, query, step)
	if err != nil {
		t.Fatal(err)
	}
	back, err := n.Pullback(query, gradient)
	if err != nil {
		t.Fatal(err)
	}
	off := 0
	for i := range moved {
		slope := 0.0
		for _, g := range back.Row(i) {
			slope += math.Abs(float64(g)) / temperature
		}
		have, want := math.Log(1-moved[i])-math.Log(1-still[i]), step*slope
		if math.Abs(have-want) > 0.05*want {
			off++
		}
	}
	if off > 4 { // where a ReLU turns on the way
		t.Errorf("%d of 80 scores do not move as the derivatives say", off)
	}
	far := slices.Clone(gaussianClasses(53, 100, 6, 3).X())
	for i := range far {
		far[i] *= 0.2
	}
	in := detect.ODINInput{Familiar: gaussianClasses(54, 100, 6, 3), Unfamiliar: mustTable(t, 100, 6, far), Network: smallNetwork()}
	refined, err := m.Refine(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	a := aurocOf(scores(t, refined, in.Familiar), scores(t, refined, in.Unfamiliar))
	b := aurocOf(scores(t, m, features(t, n, in.Familiar)), scores(t, m, features(t, n, in.Unfamiliar)))
	if a < b {
		t.Errorf("moved the two kinds have an AUROC of %.4f, unmoved of %.4f", a, b)
	}
	sameAfterLoading(t, "odin", map[string]string{"temperature": "10"}, refined, query)
	in.Network = imageNetwork()
	if _, err := m.Refine(t.Context(), in); !errors.Is(err, data.ErrFormat) {
		t.Errorf("a network of other inputs: %v", err)
	}
	in.Network = nil
	if _, err := m.Refine(t.Context(), in); !errors.Is(err, method.ErrInput) {
		t.Errorf("without the network: %v", err)
	}
}
