package detect_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleLOF() {
	// A dense cluster, a step of 1, and a sparse one, a step of 10: 5 beside the first is odd, beside the second it is not.
	train, _ := data.NewTable(10, 1, []float32{0, 1, 2, 3, 4, 100, 110, 120, 130, 140})
	m, err := detect.LOF{Neighbors: 2}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 1, []float32{2.5, 9, 145})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f %.2f\n", scores[0], scores[1], scores[2])
	// Output: 0.83 3.67 1.17
}

func fitLOF(t testing.TB, c detect.LOF, train *data.Table) *detect.LOFModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bruteLOF is definitions 3 to 7 in words: sorted distances, reachability, density, their ratio. Training rows must differ.
func bruteLOF(train, query *data.Table, k int) []float64 {
	n, _ := train.Dims()
	k = min(k, n-1)
	distance := func(a, b []float32) float64 {
		s := 0.0
		for j := range a {
			s += math.Pow(float64(a[j])-float64(b[j]), 2)
		}
		return math.Sqrt(s)
	}
	nearest := func(row []float32, without int) []int {
		var all []int
		for i := range n {
			if i != without {
				all = append(all, i)
			}
		}
		from := make([]float64, n)
		for _, i := range all {
			from[i] = distance(row, train.Row(i))
		}
		slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(from[a], from[b]) })
		return all[:k]
	}
	kDistance := make([]float64, n)
	for i := range n {
		kDistance[i] = distance(train.Row(i), train.Row(nearest(train.Row(i), i)[k-1]))
	}
	density := func(row []float32, without int) float64 {
		sum := 0.0
		for _, o := range nearest(row, without) {
			sum += math.Max(kDistance[o], distance(row, train.Row(o)))
		}
		return 1 / (sum / float64(k))
	}
	densities := make([]float64, n)
	for i := range n {
		densities[i] = density(train.Row(i), i)
	}
	q, _ := query.Dims()
	out := make([]float64, q)
	for i := range out {
		own := density(query.Row(i), -1)
		for _, o := range nearest(query.Row(i), -1) {
			out[i] += densities[o] / own / float64(k)
		}
	}
	return out
}

func TestLOFAgainstTheFormula(t *testing.T) {
	train, in := gaussianClasses(1, 120, 6, 3), gaussianClasses(2, 30, 6, 4)
	for _, k := range []int{1, 5, 20, 119, 500} {
		near(t, fmt.Sprintf("k = %d", k), scores(t, fitLOF(t, detect.LOF{Neighbors: k}, train), in), bruteLOF(train, in, k), 1e-9)
	}
}

// TestLOFLattice pins the definition: the asked row's k nearest training rows, and a training row's k nearest others. Of a
// regular lattice's inside all places are alike and score one.
func TestLOFLattice(t *testing.T) {
	var x []float32
	for i := range 400 {
		x = append(x, float32(i%20), float32(i/20))
	}
	m := fitLOF(t, detect.LOF{Neighbors: 8}, mustTable(t, 400, 2, x))
	// Half-way between four nodes, 4 are at √½ and 4 of 8 at √2.5; reachability is at least √2 everywhere.
	near(t, "inside", scores(t, m, mustTable(t, 1, 2, []float32{9.5, 9.5})), []float64{(4*math.Sqrt2 + 4*math.Sqrt(2.5)) / 8 / math.Sqrt2}, 1e-9)
}

// TestLOFDuplicates: copies are rows like others. Where more rows than neighbours are equal, the score is the limit of rows
// ever closer: one for another copy, beyond all bounds beside them; units do not matter.
func TestLOFDuplicates(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	once := gaussian(t, r, 60, 3, nil)
	few := mustTable(t, 62, 3, slices.Concat(once.X(), once.Row(9), once.Row(9)))
	in := gaussian(t, r, 25, 3, nil)
	near(t, "few copies", scores(t, fitLOF(t, detect.LOF{Neighbors: 5}, few), in), bruteLOF(few, in, 5), 1e-9)
	many := mustTable(t, 100, 3, slices.Concat(once.X(), slices.Repeat(once.Row(7), 40)))
	beside := mustTable(t, 2, 3, slices.Concat(once.Row(7), []float32{once.Row(7)[0] + 0.001, once.Row(7)[1], once.Row(7)[2]}))
	s := scores(t, fitLOF(t, detect.LOF{Neighbors: 5}, many), beside)
	if math.Abs(s[0]-1) > 1e-12 || s[1] < 1e5 {
		t.Errorf("a copy scores %g, a row beside copies %g; want 1 and beyond all bounds", s[0], s[1])
	}
	unit := []float64{1024, 0, 0, 0, 1024, 0, 0, 0, 1024}
	other := scores(t, fitLOF(t, detect.LOF{Neighbors: 5}, mapped(t, many, unit, make([]float64, 3))), mapped(t, beside, unit, make([]float64, 3)))
	near(t, "another unit", other, s, 1e-12)
}

func TestLOFInvariances(t *testing.T) {
	train, in := gaussianClasses(5, 150, 3, 2), gaussianClasses(6, 30, 3, 3)
	want := scores(t, fitLOF(t, detect.LOF{}, train), in)
	unit := []float64{4, 0, 0, 0, 4, 0, 0, 0, 4}
	near(t, "another unit", scores(t, fitLOF(t, detect.LOF{}, mapped(t, train, unit, make([]float64, 3))), mapped(t, in, unit, make([]float64, 3))), want, 1e-12)
	rotation := []float64{1. / 3, 2. / 3, 2. / 3, 2. / 3, 1. / 3, -2. / 3, 2. / 3, -2. / 3, 1. / 3}
	near(t, "rotated", scores(t, fitLOF(t, detect.LOF{}, mapped(t, train, rotation, make([]float64, 3))), mapped(t, in, rotation, make([]float64, 3))), want, 1e-4)
}

func TestLOFDegenerate(t *testing.T) {
	if _, err := (detect.LOF{}).Fit(t.Context(), mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2})); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
	// Two different rows are each other's only neighbour.
	near(t, "two rows", scores(t, fitLOF(t, detect.LOF{}, mustTable(t, 2, 1, []float32{0, 2})), mustTable(t, 2, 1, []float32{1, 8})), []float64{1, 3}, 1e-12)
}

func BenchmarkLOFScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m := fitLOF(b, detect.LOF{}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
