package weights_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleOwLore() {
	rows, start := blobs(1, 300, 8, 4), checkpoint(net.New(1, 8, 32, 32, 32, 4))
	tuned, err := weights.OwLore{Rate: 0.01, Steps: 20}.Apply(context.Background(), weights.OwLoreInput{Encoder: start, Rows: rows})
	if err != nil {
		panic(err)
	}
	held, _ := weights.NewHoldout(blobs(2, 400, 8, 4))
	before, _ := held.Evaluate(context.Background(), start)
	after, _ := held.Evaluate(context.Background(), tuned)
	fmt.Println(before < 0.5, after > 0.75)
	fmt.Println("numbers in use, of those for tuning everything:", tuned.Meta["owlore.memory"])
	// Output:
	// true true
	// numbers in use, of those for tuning everything: ["1900","7596","0.250132"]
}

func owLore(t testing.TB, c weights.OwLore, in *data.Checkpoint, rows *data.Table) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), weights.OwLoreInput{Encoder: in, Rows: rows})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// shares reads the outliers and draws of each layer.
func shares(t testing.TB, c *data.Checkpoint) (outliers, probabilities []float64, draws []int) {
	t.Helper()
	for _, line := range words(t, c, "owlore.layers") {
		name, a, b, n := "", 0.0, 0.0, 0
		if _, err := fmt.Sscan(line, &name, &a, &b, &n); err != nil {
			t.Fatal(err)
		}
		outliers, probabilities, draws = append(outliers, a), append(probabilities, b), append(draws, n)
	}
	return outliers, probabilities, draws
}

func TestOwLoreCountsOutliersByHand(t *testing.T) {
	// Inputs have norms 3, 4 and 0 over two rows. |W|·‖x‖ is 3 0 0, 3 4 0, 30 8 0: mean 48/9, and 30 alone exceeds 3 of them.
	in := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"0.weight": data.CastTensor(data.F32, []float64{1, 0, 9, -1, 1, 9, 10, -2, 9}, 3, 3), "0.bias": data.CastTensor(data.F32, []float64{0, 0, 0}, 3),
		"1.weight": data.CastTensor(data.F32, []float64{1, 1, 1, 1, 1, 1}, 2, 3), "1.bias": data.CastTensor(data.F32, []float64{0, 0}, 2),
	}}
	rows, _ := data.NewTable(2, 3, []float32{3, 0, 0, 0, 4, 0})
	rows, _ = rows.WithLabels([]int{0, 1}, []string{"0", "1"})
	out := owLore(t, weights.OwLore{Steps: 1}, in, rows)
	if a, p, n := shares(t, out); a[0] != 0.111111 || p[0] != 1 || n[0] != 1 {
		t.Errorf("outliers %v, probabilities %v, draws %v", a, p, n)
	}
	if a, _, _ := shares(t, owLore(t, weights.OwLore{Steps: 1, Threshold: 6}, in, rows)); a[0] != 0 {
		t.Errorf("beyond 6 means: %v", a)
	}
}

func TestOwLoreOutliersHaveNoScale(t *testing.T) {
	rows := blobs(1, 80, 8, 4)
	plain := net.New(1, 8, 24, 24, 4)
	scaled := plain.Clone()
	for _, tensor := range scaled.Tensors() { // biases are zero: all layers' inputs scale
		for i := range tensor.Values {
			tensor.Values[i] *= 4
		}
	}
	a, _, _ := shares(t, owLore(t, weights.OwLore{Steps: 1, Threshold: 2}, checkpoint(plain), rows))
	b, _, _ := shares(t, owLore(t, weights.OwLore{Steps: 1, Threshold: 2}, checkpoint(scaled), rows))
	if fmt.Sprint(a) != fmt.Sprint(b) || a[0] == 0 || a[0] > 0.5 {
		t.Errorf("outliers %v, %v with weights four times as large", a, b)
	}
}

func TestOwLoreWithoutOutliersIsUniform(t *testing.T) {
	rows, start := blobs(1, 200, 8, 4), checkpoint(net.New(1, 8, 16, 16, 16, 4))
	none := owLore(t, weights.OwLore{Threshold: 1e5, Steps: 6}, start, rows)
	uniform := owLore(t, weights.OwLore{Strategy: "uniform", Steps: 6}, start, rows)
	for _, name := range start.Names() {
		a, _ := none.Tensors[name].Bytes()
		if b, _ := uniform.Tensors[name].Bytes(); string(a) != string(b) {
			t.Errorf("%s differs", name)
		}
	}
}

func TestOwLoreFreezesTheOthers(t *testing.T) {
	rows, start := blobs(1, 100, 8, 4), checkpoint(net.New(1, 8, 16, 16, 16, 4))
	out := owLore(t, weights.OwLore{Steps: 1, Period: 1000, Strategy: "uniform", Rank: 2}, start, rows)
	_, _, draws := shares(t, out)
	for i, n := range draws {
		name := fmt.Sprint(2*i, ".weight")
		a, _ := start.Tensors[name].Bytes()
		b, _ := out.Tensors[name].Bytes()
		if (string(a) != string(b)) != (n > 0) {
			t.Errorf("%s was drawn %d times and changed: %v", name, n, string(a) != string(b))
		}
	}
	if a, _ := start.Tensors["6.weight"].Bytes(); true {
		if b, _ := out.Tensors["6.weight"].Bytes(); string(a) == string(b) {
			t.Error("the last layer did not learn")
		}
	}
}

func TestOwLoreErrors(t *testing.T) {
	rows := blobs(1, 20, 8, 4)
	for name, test := range map[string]struct {
		c    weights.OwLore
		in   weights.OwLoreInput
		kind error
		says string
	}{
		"nothing":   {in: weights.OwLoreInput{}, kind: method.ErrInput, says: "network"},
		"one layer": {in: weights.OwLoreInput{Encoder: checkpoint(net.New(1, 8, 4)), Rows: rows}, kind: data.ErrFormat, says: "one layer"},
		"width":     {in: weights.OwLoreInput{Encoder: checkpoint(net.New(1, 7, 8, 4)), Rows: rows}, kind: data.ErrFormat, says: "rows of 8"},
		"strategy":  {c: weights.OwLore{Strategy: "best"}, kind: method.ErrConfig, says: "best"},
	} {
		if _, err := test.c.Apply(t.Context(), test.in); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
