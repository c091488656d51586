package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleCNNFilterDB() {
	// One layer in which every kernel is a multiple of one pattern, beside one of noise.
	r := rand.New(rand.NewPCG(1, 1))
	edge, noise := make([]float64, 32*32*9), make([]float64, 32*32*9)
	for i := range edge {
		edge[i] = float64(i%9%3-1) * float64(1+i/9%4)
		noise[i] = r.NormFloat64()
	}
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"first.weight":  data.Float64Tensor(edge, 32, 32, 3, 3),
		"second.weight": data.Float64Tensor(noise, 32, 32, 3, 3),
	}}
	layers, _, err := weights.CNNFilterDB{}.Layers(context.Background(), c)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range layers {
		fmt.Printf("%s: %d kernels, entropy %.2f, %s\n", l.Tensor, l.Kernels, l.Entropy, l.Verdict)
	}
	// Output:
	// first.weight: 1024 kernels, entropy 0.00, low-entropy
	// second.weight: 1024 kernels, entropy 0.95, random
}

// kernels is a checkpoint of one layer with kernels drawn in a basis whose directions have the given spreads.
func kernels(seed uint64, outputs, inputs int, spread ...float64) *data.Checkpoint {
	r := rand.New(rand.NewPCG(seed, 8))
	v := make([]float64, outputs*inputs*9)
	for k := 0; k < len(v); k += 9 {
		for i, s := range spread {
			z := s * r.NormFloat64()
			for j := range 9 { // discrete cosines are orthogonal
				v[k+j] += z * math.Cos(math.Pi*(float64(j)+0.5)*float64(i)/9)
			}
		}
	}
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"conv.weight": data.Float64Tensor(v, outputs, inputs, 3, 3)}}
}

func filterDB(t testing.TB, c weights.CNNFilterDB, in weights.CNNFilterDBInput) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func oneLayer(t testing.TB, c *data.Checkpoint) weights.CNNFilterDBLayer {
	t.Helper()
	layers, _, err := weights.CNNFilterDB{}.Layers(t.Context(), c)
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers: %v", len(layers), err)
	}
	return layers[0]
}

func TestCNNFilterDBOfGaussianKernels(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	v := make([]float64, 100000*9)
	for i := range v {
		v[i] = r.NormFloat64()
	}
	l := oneLayer(t, &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor(v, 100, 1000, 3, 3)}})
	if math.Abs(l.Entropy-math.Log10(9)) > 1e-3 || math.Abs(l.Ratio-1) > 0.01 || l.Verdict != "random" || l.Sparsity != 0 {
		t.Errorf("%+v, want entropy log10 9", l)
	}
	if math.Abs(l.Orthogonality-(1-1/math.Sqrt(9000))) > 1e-3 { // cosines of n random values spread by 1/√n
		t.Errorf("orthogonality %g", l.Orthogonality)
	}
}

func TestCNNFilterDBDegenerateLayers(t *testing.T) {
	zero := oneLayer(t, &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor(make([]float64, 36), 2, 2, 3, 3)}})
	if zero.Sparsity != 1 || zero.Entropy != 0 || zero.Verdict != "sparse+low-entropy" {
		t.Errorf("zeros: %+v", zero)
	}
	one := oneLayer(t, kernels(1, 10, 10, 0, 2))
	if one.Entropy > 1e-12 || one.Verdict != "low-entropy" {
		t.Errorf("one pattern: %+v", one)
	}
	// Two patterns with variances 4 and 1 in orthogonal directions of equal length: shares 0.8 and 0.2.
	two := oneLayer(t, kernels(1, 300, 300, 0, 2, 1))
	if want := -0.8*math.Log10(0.8) - 0.2*math.Log10(0.2); math.Abs(two.Entropy-want) > 2e-3 {
		t.Errorf("entropy %g, want %g", two.Entropy, want)
	}
	few := kernels(5, 20, 20, 0, 2, 1, 1, 1)
	v, _ := few.Tensors["conv.weight"].Float64s()
	for i := range 300 * 9 { // three quarters nearly nothing
		v[i] *= 1e-3
	}
	few.Tensors["conv.weight"] = data.Float64Tensor(v, 20, 20, 3, 3)
	if l := oneLayer(t, few); math.Abs(l.Sparsity-0.75) > 0.02 || !strings.Contains(l.Verdict, "sparse") {
		t.Errorf("three quarters nearly zero: %+v", l)
	}
}

func TestCNNFilterDBShift(t *testing.T) {
	spread := []float64{0.5, 2, 1, 1, 0.5, 0.3}
	a, b := kernels(1, 60, 60, spread...), kernels(2, 60, 60, spread...)
	far := kernels(3, 60, 60, 0.5, 0.5, 1, 1, 2, 0.3)
	out := filterDB(t, weights.CNNFilterDB{KeepDegenerate: true}, weights.CNNFilterDBInput{Networks: data.Checkpoints{a, b, far, a}, Beside: data.Checkpoints{far}})
	d, _, err := out.Floats("shift", 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		for j := range 4 {
			if d[4*i+j] != d[4*j+i] || d[4*i+j] < 0 {
				t.Errorf("shift %d %d: %g and %g", i, j, d[4*i+j], d[4*j+i])
			}
		}
	}
	if d[3] != 0 || d[0] != 0 {
		t.Errorf("equal checkpoints lie %g apart", d[3])
	}
	if d[1] > 0.1 || d[2] < 5*d[1] {
		t.Errorf("two samples of one distribution %g apart, of two %g", d[1], d[2])
	}
	// The order of kernels and a layer's scale do not matter.
	v, _ := a.Tensors["conv.weight"].Float64s()
	turned := make([]float64, 0, len(v))
	for k := len(v) - 9; k >= 0; k -= 9 {
		for _, x := range v[k : k+9] {
			turned = append(turned, 4*x)
		}
	}
	other := &data.Checkpoint{Tensors: map[string]data.Tensor{"x": data.Float64Tensor(turned, 60, 60, 3, 3)}}
	again := filterDB(t, weights.CNNFilterDB{KeepDegenerate: true}, weights.CNNFilterDBInput{Networks: data.Checkpoints{other, far}})
	if e, _, _ := again.Floats("shift", 2, 2); math.Abs(e[1]-d[2]) > 1e-9*d[2] {
		t.Errorf("shift %g after scaling and turning, %g before", e[1], d[2])
	}
}

func TestCNNFilterDBComponents(t *testing.T) {
	// Components are the cosines that kernels were drawn in, by falling spread.
	out := filterDB(t, weights.CNNFilterDB{KeepDegenerate: true}, weights.CNNFilterDBInput{Networks: data.Checkpoints{kernels(4, 300, 300, 0, 3, 2, 1)}})
	basis, _, err := out.Floats("components", 9, 9)
	if err != nil {
		t.Fatal(err)
	}
	shares, _, _ := out.Floats("variance", 9)
	if !slices.IsSortedFunc(shares, func(a, b float64) int { return int(math.Copysign(1, b-a)) }) || math.Abs(shares[0]-9.0/14) > 5e-3 {
		t.Errorf("shares %v, want 9, 4 and 1 of 14", shares)
	}
	for i := range 3 {
		dot, length := 0.0, 0.0
		for j := range 9 {
			x := math.Cos(math.Pi * (float64(j) + 0.5) * float64(i+1) / 9)
			dot, length = dot+x*basis[9*i+j], length+x*x
		}
		if cos := math.Abs(dot) / math.Sqrt(length); cos < 0.999 {
			t.Errorf("component %d has cosine %g with the pattern", i+1, cos)
		}
	}
}

func TestCNNFilterDBLayouts(t *testing.T) {
	const o, i = 5, 4
	a := kernels(6, o, i, 1, 2, 1, 1)
	v, _ := a.Tensors["conv.weight"].Float64s()
	keras, lite := make([]float64, len(v)), make([]float64, len(v))
	for x := range o {
		for y := range i {
			for k := range 9 {
				keras[(k*i+y)*o+x] = v[(x*i+y)*9+k]
				lite[(x*9+k)*i+y] = v[(x*i+y)*9+k]
			}
		}
	}
	want := oneLayer(t, a)
	for shape, values := range map[string][]float64{"3 3 4 5": keras, "5 3 3 4": lite} {
		var s [4]int
		fmt.Sscan(shape, &s[0], &s[1], &s[2], &s[3])
		if have := oneLayer(t, &data.Checkpoint{Tensors: map[string]data.Tensor{"conv.weight": data.Float64Tensor(values, s[:]...)}}); have != want {
			t.Errorf("%v: %+v, want %+v", s, have, want)
		}
	}
}

func TestCNNFilterDBErrors(t *testing.T) {
	flat := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float64Tensor(make([]float64, 25), 1, 1, 5, 5)}}
	bad := kernels(1, 2, 2, 1)
	bad.Tensors["conv.weight"] = data.Float64Tensor([]float64{math.Inf(1), 0, 0, 0, 0, 0, 0, 0, 0}, 1, 1, 3, 3)
	for name, test := range map[string]struct {
		in   data.Checkpoints
		kind error
		says string
	}{
		"none":       {nil, method.ErrInput, "none of 0 checkpoints"},
		"no kernels": {data.Checkpoints{flat}, method.ErrInput, "3×3"},
		"nil":        {data.Checkpoints{kernels(1, 2, 2, 1), nil}, method.ErrInput, "checkpoint 2"},
		"infinite":   {data.Checkpoints{kernels(1, 2, 2, 1), bad}, data.ErrFinite, `checkpoint 2: tensor "conv.weight": element 0`},
	} {
		if _, err := (weights.CNNFilterDB{}).Apply(t.Context(), weights.CNNFilterDBInput{Networks: test.in}); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
