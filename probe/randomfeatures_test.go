package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

// rings are n rows of two classes, one around the other: no plane separates them.
func rings(t testing.TB, seed uint64, n int) *data.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var x []float32
	var names []string
	for i := range n {
		at := 2 * math.Pi * r.Float64()
		radius := 1 + 2*float64(i%2) + 0.2*r.NormFloat64()
		x = append(x, float32(radius*math.Cos(at)), float32(radius*math.Sin(at)))
		names = append(names, []string{"inner", "outer"}[i%2])
	}
	tab, err := data.NewTable(n, 2, x)
	if err != nil {
		t.Fatal(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		t.Fatal(err)
	}
	return tab
}

func ExampleRandomFeatures() {
	// A class in the middle of the other.
	train, _ := data.NewTable(9, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8, 9})
	train, _ = train.WithClassNames([]string{"out", "out", "out", "in", "in", "in", "out", "out", "out"})
	m, err := probe.RandomFeatures{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 1, []float32{1, 5, 9})
	p, _ := m.Predict(query)
	for i := range 3 {
		fmt.Println(p.Columns()[0], p.Row(i)[0] > 0.5)
	}
	// Output:
	// in false
	// in true
	// in false
}

func TestRandomFeaturesSeparateRings(t *testing.T) {
	train, query := rings(t, 1, 200), rings(t, 2, 1000)
	labels, _ := query.Labels()
	accuracy := func(m method.Logiter) (right float64) {
		p, _ := asked(t, m, query)
		for i, y := range labels {
			if p[2*i+y] > 0.5 {
				right += 1 / float64(len(labels))
			}
		}
		return right
	}
	m, err := probe.RandomFeatures{}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	plain, curved := accuracy(fitRidgePath(t, probe.RidgePath{}, train)), accuracy(m)
	t.Logf("accuracy %.3f by a plane, %.3f by random features", plain, curved)
	if plain > 0.7 || curved < 0.98 {
		t.Errorf("accuracy %.3f by a plane, %.3f by random features", plain, curved)
	}
}

// TestRandomFeaturesApproachTheKernel: with many cosines, products of two rows' features are the Gaussian kernel, so kernel
// ridge regression on two rows tells what a third one gets: values fall with the kernel.
func TestRandomFeaturesApproachTheKernel(t *testing.T) {
	train, _ := data.NewTable(2, 1, []float32{0, 1})
	train, _ = train.WithClassNames([]string{"a", "b"})
	m, err := probe.RandomFeatures{Rank: 16384, Bandwidth: 0.5}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	query, _ := data.NewTable(3, 1, []float32{0, 0.25, 1})
	_, logits := asked(t, m, query)
	// The two rows are 1 apart, the root mean squared distance of a row and another drawn with it is 1/√2.
	kernel := func(a, b float64) float64 { return math.Exp(-(a - b) * (a - b) / (2 * 0.25 * 0.5)) }
	difference := func(x float64) float64 { return kernel(x, 0) - kernel(x, 1) }
	have := (logits[2] - logits[3]) / (logits[0] - logits[1])
	near(t, "share of the difference at a training row", []float64{have}, []float64{difference(0.25) / difference(0)}, 0.03) // 1/√16384, a few times
}

func TestRandomFeaturesBadRows(t *testing.T) {
	same, _ := data.NewTable(2, 1, []float32{3, 3})
	same, _ = same.WithClassNames([]string{"a", "b"})
	if _, err := (probe.RandomFeatures{}).Fit(t.Context(), same); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
	x, _ := data.NewTable(3, 1, []float32{1, 2, 9})
	missing, _ := x.WithLabels([]int{0, 2, 2}, []string{"a", "none", "c"})
	m, err := probe.RandomFeatures{}.Fit(t.Context(), missing)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := m.Predict(x); err != nil || fmt.Sprint(p.Columns()) != "[a c]" {
		t.Errorf("a class without rows: %v (%v)", p.Columns(), err)
	}
}
