package detect_test

import (
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

func ExampleHBOS() {
	// Two bins, 0 to 5 with three rows and 5 to 10 with one.
	train, _ := data.NewTable(4, 1, []float32{0, 1, 2, 10})
	m, err := detect.HBOS{Bins: 2}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 1, []float32{4, 6, 11})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f %.2f\n", scores[0], scores[1], scores[2])
	// Output: 0.00 0.98 2.77
}

func fitHBOS(t testing.TB, c detect.HBOS, train *data.Table) *detect.HBOSModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bruteHistogram returns a column's edges.
func bruteHistogram(column []float64, bins int, dynamic bool) (edges []float64) {
	sorted := slices.Sorted(slices.Values(column))
	low, high := sorted[0], sorted[len(sorted)-1]
	if !dynamic {
		for k := range bins + 1 {
			edges = append(edges, low+(high-low)*float64(k)/float64(bins))
		}
		return edges
	}
	size := int(math.Ceil(float64(len(sorted)) / float64(bins)))
	edges = []float64{low}
	for i := 1; i < len(sorted); i++ {
		since := 0 // rows since the last edge
		for _, v := range sorted[:i] {
			if v > edges[len(edges)-1] || len(edges) == 1 {
				since++
			}
		}
		if since >= size && sorted[i] > sorted[i-1] {
			edges = append(edges, (sorted[i-1]+sorted[i])/2)
		}
	}
	return append(edges, high)
}

// bruteHBOS counts rows bin by bin for every asked value.
func bruteHBOS(train, query *data.Table, bins int, dynamic bool, smoothing float64) []float64 {
	n, d := train.Dims()
	q, _ := query.Dims()
	out := make([]float64, q)
	for j := range d {
		var column []float64
		for i := range n {
			column = append(column, float64(train.Row(i)[j]))
		}
		low, high := slices.Min(column), slices.Max(column)
		if low == high {
			for i := range q {
				if float64(query.Row(i)[j]) != low {
					out[i] += math.Log((1 + smoothing) / smoothing)
				}
			}
			continue
		}
		edges := bruteHistogram(column, bins, dynamic)
		density := func(v float64) float64 {
			for k := range len(edges) - 1 {
				from, to, last := edges[k], edges[k+1], k == len(edges)-2
				if v >= from && (v < to || last && v == to) {
					count := 0.0
					for _, u := range column {
						if u >= from && (u < to || last && u == to) {
							count++
						}
					}
					return count / float64(n) / (to - from) * (high - low)
				}
			}
			return 0
		}
		top := 0.0
		for _, v := range column {
			top = max(top, density(v))
		}
		for i := range q {
			out[i] += math.Log(top+smoothing) - math.Log(density(float64(query.Row(i)[j]))+smoothing)
		}
	}
	return out
}

func TestHBOSAgainstTheFormula(t *testing.T) {
	train := skewedTable(t, 1, 230)
	in := mustTable(t, 62, 5, slices.Concat(skewedTable(t, 2, 60).X(), []float32{9, 9, 9, 9, 9, -9, -9, -9, -9, -9}))
	for _, c := range []detect.HBOS{{}, {Bins: 3}, {Bins: 10, Smoothing: 1}, {Bins: 10, Strategy: "dynamic"}, {Strategy: "dynamic", Smoothing: 0.01}} {
		bins, smoothing := c.Bins, c.Smoothing
		if bins == 0 {
			bins = 16 // the root of 230, rounded up
		}
		if smoothing == 0 {
			smoothing = 0.1
		}
		near(t, fmt.Sprintf("%+v", c), scores(t, fitHBOS(t, c, train), in), bruteHBOS(train, in, bins, c.Strategy == "dynamic", smoothing), 1e-9)
	}
}

// TestHBOSUnits pins what PyOD does otherwise: it smooths densities per unit of the column, so that its scores change with
// the units that columns are measured in. Ours do not.
func TestHBOSUnits(t *testing.T) {
	train, in := skewedTable(t, 3, 200), skewedTable(t, 4, 50)
	scaled := func(in *data.Table) *data.Table {
		return mapped(t, in, []float64{1024, 0, 0, 0, 0, 0, 1. / 1024, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}, make([]float64, 5))
	}
	near(t, "other units", scores(t, fitHBOS(t, detect.HBOS{}, scaled(train)), scaled(in)), scores(t, fitHBOS(t, detect.HBOS{}, train), in), 1e-12)
}

// TestHBOSDynamicTies: a value that repeats stays in one dynamic bin, however many rows share it.
func TestHBOSDynamicTies(t *testing.T) {
	x := slices.Concat(slices.Repeat([]float32{0}, 50), []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	m := fitHBOS(t, detect.HBOS{Bins: 6, Strategy: "dynamic"}, mustTable(t, 60, 1, x))
	s := scores(t, m, mustTable(t, 4, 1, []float32{0, 0.4, 0.6, 10}))
	if s[0] != 0 || s[1] != 0 || s[2] <= s[1] || s[3] != s[2] {
		t.Errorf("scores %v: want 0 up to half-way to the next value, and one bin for the ten others", s)
	}
}

func TestHBOSCollapses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for what, c := range map[string]struct {
		config detect.HBOS
		in     *data.Table
	}{
		"one bin":    {detect.HBOS{Bins: 1}, gaussian(t, r, 50, 3, nil)},
		"equal rows": {detect.HBOS{}, mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2})},
		"two rows":   {detect.HBOS{}, mustTable(t, 2, 1, []float32{1, 2})},
	} {
		if _, err := c.config.Fit(t.Context(), c.in); !errors.Is(err, method.ErrDegenerate) {
			t.Errorf("%s: %v, want %v", what, err, method.ErrDegenerate)
		}
	}
}

func BenchmarkHBOSScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m := fitHBOS(b, detect.HBOS{}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
