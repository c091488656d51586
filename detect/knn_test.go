package detect_test

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
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleKNN() {
	// Directions between east and north are familiar, whatever the length.
	train, _ := data.NewTable(3, 2, []float32{5, 0, 3, 4, 0, 2})
	m, err := detect.KNN{Neighbors: 1}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{30, 40, -1, 0, 0, 0})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f %.2f\n", scores[0], scores[1], scores[2])
	// Output: 0.00 1.41 1.00
}

func fitKNN(t testing.TB, c detect.KNN, train *data.Table) *detect.KNNModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bruteNearest sorts all distances, in float64 throughout.
func bruteNearest(train, query *data.Table, k int, raw bool) []float64 {
	unit := func(row []float32) []float64 {
		out, length := make([]float64, len(row)), 0.0
		for _, v := range row {
			length += float64(v) * float64(v)
		}
		for j, v := range row {
			out[j] = float64(v)
			if !raw && length > 0 {
				out[j] /= math.Sqrt(length)
			}
		}
		return out
	}
	n, _ := train.Dims()
	q, _ := query.Dims()
	out := make([]float64, q)
	for i := range q {
		at := unit(query.Row(i))
		var all []float64
		for r := range n {
			s := 0.0
			for j, v := range unit(train.Row(r)) {
				s += (v - at[j]) * (v - at[j])
			}
			all = append(all, math.Sqrt(s))
		}
		slices.Sort(all)
		out[i] = all[k-1]
	}
	return out
}

func TestKNNAgainstBruteForce(t *testing.T) {
	train, query := gaussianClasses(1, 300, 9, 3), gaussianClasses(2, 60, 9, 4)
	for _, k := range []int{1, 5, 50, 300} {
		// float32 rows of length one are off by 2^-25 in each of 9 values.
		near(t, fmt.Sprintf("k = %d", k), scores(t, fitKNN(t, detect.KNN{Neighbors: k}, train), query), bruteNearest(train, query, k, false), 3e-7)
		near(t, fmt.Sprintf("k = %d, raw", k), scores(t, fitKNN(t, detect.KNN{Neighbors: k, NoNormalize: true}, train), query), bruteNearest(train, query, k, true), 1e-12)
	}
}

// TestKNNDefinition pins what other programs define otherwise: the k-th distance, neither the mean of k nor the first; of
// rows scaled to length one; and not squared.
func TestKNNDefinition(t *testing.T) {
	angle := func(degrees ...float64) *data.Table {
		var x []float32
		for _, a := range degrees {
			x = append(x, float32(3*math.Cos(a*math.Pi/180)), float32(3*math.Sin(a*math.Pi/180)))
		}
		return mustTable(t, len(degrees), 2, x)
	}
	m := fitKNN(t, detect.KNN{Neighbors: 3}, angle(20, 40, 60, 90))
	near(t, "third nearest of 0°", scores(t, m, angle(0)), []float64{1}, 1e-6) // the chord of 60° is one radius
}

func TestKNNRowsOfTheTrainingSet(t *testing.T) {
	train := gaussianClasses(3, 200, 6, 2)
	for i, s := range scores(t, fitKNN(t, detect.KNN{Neighbors: 1}, train), train) {
		if s != 0 {
			t.Fatalf("row %d is at distance %g from itself", i+1, s)
		}
	}
	// Eight copies of a row: the eighth nearest is still at distance zero.
	x := slices.Concat(slices.Repeat(train.Row(0), 8), train.X())
	twins := mustTable(t, 208, 6, x)
	s := scores(t, fitKNN(t, detect.KNN{Neighbors: 9}, twins), train)
	if s[0] != 0 || s[1] == 0 {
		t.Errorf("distances %g and %g, want 0 to the ninth copy and more to others", s[0], s[1])
	}
}

func TestKNNInvariances(t *testing.T) {
	train, query := gaussianClasses(4, 150, 4, 2), gaussianClasses(5, 30, 4, 3)
	want := scores(t, fitKNN(t, detect.KNN{}, train), query)
	// Lengths do not matter; a factor of two is exact.
	double := mapped(t, query, []float64{2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2}, make([]float64, 4))
	near(t, "of twice the length", scores(t, fitKNN(t, detect.KNN{}, train), double), want, 0)
	// A rotation by thirds moves each value by float32's rounding only.
	rotation := []float64{1. / 3, 2. / 3, 2. / 3, 0, 2. / 3, 1. / 3, -2. / 3, 0, 2. / 3, -2. / 3, 1. / 3, 0, 0, 0, 0, -1}
	turned := scores(t, fitKNN(t, detect.KNN{}, mapped(t, train, rotation, make([]float64, 4))), mapped(t, query, rotation, make([]float64, 4)))
	near(t, "rotated", turned, want, 1e-6)
}

func TestKNNZeroRows(t *testing.T) {
	train := mustTable(t, 3, 2, []float32{0, 0, 1, 0, 0, 1e-38})
	query := mustTable(t, 3, 2, []float32{0, 0, 0, 5, -2, 0})
	near(t, "nearest", scores(t, fitKNN(t, detect.KNN{Neighbors: 1}, train), query), []float64{0, 0, 1}, 0)
	near(t, "second", scores(t, fitKNN(t, detect.KNN{Neighbors: 2}, train), query), []float64{1, 1, math.Sqrt2}, 1e-12)
}

func TestKNNManyQueries(t *testing.T) {
	// More rows than are scored at a time, and as many as leave an odd rest.
	r := rand.New(rand.NewPCG(6, 6))
	train, query := gaussian(t, r, 64, 3, nil), gaussian(t, r, 2500, 3, nil)
	m := fitKNN(t, detect.KNN{Neighbors: 7}, train)
	all := scores(t, m, query)
	for _, i := range []int{0, 1023, 1024, 2047, 2048, 2499} {
		if alone := scores(t, m, query.Slice(i, i+1)); alone[0] != all[i] {
			t.Errorf("row %d scores %.17g alone, %.17g among others", i+1, alone[0], all[i])
		}
	}
}

func TestKNNRefuses(t *testing.T) {
	_, err := detect.KNN{Neighbors: 8}.Fit(t.Context(), mustTable(t, 3, 2, make([]float32, 6)))
	if !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "3 rows") || !strings.Contains(err.Error(), "asks for 8") {
		t.Errorf("fewer rows than neighbours: %v", err)
	}
	if _, err := (detect.KNN{Neighbors: 1}).Fit(t.Context(), mustTable(t, 3, 0, nil)); !errors.Is(err, data.ErrShape) {
		t.Errorf("no columns: %v", err)
	}
}

func BenchmarkKNNScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m := fitKNN(b, detect.KNN{}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
