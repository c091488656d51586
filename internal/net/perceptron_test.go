package net

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// reference is the objective in float64, computed the plain way.
func reference(sizes []int, theta []float64, o Objective, x []float32, labels []int) float64 {
	loss := 0.0
	for i, label := range labels {
		h := make([]float64, sizes[0])
		for j := range h {
			h[j] = float64(x[i*sizes[0]+j])
		}
		at := 0
		for l := range len(sizes) - 1 {
			in, out := sizes[l], sizes[l+1]
			y := make([]float64, out)
			for k := range y {
				y[k] = theta[at+out*in+k]
				for j := range in {
					y[k] += theta[at+k*in+j] * h[j]
				}
				if l < len(sizes)-2 {
					y[k] = math.Max(y[k], 0)
				}
			}
			at += out*in + out
			h = y
		}
		norm := 0.0
		for _, z := range h {
			norm += math.Exp(o.Scale * z)
		}
		for k, z := range h {
			q := o.Smoothing / float64(len(h))
			if k == label {
				q += 1 - o.Smoothing
			}
			loss -= q * math.Log(math.Exp(o.Scale*z)/norm) / float64(len(labels))
		}
	}
	return loss
}

func toyRows(seed uint64, n, d, k int) ([]float32, []int) {
	r := rand.New(rand.NewPCG(seed, 9))
	x, labels := make([]float32, n*d), make([]int, n)
	for i := range labels {
		labels[i] = r.IntN(k)
		for j := range d {
			x[i*d+j] = float32(r.NormFloat64())
		}
		x[i*d+labels[i]%d] += 2
	}
	return x, labels
}

func TestLossAgainstCentralDifferences(t *testing.T) {
	for _, sizes := range [][]int{{4, 3}, {5, 7, 3}, {4, 6, 5, 3}} {
		for _, o := range []Objective{{1, 0}, {1.7, 0}, {0.6, 0.2}} {
			n := New(7, sizes...)
			x, labels := toyRows(1, 300, sizes[0], 3) // more rows than one block
			gradient := make([]float32, n.Size())
			loss, byScale := n.Loss(o, x, labels, gradient)
			theta := make([]float64, n.Size())
			for i, v := range n.theta {
				theta[i] = float64(v)
			}
			// float32 activations carry a relative error near 1e-7 each; the loss averages 300 of them.
			if want := reference(sizes, theta, o, x, labels); math.Abs(loss-want) > 1e-6 {
				t.Fatalf("%v %v: loss %.9f, want %.9f", sizes, o, loss, want)
			}
			const h = 1e-5
			up, down := o, o
			up.Scale += h
			down.Scale -= h
			want := (reference(sizes, theta, up, x, labels) - reference(sizes, theta, down, x, labels)) / (2 * h)
			if math.Abs(byScale-want) > 1e-5 {
				t.Errorf("%v %v: derivative by scale %.7f, want %.7f", sizes, o, byScale, want)
			}
			for i := range theta {
				was := theta[i]
				theta[i] = was + h
				a := reference(sizes, theta, o, x, labels)
				theta[i] = was - h
				b := reference(sizes, theta, o, x, labels)
				theta[i] = was
				// A kink of a ReLU within h of a row's activation moves the difference by up to that row's share.
				if want := (a - b) / (2 * h); math.Abs(float64(gradient[i])-want) > 2e-5 {
					t.Fatalf("%v %v: gradient %d is %.7f, want %.7f", sizes, o, i, gradient[i], want)
				}
			}
		}
	}
}

func TestLogitsDoNotDependOnBatch(t *testing.T) {
	n := New(3, 9, 31, 5)
	x, _ := toyRows(2, 600, 9, 5)
	all := n.Logits(x, 600)
	for _, i := range []int{0, 1, 255, 256, 599} {
		if one := n.Logits(x[i*9:i*9+9], 1); !slices.Equal(one, all[i*5:i*5+5]) {
			t.Errorf("row %d alone: %v, among others %v", i, one, all[i*5:i*5+5])
		}
	}
	if z := n.Logits(nil, 0); len(z) != 0 {
		t.Errorf("no rows give %d logits", len(z))
	}
}

func TestTensorsRoundTrip(t *testing.T) {
	n := New(5, 3, 4, 2)
	ts := n.Tensors()
	var names []string
	for _, tensor := range ts {
		names = append(names, fmt.Sprint(tensor.Name, tensor.Shape))
	}
	if got, want := strings.Join(names, " "), "0.weight[4 3] 0.bias[4] 2.weight[2 4] 2.bias[2]"; got != want {
		t.Errorf("tensors %s, want %s", got, want)
	}
	slices.Reverse(ts)
	back, err := FromTensors(ts)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.theta, n.theta) || !slices.Equal(back.sizes, n.sizes) {
		t.Error("a network differs from the one made of its tensors")
	}
	back.theta[0]++
	if back.theta[0] == n.theta[0] {
		t.Error("FromTensors shares memory with its argument")
	}
}

func TestHeInitialisation(t *testing.T) {
	n := New(1, 200, 500, 10)
	w := n.Tensors()[0].Values
	sum, square := 0.0, 0.0
	for _, v := range w {
		sum += float64(v)
		square += float64(v) * float64(v)
	}
	m := float64(len(w)) // 1e5 draws: the variance's relative standard error is √(2/1e5) = 0.0045
	if mean, variance := sum/m, square/m; math.Abs(mean) > 4*math.Sqrt(0.01/m) || math.Abs(variance/0.01-1) > 0.018 {
		t.Errorf("mean %g and variance %g, want 0 and 0.01", mean, variance)
	}
}

func TestNaturalOrder(t *testing.T) {
	names := []string{"fc10", "fc9", "fc", "a.10.x", "a.9.x", "layer01", "layer1", "layer2", "b"}
	slices.SortFunc(names, CompareNatural)
	want := []string{"a.9.x", "a.10.x", "b", "fc", "fc9", "fc10", "layer1", "layer01", "layer2"}
	if !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

func TestFromTensorsNamesTheFault(t *testing.T) {
	w := func(name string, shape ...int) Tensor {
		size := 1
		for _, s := range shape {
			size *= s
		}
		return Tensor{name, shape, make([]float32, size)}
	}
	for want, ts := range map[string][]Tensor{
		`none of the 0 tensors`:                                                     {},
		`tensor "a.bias" is missing`:                                                {w("a.weight", 2, 3)},
		`tensor "a.scale" [2] is not`:                                               {w("a.weight", 2, 3), w("a.bias", 2), w("a.scale", 2)},
		`tensor "a.weight" [2 3 3] is not`:                                          {w("a.weight", 2, 3, 3)},
		`"a.bias" has 3 values, "a.weight" puts out 2`:                              {w("a.weight", 2, 3), w("a.bias", 3)},
		`"b.weight" takes 3 values, the layer before it, "a", puts out 2`:           {w("a.weight", 2, 3), w("a.bias", 2), w("b.weight", 5, 3), w("b.bias", 5)},
		`3 tensors for 1 layers: a bias has no weight, or two tensors share a name`: {w("weight", 2, 3), w("bias", 2), w("c.bias", 2)},
	} {
		if _, err := FromTensors(ts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
}

func accuracy(n *Net, x []float32, labels []int) float64 {
	_, k := n.Dims()
	z, right := n.Logits(x, len(labels)), 0
	for i, label := range labels {
		best := 0
		for c := range k {
			if z[i*k+c] > z[i*k+best] {
				best = c
			}
		}
		if best == label {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}

// rings is two classes that no linear map separates.
func rings(seed uint64, n int) ([]float32, []int) {
	r := rand.New(rand.NewPCG(seed, 4))
	x, labels := make([]float32, 2*n), make([]int, n)
	for i := range n {
		labels[i] = i % 2
		radius, angle := float64(1+2*labels[i])+0.2*r.NormFloat64(), 2*math.Pi*r.Float64()
		x[2*i], x[2*i+1] = float32(radius*math.Cos(angle)), float32(radius*math.Sin(angle))
	}
	return x, labels
}

func TestTrainSeparatesRings(t *testing.T) {
	x, labels := rings(1, 600)
	tx, tl := rings(2, 600)
	for name, recipe := range map[string]Train{
		"momentum": {Epochs: 30, Batch: 32, Rate: 0.05, Momentum: 0.9, Cosine: true},
		"Adam":     {Epochs: 30, Batch: 32, Rate: 0.01, Adam: true, Decay: 1e-4, Smoothing: 0.05, Noise: 0.05},
	} {
		n := New(1, 2, 24, 2)
		if _, err := recipe.Run(t.Context(), n, x, labels); err != nil {
			t.Fatal(err)
		}
		if a := accuracy(n, tx, tl); a < 0.99 {
			t.Errorf("%s: accuracy %.3f", name, a)
		}
	}
}

func TestTrainSameBitsOnAnyThreads(t *testing.T) {
	x, labels := toyRows(8, 700, 12, 4)
	recipe := Train{Epochs: 2, Batch: 300, Rate: 0.01, Adam: true, Noise: 0.1, Seed: 5, Augment: func(x []float32, r *rand.Rand) {
		x[0] *= float32(1 + 0.1*r.NormFloat64())
	}}
	run := func(recipe Train) []float32 {
		n := New(2, 12, 64, 4)
		if _, err := recipe.Run(t.Context(), n, x, labels); err != nil {
			t.Fatal(err)
		}
		return n.theta
	}
	want := run(recipe)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if !slices.Equal(run(recipe), want) {
		t.Error("one thread gives other weights than several")
	}
	recipe.Seed++
	if slices.Equal(run(recipe), want) {
		t.Error("another seed gives the same weights")
	}
}

func TestTrainSaysWhenItDiverges(t *testing.T) {
	x, labels := toyRows(3, 64, 4, 3)
	if _, err := (Train{Epochs: 50, Batch: 8, Rate: 1e12}).Run(t.Context(), New(1, 4, 8, 3), x, labels); err == nil || !strings.Contains(err.Error(), "lower the learning rate") {
		t.Errorf("error %v", err)
	}
	if _, err := (Train{Epochs: 1}).Run(t.Context(), New(1, 4, 3), nil, nil); err == nil {
		t.Error("training on nothing is no error")
	}
}

func BenchmarkTrainEpoch(b *testing.B) {
	x, labels := toyRows(1, 2048, 784, 10)
	n := New(1, 784, 128, 10)
	for b.Loop() {
		if _, err := (Train{Epochs: 1, Batch: 64, Rate: 0.01, Momentum: 0.9}).Run(b.Context(), n, x, labels); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2048*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
