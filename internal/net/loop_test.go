package net

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// blobs is images of 8×8 with one bright spot, whose quarter is the class.
func blobs(n int) (x []float32, labels []int32) {
	x, labels = make([]float32, n*64), make([]int32, n)
	for i := range n {
		for j := range 64 {
			x[i*64+j] = float32(0.3 * normalAt(uint64(i), uint64(j)))
		}
		row, col := int(8*uniformAt(uint64(i), 1000)), int(8*uniformAt(uint64(i), 1001))
		x[i*64+row*8+col] += 3
		labels[i] = int32(row/4*2 + col/4)
	}
	return x, labels
}

// blobTask trains a network on them.
func blobTask(n int, model func(g *Graph, x *Node) *Node) Task {
	x, labels := blobs(n)
	return Task{Rows: n, Build: func(g *Graph, rows int) (*Node, func(Batch)) {
		in, l := g.Input(rows, 8, 8, 1), g.Ints(rows)
		loss := g.CrossEntropy(model(g, in), l, Targets{})
		return loss, func(b Batch) {
			for i, row := range b.Rows {
				copy(in.Value()[i*64:], x[row*64:row*64+64])
				l.Values[i] = labels[row]
			}
		}
	}}
}

func smallConvNet(g *Graph, x *Node) *Node { return g.ConvNet("net", x, 4, 8, 16) }

func TestLoopTrainsAConvNet(t *testing.T) {
	var epochs []Progress
	loop := Loop{Epochs: 6, Batch: 32, Optimiser: Optimiser{Rule: Adam, Rate: 3e-3}, Schedule: Schedule{Cosine: true, Warmup: 10}, Holdout: 0.2, Progress: func(p Progress) bool { epochs = append(epochs, p); return true }}
	trainer, err := NewTrainer(loop, NewParams(3), blobTask(1000, smallConvNet))
	if err != nil {
		t.Fatal(err)
	}
	last, err := trainer.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Guessing costs log 4 = 1.39.
	if len(epochs) != 6 || last.Steps != 6*25 || last.Held > 0.2 || !(last.Held < epochs[0].Held) {
		t.Errorf("held-out loss %.3f after %d steps; epochs %v", last.Held, last.Steps, epochs)
	}
}

func weights(ps *Params) (all []float32) {
	for _, p := range ps.All() {
		all = append(all, p.Values...)
	}
	return all
}

// everything has dropout, batch statistics, noise, averages and a held-out part.
func everything(g *Graph, x *Node) *Node {
	h := g.ReLU(g.BatchNorm("n", g.Conv("c", x, 6, 3, Same(3, 2))))
	return g.Dense("head", g.Dropout(g.GlobalPool(h), 0.2), 4)
}

func everyLoop() Loop {
	return Loop{Epochs: 3, Batch: 48, Optimiser: Optimiser{Rule: SGHMC, Rate: 0.01, Momentum: 0.9, Temperature: 1e-6, ClipNorm: 1, Seed: 4}, Seed: 9, Holdout: 0.25, Patience: 5, Average: &Average{Decay: 0.9}}
}

func TestResumeGivesTheSameBits(t *testing.T) {
	for name, change := range map[string]func(*Loop){"SGHMC": func(*Loop) {}, "Adam": func(l *Loop) { l.Optimiser.Rule = Adam }} {
		fresh := func() (*Trainer, *Params, *Average) {
			loop, ps := everyLoop(), NewParams(1)
			change(&loop)
			trainer, err := NewTrainer(loop, ps, blobTask(300, everything))
			if err != nil {
				t.Fatal(err)
			}
			return trainer, ps, loop.Average
		}
		whole, want, _ := fresh()
		if _, err := whole.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, steps := range []int{2, 7} { // within an epoch of 5 steps
			broken, _, _ := fresh()
			for range steps {
				if err := broken.step(15); err != nil {
					t.Fatal(err)
				}
				if broken.state.step%5 == 0 {
					if _, err := broken.epoch(); err != nil {
						t.Fatal(err)
					}
				}
			}
			resumed, got, average := fresh()
			if err := resumed.Restore(broken.Checkpoint()); err != nil {
				t.Fatal(err)
			}
			if _, err := resumed.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(weights(got), weights(want)) {
				t.Errorf("%s: broken off after %d steps and resumed, it ends elsewhere", name, steps)
			}
			average.Swap(got)
			if slices.Equal(weights(got), weights(want)) {
				t.Errorf("%s: the average equals the last step", name)
			}
		}
	}
	trainer, err := NewTrainer(everyLoop(), NewParams(1), blobTask(300, everything))
	if err != nil {
		t.Fatal(err)
	}
	c := trainer.Checkpoint()
	c.Tensors = c.Tensors[1:]
	if err := trainer.Restore(c); err == nil || !strings.Contains(err.Error(), `no tensor "c.weight"`) {
		t.Errorf("error %v", err)
	}
}

func TestTrainingOnAnyThreads(t *testing.T) {
	run := func() []float32 {
		ps := NewParams(1)
		trainer, err := NewTrainer(everyLoop(), ps, blobTask(300, func(g *Graph, x *Node) *Node {
			h := g.Reshape(x, x.shape[0], 8, 8)
			h = Transformer{Layers: 1, Heads: 2, Hidden: 16, Dropout: 0.1}.Encoder(g, "t", g.Dense("in", h, 8), Mask{})
			return g.Add(everything(g, x), g.Dense("out", g.Mean(h, 1), 4))
		}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := trainer.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return weights(ps)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	want := run()
	for _, n := range []int{2, 5} {
		runtime.GOMAXPROCS(n)
		if !slices.Equal(run(), want) {
			t.Errorf("%d threads give other weights", n)
		}
	}
}

func TestEarlyStoppingKeepsTheBest(t *testing.T) {
	ps := NewParams(1)
	var epochs []Progress
	loop := Loop{Epochs: 60, Batch: 16, Optimiser: Optimiser{Rule: Adam, Rate: 0.02}, Holdout: 0.5, Patience: 2, Progress: func(p Progress) bool { epochs = append(epochs, p); return true }}
	trainer, err := NewTrainer(loop, ps, blobTask(60, smallConvNet))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	best := math.Inf(1)
	for _, p := range epochs {
		best = min(best, p.Held)
	}
	if held, err := trainer.Measure(trainer.held); err != nil || held != best {
		t.Errorf("the parameters have %v on the held-out rows, the best epoch had %v: %v", held, best, err)
	}
	n := len(epochs)
	if n == 60 || epochs[n-1].Best || epochs[n-2].Best || !epochs[n-3].Best {
		t.Errorf("stopped after %d epochs: %v", n, epochs)
	}
}

func TestRunStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	loop := Loop{Epochs: 5, Batch: 32, Optimiser: Optimiser{Rule: SGD, Rate: 0.01}, Progress: func(Progress) bool { cancel(); return true }}
	trainer, err := NewTrainer(loop, NewParams(1), blobTask(100, smallConvNet))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := trainer.Run(ctx); !errors.Is(err, context.Canceled) || p.Epoch != 1 {
		t.Errorf("after cancellation: %v, %v", p, err)
	}
	if p, err := trainer.Run(t.Context()); err != nil || p.Epoch != 5 {
		t.Errorf("taken up again: %v, %v", p, err)
	}
	for want, loop := range map[string]Loop{
		"0 epochs":                 {Batch: 1, Optimiser: Optimiser{Rule: SGD}},
		`rule "newton"`:            {Epochs: 1, Batch: 1, Optimiser: Optimiser{Rule: "newton"}},
		"no rows to train on":      {Epochs: 1, Batch: 1, Holdout: 1, Optimiser: Optimiser{Rule: SGD}},
		"but no rows are held out": {Epochs: 1, Batch: 1, Patience: 1, Optimiser: Optimiser{Rule: SGD}},
	} {
		if _, err := NewTrainer(loop, NewParams(1), blobTask(10, smallConvNet)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func TestNonFiniteLossIsTraced(t *testing.T) {
	task := blobTask(64, func(g *Graph, x *Node) *Node {
		h := g.Dense("a", g.Reshape(x, x.shape[0], -1), 8)
		return g.Dense("b", g.Log(g.Scale(g.ReLU(h), 1, -1)), 4)
	})
	trainer, err := NewTrainer(Loop{Epochs: 1, Batch: 16, Optimiser: Optimiser{Rule: SGD, Rate: 0.1}}, NewParams(1), task)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "step 1 in epoch 1; the first tensor that is not finite: log;") {
		t.Errorf("error %v", err)
	}
	ps := NewParams(1)
	trainer, err = NewTrainer(Loop{Epochs: 30, Batch: 16, Optimiser: Optimiser{Rule: SGD, Rate: 1e30}}, ps, blobTask(64, smallConvNet))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "net.") {
		t.Errorf("error %v, want a tensor's name", err)
	}
}

// Hooks that only look leave the bits alone; gradients set to nothing leave the weights, and an error ends the run.
func TestLoopHooks(t *testing.T) {
	run := func(change func(*Loop)) ([]float32, error) {
		loop, params := Loop{Epochs: 2, Batch: 48, Optimiser: Optimiser{Rule: SGD, Rate: 0.05}, Seed: 9}, NewParams(3)
		change(&loop)
		trainer, err := NewTrainer(loop, params, blobTask(100, smallConvNet))
		if err != nil {
			t.Fatal(err)
		}
		start := slices.Clone(weights(params))
		_, err = trainer.Run(t.Context())
		return append(weights(params), start...), err
	}
	plain, err := run(func(*Loop) {})
	if err != nil {
		t.Fatal(err)
	}
	var order []int
	look := func(sign int) func(int, *Params) error {
		return func(step int, _ *Params) error { order = append(order, sign*step); return nil }
	}
	looked, err := run(func(l *Loop) { l.Gradients, l.Stepped = look(1), look(-1) })
	if err != nil || !slices.Equal(plain, looked) || !slices.Equal(order, []int{1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6}) {
		t.Errorf("hooks that look: %v, calls %v, same bits %t", err, order, slices.Equal(plain, looked))
	}
	still, err := run(func(l *Loop) { l.Gradients = func(_ int, ps *Params) error { ps.ZeroGradients(); return nil } })
	if n := len(still) / 2; err != nil || !slices.Equal(still[:n], still[n:]) {
		t.Errorf("without gradients the weights moved: %v", err)
	}
	enough := errors.New("enough")
	steps := 0
	if _, err := run(func(l *Loop) { l.Stepped = func(int, *Params) error { steps++; return enough } }); !errors.Is(err, enough) || steps != 1 {
		t.Errorf("after %d steps: %v", steps, err)
	}
}
