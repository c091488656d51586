package continual

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// labelled is rows of a few classes that lie a little apart, as a lesson.
func labelled(t *testing.T, seed uint64, n, d, classes int) *lesson {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	x, names := make([]float32, n*d), make([]string, n)
	for i := range n {
		names[i] = strconv.Itoa(i % classes)
		for j := range d {
			x[i*d+j] = float32(r.NormFloat64())
		}
		x[i*d+i%classes%d] += 2
	}
	in, err := data.NewTable(n, d, x)
	if err == nil {
		in, err = in.WithClassNames(names)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLesson(in)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func begin(t *testing.T, rows *lesson, s schooling) *network {
	t.Helper()
	w, err := newNetwork("test", rows, s)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestPenaltiesAtStrengthZero: they change no bit of what is learned without them.
func TestPenaltiesAtStrengthZero(t *testing.T) {
	ctx := t.Context()
	tasks := []*lesson{labelled(t, 1, 60, 4, 3), labelled(t, 2, 60, 4, 5), labelled(t, 3, 60, 4, 4)}
	for _, hidden := range []int{0, 6} {
		plain := FineTune{Hidden: hidden, Steps: 3, Batch: 16, Rate: 0.03, Seed: 7}
		w := begin(t, tasks[0], plain.schooling())
		last := map[string]*anchor{"ewc": newAnchor(w), "si": newAnchor(w), "rwalk": newAnchor(w)}
		score := make([][]float64, len(w.tensors))
		learners := map[string]func(from *network, rows *lesson) (*network, *anchor, error){
			"ewc": func(from *network, rows *lesson) (*network, *anchor, error) {
				m, err := EWC{Hidden: hidden, Steps: 3, Batch: 16, Rate: 0.03, Seed: 7}.learn(ctx, from, last["ewc"], rows)
				if err != nil {
					return nil, nil, err
				}
				return m.net, m.held, nil
			},
			"rwalk": func(from *network, rows *lesson) (*network, *anchor, error) {
				m, err := RWalk{Period: 2, Damping: 1e-6, Hidden: hidden, Steps: 3, Batch: 16, Rate: 0.03, Seed: 7}.learn(ctx, from, last["rwalk"], score, rows)
				if err != nil {
					return nil, nil, err
				}
				score = m.score
				return m.net, m.held, nil
			},
			"si": func(from *network, rows *lesson) (*network, *anchor, error) {
				m, err := SI{Damping: 0.1, Hidden: hidden, Steps: 3, Batch: 16, Rate: 0.03, Seed: 7}.learn(ctx, from, last["si"], rows)
				if err != nil {
					return nil, nil, err
				}
				return m.net, m.held, nil
			},
		}
		for name, learn := range learners {
			one, other := w, w
			for k, rows := range tasks {
				m, err := plain.learn(ctx, one, rows)
				if err != nil {
					t.Fatal(err)
				}
				one = m.net
				if other, last[name], err = learn(other, rows); err != nil {
					t.Fatal(err)
				}
				for i, tensor := range one.tensors {
					if !slices.Equal(tensor.Values, other.tensors[i].Values) {
						t.Errorf("%s, hidden %d, task %d: tensor %s is another one than without a penalty", name, hidden, k+1, tensor.Name)
					}
				}
			}
		}
	}
}

// TestAnchorOfQuadratics: tasks with losses ½·a·(θ − b)² each, held by their curvatures one after the other. With two tasks the optimum
// is that of both at once, the mean of b by a. With all penalties moved to the last optimum that goes on to any number of tasks; with
// each around its own it is the mean of the optima by a, by hand.
func TestAnchorOfQuadratics(t *testing.T) {
	curve, place := []float64{0.5, 2, 1.5, 1}, []float64{-1, 0.25, 3, 2}
	for _, latest := range []bool{false, true} {
		w := &network{name: "test", tensors: []net.Tensor{{Name: "0.weight", Shape: []int{1, 1}, Values: []float32{0}}, {Name: "0.bias", Shape: []int{1}, Values: []float32{0}}}}
		held := newAnchor(w)
		sum, mass := 0.0, 0.0
		for k, a := range curve {
			w.tensors[0].Values[0] = settled(t, w, func(g *net.Graph) *net.Node {
				loss := g.Scale(g.Power(g.Scale(g.Param("0.weight", nil, 1, 1), 1, -place[k]), 2), a/2, 0)
				if penalty := held.penalty(w, 0.5); penalty != nil {
					loss = g.Add(loss, penalty(g, g.Params(), nil, nil))
				}
				return g.Sum(loss)
			})
			w.tasks++
			have, want := float64(w.tensors[0].Values[0]), (sum+a*place[k])/(mass+a)
			if math.Abs(have-want) > 1e-5 {
				t.Errorf("latest %t: after task %d the optimum is %.6f, in closed form %.6f", latest, k+1, have, want)
			}
			mass += a
			if held = held.and(w, [][]float64{{a}, {0}}); latest {
				held, sum = held.around(w), sum+a*place[k]
			} else {
				sum += a * want
			}
		}
	}
}

// settled descends on a loss of the network's weights and returns the first of them.
func settled(t *testing.T, w *network, loss func(g *net.Graph) *net.Node) float32 {
	t.Helper()
	params := net.NewParams(0)
	for _, tensor := range w.tensors {
		if err := params.Put(tensor); err != nil {
			t.Fatal(err)
		}
	}
	trainer, err := net.NewTrainer(net.Loop{Epochs: 300, Batch: 1, Optimiser: net.Optimiser{Rule: net.SGD, Rate: 0.2}}, params, net.Task{Rows: 1, Build: func(g *net.Graph, _ int) (*net.Node, func(net.Batch)) {
		return loss(g), func(net.Batch) {}
	}})
	if err == nil {
		_, err = trainer.Run(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return params.Get("0.weight").Values[0]
}

// TestAnchorsAdd: the joined penalty pulls as the single ones do together, wherever the weight is.
func TestAnchorsAdd(t *testing.T) {
	curve, place := []float64{0.5, 2, 1.5}, []float64{-1, 0.25, 3}
	w := &network{tensors: []net.Tensor{{Values: make([]float32, 1)}}}
	held := newAnchor(w)
	for k, a := range curve {
		w.tensors[0].Values[0] = float32(place[k])
		held = held.and(w, [][]float64{{a}})
	}
	for _, theta := range []float64{-2, 0, 0.7, 5} {
		want := 0.0
		for k, a := range curve {
			want += a * (theta - place[k])
		}
		if have := held.importance[0][0] * (theta - held.center[0][0]); math.Abs(have-want) > 1e-12 {
			t.Errorf("at %g the joined penalty pulls by %g, the three by %g", theta, have, want)
		}
	}
}

// TestEWCFisher: the closed form is the mean over rows, and over classes as the network has them, of squared derivatives by automatic differentiation.
func TestEWCFisher(t *testing.T) {
	rows := labelled(t, 4, 30, 5, 4)
	for _, hidden := range []int{0, 7} {
		m, err := FineTune{Hidden: hidden, Steps: 3, Batch: 8, Rate: 0.02, Seed: 3}.learn(t.Context(), begin(t, rows, schooling{hidden: hidden, seed: 3}), rows)
		if err != nil {
			t.Fatal(err)
		}
		have, err := ewcFisher(m.net, rows)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := net.NewChain(m.net.tensors, rows.d)
		if err != nil {
			t.Fatal(err)
		}
		params := chain.Params(0)
		g := net.NewGraph(params)
		in, label := g.Input(1, rows.d), g.Ints(1)
		outs := chain.Build(g, in)
		p, err := g.Train(g.CrossEntropy(outs[len(outs)-1], label, net.Targets{}))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string][]float64{}
		x := m.net.inputs(rows.x)
		n := len(rows.labels)
		for i := range n {
			copy(in.Value(), x[i*rows.d:(i+1)*rows.d])
			for k := range m.net.classes {
				label.Values[0] = int32(k)
				p.Forward()
				share := math.Exp(-p.Loss()) / float64(n)
				params.ZeroGradients()
				p.Backward()
				for _, tensor := range params.All() {
					if want[tensor.Name] == nil {
						want[tensor.Name] = make([]float64, len(tensor.Values))
					}
					for j, v := range tensor.Gradient() {
						want[tensor.Name][j] += share * float64(v) * float64(v)
					}
				}
			}
		}
		for i, tensor := range m.net.tensors {
			most := slices.Max(want[tensor.Name])
			for j, v := range want[tensor.Name] {
				if math.Abs(v-have[i][j]) > 1e-5*most { // gradients are float32
					t.Errorf("hidden %d, %s[%d]: %.8g, by differentiation %.8g", hidden, tensor.Name, j, have[i][j], v)
				}
			}
		}
	}
}

// TestPathAddsUpToTheFall: what weights took off the loss, added up, nears the loss's true fall as steps get small, also under a penalty.
func TestPathAddsUpToTheFall(t *testing.T) {
	rows, other := labelled(t, 5, 80, 4, 3), labelled(t, 6, 80, 4, 3)
	loss := func(w *network) (sum float64) {
		in, err := data.NewTable(len(rows.labels), rows.d, rows.x)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.predict(in)
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range rows.labels {
			sum -= math.Log(float64(p.Row(i)[slices.Index(w.classes, name)])) / float64(len(rows.labels))
		}
		return sum
	}
	for _, hidden := range []int{0, 5} {
		first, err := SI{Strength: 1, Damping: 0.1, Hidden: hidden, Steps: 20, Batch: 16, Rate: 0.01}.learn(t.Context(), begin(t, other, schooling{hidden: hidden}), newAnchor(begin(t, other, schooling{hidden: hidden})), other)
		if err != nil {
			t.Fatal(err)
		}
		const strength = 0.2
		miss := func(rate float64) float64 {
			w := first.net.clone()
			way := newPath(w, first.held, strength)
			s := schooling{hidden: hidden, epochs: 40, batch: len(rows.labels), rate: rate, extra: first.held.penalty(w, strength), gradients: way.gradients, stepped: way.stepped}
			before := loss(w)
			if err := w.learn(t.Context(), rows, s); err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, fall := range way.fall {
				for _, v := range fall {
					sum += v
				}
			}
			fall := before - loss(w)
			if fall <= 0 {
				t.Fatalf("the loss did not fall: %g", fall)
			}
			return math.Abs(sum-fall) / fall
		}
		coarse, fine := miss(0.01), miss(0.001)
		if coarse > 0.25 || fine > 0.02 || fine > coarse/4 {
			t.Errorf("hidden %d: off by %.4f of the fall at rate 0.01, by %.4f at 0.001", hidden, coarse, fine)
		}
	}
}

// TestRWalkByHand: two stretches of one weight, with a step left over that makes a third.
func TestRWalkByHand(t *testing.T) {
	w := &network{tensors: []net.Tensor{{Name: "0.weight", Shape: []int{1, 1}, Values: []float32{1}}}}
	walk := newRWalkWay(w, newPath(w, newAnchor(w), 0), RWalk{Period: 2, Damping: 0.5})
	params := net.NewParams(0)
	if err := params.Put(w.tensors[0]); err != nil {
		t.Fatal(err)
	}
	theta := params.Get("0.weight")
	for step, s := range []struct{ gradient, to float32 }{{2, 0.5}, {4, 0.25}, {1, 0.5}, {-2, 0.75}, {2, 0.25}} {
		params.ZeroGradients()
		theta.Gradient()[0] = s.gradient
		if err := walk.gradients(step+1, params); err != nil {
			t.Fatal(err)
		}
		theta.Values[0] = s.to
		if err := walk.stepped(step+1, params); err != nil {
			t.Fatal(err)
		}
	}
	walk.stretch(params.Tensors())
	// Squares: (4+16)/2 = 10; 0.9·(1+4)/2 + 0.1·10 = 3.25; 0.9·4 + 0.1·3.25 = 3.925.
	// Falls: 2·0.5 + 4·0.25 = 2; −1·0.25 + 2·0.25 = 0.25; 2·0.5 = 1. Moves: −0.75, 0.5, −0.5.
	want := 2/(10*0.5625/2+0.5) + 0.25/(3.25*0.25/2+0.5) + 1/(3.925*0.25/2+0.5)
	if math.Abs(walk.fisher[0][0]-3.925) > 1e-12 || math.Abs(walk.score[0][0]-want) > 1e-12 {
		t.Errorf("Fisher information %.6f, score %.6f, want 3.925 and %.6f", walk.fisher[0][0], walk.score[0][0], want)
	}
	unit := rwalkUnit([][]float64{{1, 4}, {2, 0}})
	if !slices.Equal(unit[0], []float64{0.25, 1}) || !slices.Equal(unit[1], []float64{0.5, 0}) {
		t.Errorf("brought to one: %v", unit)
	}
}
