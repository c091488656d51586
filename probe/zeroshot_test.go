package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleZeroShot() {
	// Two sentences a class, embedded; a row of an image's features in the same space.
	names, _ := data.NewTable(4, 2, []float32{4, 1, 2, -0.5, 0, 3, 1, 9})
	names, _ = names.WithClassNames([]string{"ant", "ant", "bee", "bee"})
	m, err := probe.ZeroShot{Temperature: 0.1}.Fit(context.Background(), names)
	if err != nil {
		panic(err)
	}
	image, _ := data.NewTable(1, 2, []float32{30, 25})
	p, _ := m.Predict(image)
	fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(0)[0], p.Columns()[1], p.Row(0)[1])
	// Output:
	// ant 0.70, bee 0.30
}

// TestZeroShotCosines against the formula written down plainly, and no matter how long rows and names are.
func TestZeroShotCosines(t *testing.T) {
	names, query := toy(t, 1, 30, 5, 3), toy(t, 2, 40, 5, 3)
	m, err := probe.ZeroShot{Temperature: 0.05}.Fit(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	unit := func(row []float32) []float64 {
		out, s := make([]float64, len(row)), 0.0
		for j, v := range row {
			out[j] = float64(v)
			s += out[j] * out[j]
		}
		for j := range out {
			out[j] /= math.Sqrt(s)
		}
		return out
	}
	n, d := names.Dims()
	mean := map[string][]float64{}
	for i := range n {
		if mean[names.ClassName(i)] == nil {
			mean[names.ClassName(i)] = make([]float64, d)
		}
		for j, v := range unit(names.Row(i)) {
			mean[names.ClassName(i)][j] += v
		}
	}
	_, logits := asked(t, m, query)
	for i := range 40 {
		for c, name := range []string{"0", "1", "2"} {
			dot, s := 0.0, 0.0
			for j, v := range unit(query.Row(i)) {
				dot += v * mean[name][j]
				s += mean[name][j] * mean[name][j]
			}
			near(t, "logit", []float64{logits[3*i+c]}, []float64{dot / math.Sqrt(s) / 0.05}, 1e-6)
		}
	}
	long := make([]float32, 40*d)
	for i, v := range query.X() {
		long[i] = 1000 * v
	}
	scaled, _ := data.NewTable(40, d, long)
	_, other := asked(t, m, scaled)
	near(t, "longer rows", other, logits, 1e-6)
}

func TestZeroShotRefuses(t *testing.T) {
	for what, x := range map[string][]float32{"a name of length zero": {0, 0, 1, 0}, "a class whose names cancel": {1, 0, -1, 0}} {
		names, _ := data.NewTable(2, 2, x)
		names, _ = names.WithClassNames([]string{"a", "a"})
		if _, err := (probe.ZeroShot{}).Fit(t.Context(), names); !errors.Is(err, method.ErrDegenerate) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
