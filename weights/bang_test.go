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

// fixed gives one-number checkpoints the logits that a table lists for the number.
type fixed map[float64][]float32

func (fixed) Kind() data.Kind { return data.KindEvaluator }

func (f fixed) Evaluate(ctx context.Context, c *data.Checkpoint) (float64, error) {
	z, err := f.Outputs(ctx, c)
	if err != nil {
		return 0, err
	}
	right := 0.0
	labels, _ := z.Labels()
	for i, label := range labels {
		if (z.Row(i)[1] > z.Row(i)[0]) == (label == 1) {
			right += 1 / float64(len(labels))
		}
	}
	return right, nil
}

func (f fixed) Outputs(_ context.Context, c *data.Checkpoint) (*data.Table, error) {
	w, _, err := c.Floats("w", 1)
	if err != nil {
		return nil, err
	}
	z, err := data.NewTable(4, 2, f[w[0]])
	if err != nil {
		return nil, err
	}
	return z.WithLabels([]int{0, 0, 0, 0}, []string{"0", "1"})
}

func ExampleBANG() {
	// Of four rows of the first class, the ends get the first right, one each of the next two, and none the last.
	logits := fixed{
		0:   {1, 0, 1, 0, 0, 5, 0, 1},
		0.5: {1, 0, 0, 1, 1, 0, 1, 0},
		1:   {1, 0, 0, 2, 1, 0, 0, 1},
	}
	out, err := weights.BANG{Steps: 2}.Apply(context.Background(), weights.BANGInput{In: numbers(0, 1), Evaluate: logits})
	if err != nil {
		panic(err)
	}
	fmt.Println(out.Meta["bang.curve"])
	fmt.Println("blend:   ", out.Meta["bang.blend"])
	fmt.Println("ensemble:", out.Meta["bang.ensemble"])
	// Output:
	// ["0 0.5","0.5 0.75","1 0.5"]
	// blend:    right 0.75, false-false-true 0.25, true-true-false 0
	// ensemble: right 0.25, false-false-true 0, true-true-false 0
}

func bang(t testing.TB, c weights.BANG, in weights.BANGInput) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBANGEndsAndMiddle(t *testing.T) {
	all := many(4, 3)
	one := bang(t, weights.BANG{Share: 1}, weights.BANGInput{In: all[:2]})
	for _, name := range all[1].Names() {
		a, _ := one.Tensors[name].Bytes()
		if b, _ := all[1].Tensors[name].Bytes(); string(a) != string(b) {
			t.Errorf("share 1: tensor %s is not the tuned one's", name)
		}
	}
	best := bang(t, weights.BANG{Strategy: "best", Steps: 4}, weights.BANGInput{In: numbers(4, 8), Evaluate: table(func(w float64) float64 { return -w })})
	if w, _, _ := best.Floats("w", 1); w[0] != 4 || best.Meta["bang.share"] != "0" {
		t.Errorf("best at the pre-trained end: %v, share %s", w, best.Meta["bang.share"])
	}
	several := bang(t, weights.BANG{Share: 0.25}, weights.BANGInput{In: numbers(4, 8, 16)})
	if w, _, _ := several.Floats("w", 1); math.Abs(w[0]-(0.75*4+0.125*8+0.125*16)) > 1e-12 {
		t.Errorf("blend of three: %v", w)
	}
	inside := bang(t, weights.BANG{Strategy: "best", Steps: 4}, weights.BANGInput{In: numbers(4, 8), Evaluate: table(func(w float64) float64 { return -math.Abs(w - 7) })})
	if inside.Meta["bang.share"] != "0.75" {
		t.Errorf("best share %s, want 0.75", inside.Meta["bang.share"])
	}
}

func TestBANGOfLinearModelsIsTheirEnsemble(t *testing.T) {
	rows, held := blobs(1, 200, 8, 4), holdout(t, blobs(2, 500, 8, 4))
	start := train(t, net.New(2, 8, 4), blobs(9, 100, 8, 4), net.Train{Epochs: 1, Batch: 16, Rate: 0.05})
	tuned := train(t, start, rows, net.Train{Epochs: 5, Batch: 16, Rate: 0.2, Momentum: 0.9})
	out := bang(t, weights.BANG{Share: 0.3}, weights.BANGInput{In: data.Checkpoints{checkpoint(start), checkpoint(tuned)}, Evaluate: held})
	if out.Meta["bang.blend"] != out.Meta["bang.ensemble"] {
		t.Errorf("blend: %s; ensemble: %s", out.Meta["bang.blend"], out.Meta["bang.ensemble"])
	}
	if c := list(t, out, "bang.confidence"); c[0] >= c[1] || c[1] > 1 || c[0] < 0.25 {
		t.Errorf("confidences %v: the tuned one must be surer", c)
	}
}

func TestBANGErrors(t *testing.T) {
	for name, test := range map[string]struct {
		c    weights.BANG
		in   weights.BANGInput
		kind error
		says string
	}{
		"one":      {in: weights.BANGInput{In: numbers(1)}, kind: method.ErrInput, says: "1 checkpoints"},
		"no score": {c: weights.BANG{Strategy: "best"}, in: weights.BANGInput{In: numbers(1, 2)}, kind: method.ErrInput, says: "--evaluate"},
		"shapes":   {in: weights.BANGInput{In: append(numbers(1), many(1, 1)...)}, kind: data.ErrShape, says: "differences"},
		"NaN":      {in: weights.BANGInput{In: numbers(1, 2), Evaluate: table(func(float64) float64 { return math.NaN() })}, kind: data.ErrFinite, says: "share 0"},
	} {
		if _, err := test.c.Apply(t.Context(), test.in); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
