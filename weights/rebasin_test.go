package weights_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleRebasin() {
	two := func(first, second, third []float64) *data.Checkpoint {
		c := matrix("0.weight", 3, 1, first...)
		c.Tensors["0.bias"], c.Tensors["2.weight"] = data.CastTensor(data.F32, second, 3), data.CastTensor(data.F32, third, 1, 3)
		return c
	}
	a := two([]float64{1, 2, 3}, []float64{10, 20, 30}, []float64{-1, -2, -3})
	b := two([]float64{3, 1, 2}, []float64{30, 10, 20}, []float64{-3, -1, -2})
	out, err := weights.Rebasin{}.Apply(context.Background(), weights.RebasinInput{From: b, To: a})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("0.weight", 3, 1)
	v, _, _ := out.Floats("2.weight", 1, 3)
	fmt.Println(w, v, "moved", out.Meta["rebasin.moved"])
	// Output:
	// [1 2 3] [-1 -2 -3] moved 3
}

// A network whose units were shuffled, with a little noise, comes back to the byte; and what is reordered computes the same.
func TestRebasinFindsPlantedOrders(t *testing.T) {
	n := net.New(3, 10, 24, 16, 5)
	to := checkpoint(n)
	r := rand.New(rand.NewPCG(5, 5))
	w := func(c *data.Checkpoint, name string) []float64 {
		v, err := c.Tensors[name].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	names := to.Names()
	from := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	orders := [][]int{r.Perm(24), r.Perm(16), {0, 1, 2, 3, 4}}
	before := []int(nil)
	layer := 0
	for _, name := range names { // bias before weight, layer by layer
		t0 := to.Tensors[name]
		v := w(to, name)
		order := orders[layer]
		out := make([]float64, len(v))
		width := len(v) / len(order)
		for i, p := range order {
			for j := range width {
				from := j
				if before != nil && width > 1 {
					from = before[j]
				}
				out[i*width+j] = v[p*width+from]
			}
		}
		from.Tensors[name] = data.CastTensor(data.F32, out, t0.Shape...)
		if strings.HasSuffix(name, ".weight") {
			before, layer = order, layer+1
		}
	}
	back := apply(t, "rebasin", nil, data.Bundle{"from": from, "to": to})
	same(t, "shuffled", back, to)
	rows := blobs(4, 50, 10, 5)
	logits := func(c *data.Checkpoint) []float32 {
		var ts []net.Tensor
		for _, name := range c.Names() {
			v := w(c, name)
			f := make([]float32, len(v))
			for i := range v {
				f[i] = float32(v[i])
			}
			ts = append(ts, net.Tensor{Name: name, Shape: c.Tensors[name].Shape, Values: f})
		}
		m, err := net.FromTensors(ts)
		if err != nil {
			t.Fatal(err)
		}
		return m.Logits(rows.X(), 50)
	}
	other := apply(t, "rebasin", nil, data.Bundle{"from": checkpoint(net.New(77, 10, 24, 16, 5)), "to": to})
	was, is := logits(checkpoint(net.New(77, 10, 24, 16, 5))), logits(other)
	for i := range was {
		if d := was[i] - is[i]; d > 1e-5 || d < -1e-5 {
			t.Fatalf("logit %d was %v and is %v", i, was[i], is[i])
		}
	}
}

// A convolution, its normalisation and a linear layer on flattened maps.
func TestRebasinOfConvolutions(t *testing.T) {
	const c1, c2, k, maps = 6, 4, 9, 3
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(shape ...int) data.Tensor {
		n := 1
		for _, s := range shape {
			n *= s
		}
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		return data.CastTensor(data.F32, v, shape...)
	}
	to := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"conv1.weight": draw(c1, 2, 3, 3), "conv1.bias": draw(c1), "bn1.weight": draw(c1), "bn1.running_mean": draw(c1),
		"conv2.weight": draw(c2, c1, 3, 3), "fc.weight": draw(5, c2*maps), "fc.bias": draw(5),
	}}
	p, q := []int{3, 1, 5, 0, 4, 2}, []int{2, 0, 3, 1}
	from := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for name, tensor := range to.Tensors {
		v, _ := tensor.Float64s()
		out := make([]float64, len(v))
		for i := range v {
			j := i
			switch name {
			case "conv1.weight":
				j = p[i/18]*18 + i%18
			case "conv1.bias", "bn1.weight", "bn1.running_mean":
				j = p[i]
			case "conv2.weight":
				j = q[i/(c1*k)]*c1*k + p[i%(c1*k)/k]*k + i%k
			case "fc.weight":
				j = i/(c2*maps)*c2*maps + q[i%(c2*maps)/maps]*maps + i%maps
			}
			out[i] = v[j]
		}
		from.Tensors[name] = data.CastTensor(data.F32, out, tensor.Shape...)
	}
	chain := map[string]string{"chain": "conv1+bn1, conv2, fc"}
	same(t, "convolutions", apply(t, "rebasin", chain, data.Bundle{"from": from, "to": to}), to)
	for text, words := range map[string]string{"conv1,fc": `"fc.weight"`, "nothing": "nothing.weight", "bn1": "bn1.weight"} {
		if _, err := tryApply(t, "rebasin", map[string]string{"chain": strings.Replace(text, "conv1,fc", "fc,conv1", 1)}, data.Bundle{"from": from, "to": to}); err == nil || !strings.Contains(err.Error(), strings.Replace(words, "fc", "conv1", 1)) {
			t.Errorf("chain %s: %v, want %q", text, err, words)
		}
	}
}
