package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleMixup() {
	rows, start := blobs(1, 200, 8, 4), checkpoint(net.New(1, 8, 16, 4))
	held, err := weights.NewHoldout(blobs(2, 400, 8, 4))
	if err != nil {
		panic(err)
	}
	tuned, err := weights.Mixup{Rate: 0.05}.Apply(context.Background(), weights.MixupInput{Encoder: start, Rows: rows})
	if err != nil {
		panic(err)
	}
	before, _ := held.Evaluate(context.Background(), start)
	after, _ := held.Evaluate(context.Background(), tuned)
	fmt.Println(before < 0.5, after > 0.8)
	// Output:
	// true true
}

func mixup(t testing.TB, c weights.Mixup, in *data.Checkpoint, rows *data.Table) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), weights.MixupInput{Encoder: in, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMixupPlainIsPlainTraining(t *testing.T) {
	rows, start := blobs(1, 100, 8, 4), net.New(1, 8, 16, 4)
	want := train(t, start, rows, net.Train{Epochs: 3, Batch: 32, Rate: 0.05, Momentum: 0.9, Cosine: true, Smoothing: 0.1, Seed: 5})
	have := mixup(t, weights.Mixup{Strategy: "plain", Steps: 3, Batch: 32, Rate: 0.05, LabelSmoothing: 0.1, Seed: 5}, checkpoint(start), rows)
	for _, tensor := range want.Tensors() {
		v, _ := have.Tensors[tensor.Name].Float64s()
		for i, w := range tensor.Values { // one sums over a label's logit alone, the other over all: float32's rounding in 12 steps
			if math.Abs(v[i]-float64(w)) > 1e-4 {
				t.Fatalf("%s[%d] is %g, want %g", tensor.Name, i, v[i], w)
			}
		}
	}
}

func TestMixupIsLessSure(t *testing.T) {
	rows, start := blobs(1, 150, 8, 4), checkpoint(net.New(1, 8, 32, 4))
	held := holdout(t, blobs(2, 600, 8, 4))
	sure := func(c *data.Checkpoint) float64 {
		z, err := held.Outputs(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		n, k := z.Dims()
		sum := 0.0
		for i := range n {
			most, all := math.Inf(-1), 0.0
			for _, v := range z.Row(i) {
				most = max(most, float64(v))
			}
			for j := range k {
				all += math.Exp(float64(z.Row(i)[j]) - most)
			}
			sum += 1 / all / float64(n)
		}
		return sum
	}
	recipe := weights.Mixup{Strategy: "plain", Steps: 40, Rate: 0.05, Batch: 16}
	plain := sure(mixup(t, recipe, start, rows))
	recipe.LabelSmoothing = 0.2
	smooth := sure(mixup(t, recipe, start, rows))
	recipe.LabelSmoothing, recipe.Strategy, recipe.Mixing = 0, "mixup", 1
	mixed := sure(mixup(t, recipe, start, rows))
	if smooth > plain-0.05 || mixed > plain-0.02 {
		t.Errorf("mean confidence %.3f plain, %.3f with soft labels, %.3f on mixtures", plain, smooth, mixed)
	}
}

func TestMixupDrawsANewLastLayer(t *testing.T) {
	rows := blobs(1, 90, 8, 3)
	in := checkpoint(net.New(1, 8, 16, 5))
	out := mixup(t, weights.Mixup{Steps: 20, Rate: 0.05}, in, rows)
	if s := out.Tensors["2.weight"].Shape; s[0] != 3 || out.Meta["classes"] != `["0","1","2"]` {
		t.Errorf("last layer %v for classes %s", s, out.Meta["classes"])
	}
	if a, err := holdout(t, rows).Evaluate(t.Context(), out); err != nil || a < 0.8 {
		t.Errorf("accuracy %g on its own rows (%v)", a, err)
	}
	// Named outputs are found by name, in whatever order.
	named := checkpoint(net.New(1, 8, 16, 3))
	named.SetStrings("classes", []string{"2", "0", "1"})
	kept := mixup(t, weights.Mixup{Steps: 20, Rate: 0.05}, named, rows)
	if a, err := holdout(t, rows).Evaluate(t.Context(), kept); err != nil || a < 0.8 || kept.Meta["classes"] != `["2","0","1"]` {
		t.Errorf("accuracy %g, classes %s (%v)", a, kept.Meta["classes"], err)
	}
}

func TestMixupErrors(t *testing.T) {
	rows, start := blobs(1, 20, 8, 4), checkpoint(net.New(1, 8, 4))
	plain, _ := data.NewTable(2, 8, make([]float32, 16))
	count := checkpoint(net.New(1, 8, 4))
	count.Tensors["steps"] = data.Int64Tensor([]int64{1}, 1)
	for name, test := range map[string]struct {
		c    weights.Mixup
		in   weights.MixupInput
		kind error
		says string
	}{
		"nothing":   {in: weights.MixupInput{}, kind: method.ErrInput, says: "network"},
		"no labels": {in: weights.MixupInput{Encoder: start, Rows: plain}, kind: data.ErrLabels},
		"no rows":   {in: weights.MixupInput{Encoder: start, Rows: rows.Slice(0, 0)}, kind: data.ErrShape, says: "0×8"},
		"width":     {in: weights.MixupInput{Encoder: checkpoint(net.New(1, 7, 4)), Rows: rows}, kind: data.ErrFormat, says: "rows of 8"},
		"integers":  {in: weights.MixupInput{Encoder: count, Rows: rows}, kind: data.ErrFormat, says: `"steps" is I64`},
		"too fast":  {c: weights.Mixup{Rate: 10, Steps: 400}, in: weights.MixupInput{Encoder: checkpoint(net.New(1, 8, 64, 64, 4)), Rows: rows}, kind: data.ErrFinite},
	} {
		if _, err := test.c.Apply(t.Context(), test.in); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
