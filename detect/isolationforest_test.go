package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleIsolationForest() {
	// A square of 25 rows; what lies outside is set apart by few cuts.
	var x []float32
	for i := range 25 {
		x = append(x, float32(i%5), float32(i/5))
	}
	train, _ := data.NewTable(25, 2, x)
	m, err := detect.IsolationForest{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{2, 2, 4, 4, 9, 9})
	scores, _ := m.Score(query)
	fmt.Println(scores[0] < 0.5, scores[0] < scores[1], scores[2] >= scores[1])
	// Output: true true true
}

func fitIsolationForest(t testing.TB, c detect.IsolationForest, train *data.Table) *detect.IsolationForestModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// isolationOracle is the exact expectation, over all random cuts, of eq. (2)'s path length of a value in a sorted list of different
// numbers, by recursion over where the first cut may fall: a tree of all rows, its height limited.
func isolationOracle(sorted []float64, v float64, depth, limit int) float64 {
	n := len(sorted)
	if n <= 1 || depth == limit {
		c := 0.0
		for k := 1; k < n; k++ {
			c += 2 / float64(k)
		}
		if n > 1 {
			c -= 2 * float64(n-1) / float64(n)
		}
		return float64(depth) + c
	}
	span, sum := sorted[n-1]-sorted[0], 0.0
	for k := 1; k < n; k++ { // the cut falls between two values that follow one another; within them v may lie on either side
		low, high := sorted[k-1], sorted[k]
		toRight := math.Min(math.Max(v-low, 0), high-low) // cuts at or below v send it right
		if toRight > 0 {
			sum += toRight / span * isolationOracle(sorted[k:], v, depth+1, limit)
		}
		if left := high - low - toRight; left > 0 {
			sum += left / span * isolationOracle(sorted[:k], v, depth+1, limit)
		}
	}
	return sum
}

// TestIsolationForestExpectation: with very many trees on all rows, the mean path of a value nears its exact expectation.
func TestIsolationForestExpectation(t *testing.T) {
	sorted := []float64{0, 1, 1.5, 2, 3, 7, 7.25, 8, 20}
	x := make([]float32, len(sorted))
	for i, v := range sorted {
		x[(i*4)%9] = float32(v)
	}
	const trees = 20000
	m := fitIsolationForest(t, detect.IsolationForest{Trees: trees, Seed: 3}, mustTable(t, 9, 1, x))
	c := 0.0 // c(9)
	for k := 1; k < 9; k++ {
		c += 2 / float64(k)
	}
	c -= 2 * 8. / 9
	query := []float32{-5, 0, 1.2, 1.5, 5, 7.1, 20, 30}
	s := scores(t, m, mustTable(t, len(query), 1, query))
	for i, v := range query {
		have, want := -math.Log2(s[i])*c, isolationOracle(sorted, float64(v), 0, 4)
		// A path varies by less than 1.3; five standard errors of 20,000 of them.
		if math.Abs(have-want) > 5*1.3/math.Sqrt(trees) {
			t.Errorf("value %g: mean path %.4f, expected %.4f", v, have, want)
		}
	}
}

// TestIsolationForestWalksItsTrees recomputes scores from the saved trees, one row and tree at a time.
func TestIsolationForestWalksItsTrees(t *testing.T) {
	train, in := gaussianClasses(1, 300, 5, 2), gaussianClasses(2, 700, 5, 3)
	m := fitIsolationForest(t, detect.IsolationForest{Trees: 7, Rows: 64}, train)
	st := m.State()
	floats := func(name string) []float64 {
		v, err := st.Tensors[name].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	cuts, expected := floats("cuts"), floats("expected")
	ints := map[string][]int64{}
	for _, name := range []string{"columns", "left", "roots"} {
		var err error
		if ints[name], err = st.Tensors[name].Int64s(); err != nil {
			t.Fatal(err)
		}
	}
	n, _ := in.Dims()
	want := make([]float64, n)
	for i := range want {
		sum := 0.0
		for _, node := range ints["roots"] {
			for ints["columns"][node] >= 0 {
				next := ints["left"][node]
				if float64(in.Row(i)[ints["columns"][node]]) >= cuts[node] {
					next++
				}
				node = next
			}
			sum += cuts[node]
		}
		want[i] = math.Pow(2, -sum/7/expected[0])
	}
	near(t, "scores", scores(t, m, in), want, 1e-12)
}

// TestIsolationForestHeight: every tree cuts its 64 rows with at most 6 cuts a path, as Algorithm 1 says.
func TestIsolationForestHeight(t *testing.T) {
	m := fitIsolationForest(t, detect.IsolationForest{Trees: 5, Rows: 64}, gaussianClasses(3, 400, 4, 2))
	st := m.State()
	columns, _ := st.Tensors["columns"].Int64s()
	left, _ := st.Tensors["left"].Int64s()
	roots, _ := st.Tensors["roots"].Int64s()
	var height func(node int64) int
	height = func(node int64) int {
		if columns[node] < 0 {
			return 0
		}
		return 1 + max(height(left[node]), height(left[node]+1))
	}
	for k, r := range roots {
		if h := height(r); h < 4 || h > 6 {
			t.Errorf("tree %d is %d cuts high, want at most 6 and hardly fewer", k, h)
		}
	}
}

func TestIsolationForestSeeds(t *testing.T) {
	train, in := gaussianClasses(4, 300, 5, 2), gaussianClasses(5, 50, 5, 3)
	a := scores(t, fitIsolationForest(t, detect.IsolationForest{Seed: 1}, train), in)
	b := scores(t, fitIsolationForest(t, detect.IsolationForest{Seed: 2}, train), in)
	few := scores(t, fitIsolationForest(t, detect.IsolationForest{Seed: 1, Trees: 1}, train), in)
	if a[0] == b[0] || a[0] == few[0] {
		t.Errorf("seeds 1 and 2 give %g and %g, one tree %g", a[0], b[0], few[0])
	}
	// Units of columns do not matter: powers of two leave every cut where it was.
	units := []float64{2, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8}
	other := fitIsolationForest(t, detect.IsolationForest{Seed: 1}, mapped(t, train, units, make([]float64, 5)))
	near(t, "other units", scores(t, other, mapped(t, in, units, make([]float64, 5))), a, 0)
}

func TestIsolationForestDegenerate(t *testing.T) {
	for what, in := range map[string]*data.Table{"equal rows": mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2}), "one row": mustTable(t, 1, 2, []float32{1, 2})} {
		if _, err := (detect.IsolationForest{}).Fit(t.Context(), in); !errors.Is(err, method.ErrDegenerate) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// Neighbouring floats and the largest ones can be cut.
	r := rand.New(rand.NewPCG(1, 1))
	x := make([]float32, 40)
	for i := range x {
		x[i] = math.Float32frombits(uint32(r.IntN(3)))
	}
	x[0], x[1] = -math.MaxFloat32, math.MaxFloat32
	for i, s := range scores(t, fitIsolationForest(t, detect.IsolationForest{}, mustTable(t, 40, 1, x)), mustTable(t, 40, 1, x)) {
		if !(s > 0 && s < 1) {
			t.Errorf("row %d scores %g", i+1, s)
		}
	}
}

func BenchmarkIsolationForestScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m := fitIsolationForest(b, detect.IsolationForest{}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
