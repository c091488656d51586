package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// vidaNetwork is a network 4-5-3 as a checkpoint, and itself.
func vidaNetwork() (*data.Checkpoint, *net.Net) {
	n := net.New(3, 4, 5, 3)
	c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for _, t := range n.Tensors() {
		c.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	c.SetStrings("classes", []string{"fig", "pear", "plum"})
	return c, n
}

// vidaStream is n rows that drift away from zero.
func vidaStream(n int) *data.Table {
	x := make([]float32, 4*n)
	for i := range x {
		x[i] = float32(math.Sin(float64(5*i))) + float32(i)/float32(2*n)
	}
	t, err := data.NewTable(n, 4, x)
	if err != nil {
		panic(err)
	}
	return t
}

func ExampleViDA() {
	head, _ := vidaNetwork()
	p, err := continual.ViDA{}.Apply(context.Background(), continual.ViDAInput{In: vidaStream(100), Head: head})
	if err != nil {
		panic(err)
	}
	n, _ := p.Dims()
	fmt.Println(n, p.Columns())
	// Output: 100 [fig pear plum]
}

// TestViDAStandsStill: adapters that were never tuned do nothing, so at a rate of nearly nothing the answers are the network's, bit for bit.
func TestViDAStandsStill(t *testing.T) {
	head, n := vidaNetwork()
	in := vidaStream(90)
	p, err := continual.ViDA{Rate: 1e-30}.Apply(t.Context(), continual.ViDAInput{In: in, Head: head})
	if err != nil {
		t.Fatal(err)
	}
	want := n.Logits(in.X(), 90)
	num.SoftmaxRows(want, want, 3)
	if !slices.Equal(p.X(), want) {
		t.Error("the answers are not the network's")
	}
	moved, err := continual.ViDA{Rate: 0.01, Decay: 0.5}.Apply(t.Context(), continual.ViDAInput{In: in, Head: head})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(moved.X()[:40*3], want[:40*3]) {
		t.Error("the first batch is not answered before it is learned from")
	}
	if slices.Equal(moved.X()[40*3:80*3], want[40*3:80*3]) {
		t.Error("nothing was learned from the first batch")
	}
}

// TestViDAIsOnline: what comes later changes no answer.
func TestViDAIsOnline(t *testing.T) {
	head, _ := vidaNetwork()
	source := labelledRows(4, []float32{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, "fig", "pear", "plum", "fig")
	c := continual.ViDA{Rate: 0.01, Decay: 0.9, Batch: 16, Steps: 20}
	whole, err := c.Apply(t.Context(), continual.ViDAInput{In: vidaStream(90).Slice(0, 80), Head: head, Source: source})
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Apply(t.Context(), continual.ViDAInput{In: vidaStream(90).Slice(0, 48), Head: head, Source: source})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(whole.X()[:48*3], first.X()) {
		t.Error("the answers to 48 rows depend on the 32 after them")
	}
}

func TestViDARefuses(t *testing.T) {
	head, _ := vidaNetwork()
	wide, _ := vidaNetwork()
	wide.Tensors["0.weight"] = data.Float32Tensor(make([]float32, 20), 4, 5)
	infinite, _ := vidaNetwork()
	infinite.Tensors["2.bias"] = data.Float32Tensor([]float32{math.MaxFloat32, math.MaxFloat32, math.MaxFloat32}, 3)
	infinite.Tensors["0.weight"] = data.Float32Tensor(slices.Repeat([]float32{3e38}, 20), 5, 4)
	in := vidaStream(50)
	for what, c := range map[string]struct {
		in   continual.ViDAInput
		want error
	}{
		"no network":          {continual.ViDAInput{In: in}, method.ErrInput},
		"layers do not fit":   {continual.ViDAInput{In: in, Head: wide}, data.ErrShape},
		"rows do not fit":     {continual.ViDAInput{In: labelledRows(2, []float32{1, 2}, "fig"), Head: head}, data.ErrShape},
		"beyond float32":      {continual.ViDAInput{In: in, Head: infinite}, method.ErrDegenerate},
		"an unknown class":    {continual.ViDAInput{In: in, Head: head, Source: labelledRows(4, []float32{1, 2, 3, 4}, "kiwi")}, data.ErrLabels},
		"a source too narrow": {continual.ViDAInput{In: in, Head: head, Source: labelledRows(2, []float32{1, 2}, "fig")}, data.ErrShape},
	} {
		if _, err := (continual.ViDA{}).Apply(t.Context(), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}
