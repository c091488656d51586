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

func ExampleECOD() {
	// Two columns of nine rows; a row's own value counts among those as far out.
	x := []float32{}
	for i := range 9 {
		x = append(x, float32(i), float32(i*i))
	}
	train, _ := data.NewTable(9, 2, x)
	m, err := detect.ECOD{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{4, 16, -1, 16, 100, 100})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f %.2f\n", scores[0], scores[1], scores[2])
	// Output: 1.02 2.81 4.61
}

// bruteTails returns the natural logarithms of a value's tail shares among the training rows and itself, by counting.
func bruteTails(train *data.Table, j int, v float32) (left, right float64) {
	n, _ := train.Dims()
	below, above := 1.0, 1.0
	for i := range n {
		if train.Row(i)[j] <= v {
			below++
		}
		if train.Row(i)[j] >= v {
			above++
		}
	}
	return -math.Log(below / float64(n+1)), -math.Log(above / float64(n+1))
}

// bruteSkewedRight says whether a column's third central moment is not negative.
func bruteSkewedRight(train *data.Table, j int) bool {
	n, _ := train.Dims()
	mean, third := 0.0, 0.0
	for i := range n {
		mean += float64(train.Row(i)[j]) / float64(n)
	}
	for i := range n {
		third += math.Pow(float64(train.Row(i)[j])-mean, 3)
	}
	return third >= -1e-20 // a constant column has none
}

// bruteColumns adds up each row's columns, or totals three sums, from the formulas.
func bruteColumns(train, query *data.Table, totals bool, column func(left, right, skewed float64) float64) []float64 {
	q, d := query.Dims()
	out := make([]float64, q)
	for i := range out {
		var sum [3]float64
		for j := range d {
			left, right := bruteTails(train, j, query.Row(i)[j])
			skewed := left
			if bruteSkewedRight(train, j) {
				skewed = right
			}
			sum[0], sum[1], sum[2] = sum[0]+left, sum[1]+right, sum[2]+skewed
			if !totals {
				out[i] += column(left, right, skewed)
			}
		}
		if totals {
			out[i] = max(sum[0], sum[1], sum[2])
		}
	}
	return out
}

// skewedTable draws rows whose columns are skewed to either side, some with many ties and one constant.
func skewedTable(t testing.TB, seed uint64, n int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 77))
	x := make([]float32, 0, 5*n)
	for range n {
		x = append(x, float32(r.NormFloat64()), float32(r.ExpFloat64()), float32(-r.ExpFloat64()), float32(r.IntN(4)), 3)
	}
	return mustTable(t, n, 5, x)
}

func fitECOD(t testing.TB, c detect.ECOD, train *data.Table) *detect.ECODModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestECODAgainstTheFormula(t *testing.T) {
	query := slices.Concat(skewedTable(t, 2, 40).X(), []float32{9, 9, 9, 9, 9, -9, -9, -9, -9, -9, 0, 0, 0, 0, 3})
	in := mustTable(t, 43, 5, query)
	for _, n := range []int{2, 3, 50, 1500} { // the last is sorted digit by digit
		train := skewedTable(t, 1, n)
		near(t, fmt.Sprint("columns, rows ", n), scores(t, fitECOD(t, detect.ECOD{}, train), in),
			bruteColumns(train, in, false, func(left, right, _ float64) float64 { return max(left, right) }), 1e-12)
		near(t, fmt.Sprint("totals, rows ", n), scores(t, fitECOD(t, detect.ECOD{Strategy: "totals"}, train), in), bruteColumns(train, in, true, nil), 1e-12)
	}
}

// TestECODTolerance holds the bounded form to its promise: every column off by at most the tolerance, upwards, and memory
// that grows with the logarithm of N.
func TestECODTolerance(t *testing.T) {
	train, in := skewedTable(t, 3, 6000), skewedTable(t, 4, 500)
	exact := scores(t, fitECOD(t, detect.ECOD{}, train), in)
	for _, tolerance := range []float64{0.5, 0.1, 0.01} {
		m := fitECOD(t, detect.ECOD{Tolerance: tolerance}, train)
		for i, s := range scores(t, m, in) {
			if s < exact[i]-1e-9 || s > exact[i]+5*tolerance+1e-9 {
				t.Fatalf("tolerance %g: row %d scores %g, exactly %g, and there are 5 columns", tolerance, i+1, s, exact[i])
			}
		}
		kept := m.State().Tensors["ranks"].Len()
		if limit := 2*math.Log(3000)/tolerance + 2/tolerance + 10; float64(kept) > limit {
			t.Errorf("tolerance %g: %d of 6000 values kept, want at most %.0f", tolerance, kept, limit)
		}
	}
}

// TestECODBatchTrap pins what PyOD does otherwise: there rows that are scored together join the training rows together, so
// that a row's score depends on the others. One row alone is where both definitions meet.
func TestECODBatchTrap(t *testing.T) {
	train := mustTable(t, 4, 1, []float32{1, 2, 3, 5})
	m := fitECOD(t, detect.ECOD{}, train)
	// PyOD ECOD().fit([[1],[2],[3],[5]]).decision_function([[9]]) = −log(1/5); of [[9],[9]] it is −log(2/6) for each.
	near(t, "alone", scores(t, m, mustTable(t, 1, 1, []float32{9})), []float64{math.Log(5)}, 1e-12)
	near(t, "two together", scores(t, m, mustTable(t, 2, 1, []float32{9, 9})), []float64{math.Log(5), math.Log(5)}, 1e-12)
}

// TestECODMonotoneMaps: only the order of a column's values counts, but for the side to which it is skewed.
func TestECODMonotoneMaps(t *testing.T) {
	train, in := skewedTable(t, 5, 300), skewedTable(t, 6, 50)
	bend := func(in *data.Table) *data.Table {
		n, d := in.Dims()
		x := make([]float32, n*d)
		for i, v := range in.X() {
			x[i] = float32(math.Cbrt(float64(v)))
		}
		return mustTable(t, n, d, x)
	}
	near(t, "cube roots", scores(t, fitECOD(t, detect.ECOD{}, bend(train)), bend(in)), scores(t, fitECOD(t, detect.ECOD{}, train), in), 0)
}

func TestECODRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		in   *data.Table
		want error
	}{
		"equal rows": {mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2}), method.ErrDegenerate},
		"one row":    {mustTable(t, 1, 2, []float32{1, 2}), method.ErrDegenerate},
		"no rows":    {mustTable(t, 0, 2, nil), data.ErrShape},
		"no columns": {mustTable(t, 3, 0, nil), data.ErrShape},
	} {
		if _, err := (detect.ECOD{}).Fit(t.Context(), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}

func BenchmarkECODScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m := fitECOD(b, detect.ECOD{}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
