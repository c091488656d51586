package detect_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleMahalanobis() {
	// Two classes around (0, 0) and (9, 0); the second column varies four times as much as the first.
	train, _ := data.NewTable(8, 2, []float32{-1, -4, 1, 4, -1, 4, 1, -4, 8, -4, 10, 4, 8, 4, 10, -4})
	train, _ = train.WithClassNames([]string{"a", "a", "a", "a", "b", "b", "b", "b"})
	m, err := detect.Mahalanobis{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{0, 0, 9, 4, 4.5, 0})
	scores, _ := m.Score(query)
	for i, s := range scores {
		fmt.Printf("row %d: %.2f\n", i, s)
	}
	// Output:
	// row 0: 0.00
	// row 1: 1.00
	// row 2: 20.25
}

// gaussianClasses draws n rows of k classes in d correlated columns.
func gaussianClasses(seed uint64, n, d, k int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 0))
	mix, means := make([]float64, d*d), make([]float64, k*d)
	for i := range mix {
		mix[i] = r.NormFloat64()
	}
	for i := range means {
		means[i] = 5 * r.NormFloat64()
	}
	x, names := make([]float32, n*d), make([]string, n)
	for i := range n {
		c := r.IntN(k)
		names[i] = fmt.Sprint(c)
		z := make([]float64, d)
		for j := range z {
			z[j] = r.NormFloat64()
		}
		for j := range d {
			v := means[c*d+j]
			for l := range d {
				v += z[l] * mix[l*d+j]
			}
			x[i*d+j] = float32(v)
		}
	}
	t, err := data.NewTable(n, d, x)
	if err != nil {
		panic(err)
	}
	t, _ = t.WithClassNames(names)
	return t
}

func scores(t *testing.T, m interface {
	Score(*data.Table) ([]float64, error)
}, in *data.Table) []float64 {
	t.Helper()
	s, err := m.Score(in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMahalanobisAgainstTheFormula(t *testing.T) {
	train, query := gaussianClasses(1, 400, 6, 3), gaussianClasses(2, 50, 6, 3)
	m, err := detect.Mahalanobis{}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	n, d := train.Dims()
	labels, _ := train.Labels()
	means, counts := make([][]float64, 3), make([]float64, 3)
	for k := range means {
		means[k] = make([]float64, d)
	}
	for i, c := range labels {
		counts[c]++
		for j, v := range train.Row(i) {
			means[c][j] += float64(v)
		}
	}
	for c := range means {
		for j := range means[c] {
			means[c][j] /= counts[c]
		}
	}
	cov := mat.NewSymDense(d, nil)
	for i, c := range labels {
		for a := range d {
			for b := a; b < d; b++ {
				cov.SetSym(a, b, cov.At(a, b)+(float64(train.Row(i)[a])-means[c][a])*(float64(train.Row(i)[b])-means[c][b])/float64(n))
			}
		}
	}
	ridge := 1e-6 * mat.Trace(cov) / float64(d)
	for a := range d {
		cov.SetSym(a, a, cov.At(a, a)+ridge)
	}
	var inverse mat.Dense
	if err := inverse.Inverse(cov); err != nil {
		t.Fatal(err)
	}
	for i, got := range scores(t, m, query) {
		want := math.Inf(1)
		for c := range means {
			diff := mat.NewVecDense(d, nil)
			for j, v := range query.Row(i) {
				diff.SetVec(j, float64(v)-means[c][j])
			}
			want = min(want, mat.Inner(diff, &inverse, diff))
		}
		// The grid moves values by up to 2^-23 of a column's half range.
		if math.Abs(got-want) > 1e-5*math.Max(1, want) {
			t.Fatalf("row %d: %.9g, want %.9g", i, got, want)
		}
	}
}

func TestMahalanobisInvariantToLinearMaps(t *testing.T) {
	train, query := gaussianClasses(3, 500, 4, 2), gaussianClasses(4, 40, 4, 2)
	// A map by powers of two and sums of them is exact in float32, so both fits see the same numbers.
	warp := func(in *data.Table) *data.Table {
		n, d := in.Dims()
		x := make([]float32, n*d)
		for i := range n {
			r := in.Row(i)
			for j := range d {
				x[i*d+j] = r[j] * float32(int(1)<<j)
			}
		}
		out, _ := data.NewTable(n, d, x)
		labels, _ := in.Labels()
		out, _ = out.WithLabels(labels, in.Classes())
		return out
	}
	c := detect.Mahalanobis{Ridge: 1e-12} // a ridge is not invariant
	a, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Fit(t.Context(), warp(train))
	if err != nil {
		t.Fatal(err)
	}
	sa, sb := scores(t, a, query), scores(t, b, warp(query))
	for i := range sa {
		if math.Abs(sa[i]-sb[i]) > 1e-8*math.Max(1, sa[i]) {
			t.Errorf("row %d: %.12g, after the map %.12g", i, sa[i], sb[i])
		}
	}
}

func TestMahalanobisChiSquaredOnGaussians(t *testing.T) {
	d := 5
	all := gaussianClasses(5, 20000, d, 2)
	m, err := detect.Mahalanobis{}.Fit(t.Context(), all.Slice(0, 15000))
	if err != nil {
		t.Fatal(err)
	}
	chi := distuv.ChiSquared{K: float64(d)}
	inside := 0
	s := scores(t, m, all.Slice(15000, 20000))
	for _, v := range s {
		if v <= chi.Quantile(0.9) {
			inside++
		}
	}
	// 5000 draws at 0.9: the standard error is 0.0042.
	if share := float64(inside) / float64(len(s)); math.Abs(share-0.9) > 0.017 {
		t.Errorf("%.4f of rows lie inside the 0.9 quantile of χ²", share)
	}
}

func TestMahalanobisPredictiveRadius(t *testing.T) {
	// Rows of a class taught by five rows must on average be as near to its mean as rows of a class taught by thousands.
	d, n := 20, 4000
	r := rand.New(rand.NewPCG(6, 6))
	draw := func(shift float64, n int) []float32 {
		x := make([]float32, n*d)
		for i := range x {
			x[i] = float32(r.NormFloat64() + shift)
		}
		return x
	}
	plain, fair := 0.0, 0.0
	for range 40 {
		train, _ := data.NewTable(n+5, d, append(draw(0, n), draw(30, 5)...))
		labels := make([]int, n+5)
		for i := range 5 {
			labels[n+i] = 1
		}
		train, _ = train.WithLabels(labels, []string{"old", "new"})
		query, _ := data.NewTable(50, d, draw(30, 50))
		for _, predictive := range []bool{false, true} {
			m, err := detect.Mahalanobis{Predictive: predictive}.Fit(t.Context(), train)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range scores(t, m, query) {
				if predictive {
					fair += v / 2000
				} else {
					plain += v / 2000
				}
			}
		}
	}
	if math.Abs(plain-1.2*float64(d)) > 1 || math.Abs(fair-float64(d)) > 1 {
		t.Errorf("mean squared distance %.2f plain and %.2f predictive, want %.1f and %d", plain, fair, 1.2*float64(d), d)
	}
}

func BenchmarkMahalanobisScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m, err := detect.Mahalanobis{}.Fit(b.Context(), train)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
