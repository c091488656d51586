package probe_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleGroupRobust() {
	// Ants were mostly photographed on sand, bees mostly on grass: the first column is the ground, the second the animal.
	train := grounds(400, 0.95, 1)
	m, err := probe.GroupRobust{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	names, losses := m.Groups()
	fmt.Println(names)
	fmt.Println(slices.Max(losses) < 1.5*slices.Min(losses))
	// Output:
	// [ant in grass ant in sand bee in grass bee in sand]
	// true
}

// grounds are n rows of two classes, a share of which stand on their class's usual ground.
func grounds(n int, share float64, seed uint64) *data.Table {
	r := rand.New(rand.NewPCG(seed, 3))
	var x []float32
	var names, groups []string
	for i := range n {
		animal := i % 2
		ground := animal
		if r.Float64() > share {
			ground = 1 - animal
		}
		x = append(x, float32(3*float64(ground)+r.NormFloat64()), float32(2*float64(animal)+r.NormFloat64()))
		names, groups = append(names, []string{"ant", "bee"}[animal]), append(groups, []string{"sand", "grass"}[ground])
	}
	tab, err := data.NewTable(n, 2, x)
	if err != nil {
		panic(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		panic(err)
	}
	if tab, err = tab.WithGroups(groups); err != nil {
		panic(err)
	}
	return tab
}

func fitGroupRobust(t testing.TB, c probe.GroupRobust, train *data.Table) *probe.GroupRobustModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGroupRobustBalanced is the logistic head on rows that are repeated until all groups have the same number. The penalty is
// in units of the columns' variance, which repeating changes, and so does the mean: weights are compared through probabilities.
func TestGroupRobustBalanced(t *testing.T) {
	train := grounds(60, 0.8, 2)
	counts := map[string]int{}
	name := func(i int) string { return train.ClassName(i) + train.Groups()[i] }
	for i := range 60 {
		counts[name(i)]++
	}
	product := 1
	for _, n := range counts {
		product *= n
	}
	var rows []int
	for i := range 60 {
		for range product / counts[name(i)] {
			rows = append(rows, i)
		}
	}
	if len(rows) > 200000 {
		t.Fatalf("%d rows", len(rows))
	}
	repeated := train.Pick(rows)
	mean := func(in *data.Table) (v float64) {
		s := summarise(t, in)
		return (s.total[0] + s.total[1]) / 2
	}
	const ridge = 1e-2
	query := grounds(50, 0.5, 3)
	have, _ := asked(t, fitGroupRobust(t, probe.GroupRobust{Ridge: ridge}, train), query)
	want, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: ridge * mean(train) / mean(repeated)}, repeated), query)
	near(t, "probabilities", have, want, 1e-5)
}

// TestGroupRobustWorst: no head on a grid around it has a lower largest loss, penalty included.
func TestGroupRobustWorst(t *testing.T) {
	train, query := grounds(400, 0.95, 4), grounds(2000, 0.5, 5)
	const ridge = 1e-3
	m := fitGroupRobust(t, probe.GroupRobust{Ridge: ridge, Strategy: "worst"}, train)
	balanced := fitGroupRobust(t, probe.GroupRobust{Ridge: ridge}, train)
	r := m.Report()
	t.Logf("largest loss %.5f, balanced %.5f, missed by %.2g", r["worst_loss"], balanced.Report()["worst_loss"], r["missed_by_at_most"])
	if r["worst_loss"] > balanced.Report()["worst_loss"] || !(r["missed_by_at_most"] < 0.02*r["worst_loss"]) {
		t.Errorf("largest loss %.5f, balanced %.5f, missed by %.2g", r["worst_loss"], balanced.Report()["worst_loss"], r["missed_by_at_most"])
	}
	s := summarise(t, train)
	unit := ridge * (s.total[0] + s.total[1]) / 2
	// A head of two classes is one plane; its two halves differ in sign, so the penalty is half of the plane's squared length, twice.
	center, w, b := m.Linear()
	plane := []float64{w[1] - w[0], w[3] - w[2], b[1] - b[0]}
	objective := func(p []float64) float64 {
		losses, rows := map[string]float64{}, map[string]float64{}
		for i, l := range s.labels {
			z := p[2]
			for j, v := range train.Row(i) {
				z += p[j] * (float64(v) - center[j])
			}
			if train.Classes()[l] == "ant" {
				z = -z
			}
			key := train.ClassName(i) + train.Groups()[i]
			losses[key] += math.Log1p(math.Exp(-z))
			rows[key]++
		}
		top := 0.0
		for key, v := range losses {
			top = max(top, v/rows[key])
		}
		return top + unit/2*(p[0]*p[0]+p[1]*p[1])/2
	}
	at := objective(plane)
	for _, by := range []float64{0.01, 0.1, 0.5} {
		for j := range plane {
			for _, sign := range []float64{-1, 1} {
				moved := append([]float64(nil), plane...)
				moved[j] += sign * by
				if lower := objective(moved); lower < at-r["missed_by_at_most"]-1e-9 {
					t.Errorf("%.6f, moved %.6f, missed by at most %.2g", at, lower, r["missed_by_at_most"])
				}
			}
		}
	}
	worst := func(p []float64) float64 {
		right, rows := map[string]float64{}, map[string]float64{}
		for i := range 2000 {
			key := query.ClassName(i) + query.Groups()[i]
			rows[key]++
			if (p[2*i+1] > 0.5) == (query.ClassName(i) == "bee") {
				right[key]++
			}
		}
		low := 1.0
		for key := range rows {
			low = min(low, right[key]/rows[key])
		}
		return low
	}
	plain, _ := asked(t, fitLogistic(t, probe.Logistic{}, train), query)
	robust, _ := asked(t, m, query)
	even, _ := asked(t, balanced, query)
	t.Logf("accuracy of the worst group: %.3f plain, %.3f balanced, %.3f worst", worst(plain), worst(even), worst(robust))
	if worst(even) < worst(plain)+0.1 || worst(robust) < worst(plain)+0.1 {
		t.Errorf("accuracy of the worst group: %.3f plain, %.3f balanced, %.3f worst", worst(plain), worst(even), worst(robust))
	}
}
