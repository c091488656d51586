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

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleGaussianAD() {
	// Good parts: the second measurement varies three times as much as the first.
	good, _ := data.NewTable(4, 2, []float32{-1, -3, 1, 3, -1, 3, 1, -3})
	m, err := detect.GaussianAD{Shrinkage: "none"}.Fit(context.Background(), good)
	if err != nil {
		panic(err)
	}
	limit, _ := m.Threshold(0.9973)
	parts, _ := data.NewTable(3, 2, []float32{0, 0, 0, 6, 6, 0})
	scores, _ := m.Score(parts)
	for i, s := range scores {
		fmt.Printf("part %d: %.2f, defect: %v\n", i, s, s > limit)
	}
	// Output:
	// part 0: 0.00, defect: false
	// part 1: 2.00, defect: false
	// part 2: 6.00, defect: true
}

func mustTable(t testing.TB, n, d int, x []float32) *data.Table {
	t.Helper()
	tab, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// gaussian draws n rows of d independent standard normal columns, mixed by a d×d matrix when there is one.
func gaussian(t testing.TB, r *rand.Rand, n, d int, mix []float64) *data.Table {
	x := make([]float32, n*d)
	z := make([]float64, d)
	for i := range n {
		for j := range z {
			z[j] = r.NormFloat64()
		}
		for j := range d {
			v := z[j]
			if mix != nil {
				v = 0
				for l := range z {
					v += z[l] * mix[l*d+j]
				}
			}
			x[i*d+j] = float32(v)
		}
	}
	return mustTable(t, n, d, x)
}

// mapped maps each row by a d×d matrix and a shift.
func mapped(t testing.TB, in *data.Table, matrix, shift []float64) *data.Table {
	n, d := in.Dims()
	x := make([]float32, n*d)
	for i := range n {
		for j := range d {
			v := shift[j]
			for l, u := range in.Row(i) {
				v += float64(u) * matrix[l*d+j]
			}
			x[i*d+j] = float32(v)
		}
	}
	return mustTable(t, n, d, x)
}

func near(t *testing.T, what string, have, want []float64, tolerance float64) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(have), len(want))
	}
	for i, w := range want {
		if !(math.Abs(have[i]-w) <= tolerance*math.Max(1, math.Abs(w))) {
			t.Fatalf("%s: value %d is %.15g, want %.15g", what, i, have[i], w)
		}
	}
}

func fitGaussianAD(t testing.TB, c detect.GaussianAD, train *data.Table) *detect.GaussianADModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGaussianADGolden(t *testing.T) {
	g := readGolden(t, "testdata/gaussianad.txt")
	train, query := g.table(t, "train"), g.table(t, "query")
	// The table's numbers lie on the grid, so only the order of float64 sums differs. The fourth moment is gridded to 2^-46.
	for _, shrinkage := range []string{"ledoit-wolf", "oas", "none"} {
		m := fitGaussianAD(t, detect.GaussianAD{Shrinkage: shrinkage}, train)
		near(t, shrinkage+" intensity", []float64{m.Layers()[0].Intensity}, g.of(t, shrinkage+".intensity"), 1e-11)
		near(t, shrinkage+" score", scores(t, m, query), g.of(t, shrinkage+".score"), 1e-10)
	}
	for _, components := range []string{"leading", "trailing"} {
		for _, shrinkage := range []string{"oas", "none"} {
			m := fitGaussianAD(t, detect.GaussianAD{Shrinkage: shrinkage, Components: components, Share: 0.9}, train)
			near(t, components+" spectrum", m.Layers()[0].Spectrum, g.of(t, "pca.variance"), 1e-12)
			near(t, components+" "+shrinkage+" score", scores(t, m, query), g.of(t, components+"."+shrinkage+".score"), 1e-9)
			want := int(g.of(t, "pca.leading")[0])
			if components == "trailing" {
				want = 5 - want
			}
			if l := m.Layers()[0]; l.Directions != want || l.Dropped != 0 {
				t.Errorf("%s: %d directions, %d dropped, want %d and 0", components, l.Directions, l.Dropped, want)
			}
		}
	}
	cases, quantiles := g.of(t, "chi2.case"), g.of(t, "chi2.quantile")
	for i, want := range quantiles {
		p, k := cases[2*i], int(cases[2*i+1])
		if got := part.ChiSquaredQuantile(p, k); math.Abs(got-want) > 1e-9*want {
			t.Errorf("χ² quantile of %g with %d degrees: %.15g, want %.15g", p, k, got, want)
		}
	}
}

func TestGaussianADChiSquaredThreshold(t *testing.T) {
	d := 6
	r := rand.New(rand.NewPCG(1, 1))
	mix := make([]float64, d*d)
	for i := range mix {
		mix[i] = r.NormFloat64()
	}
	m := fitGaussianAD(t, detect.GaussianAD{Shrinkage: "none"}, gaussian(t, r, 20000, d, mix))
	s := scores(t, m, gaussian(t, r, 10000, d, mix))
	for _, p := range []float64{0.1, 0.5, 0.9, 0.99} {
		limit, err := m.Threshold(p)
		if err != nil {
			t.Fatal(err)
		}
		above := 0
		for _, v := range s {
			if v > limit {
				above++
			}
		}
		// Four standard errors of 10000 draws, and one for the fit on 20000.
		if share := float64(above) / 10000; math.Abs(share-(1-p)) > 5*math.Sqrt(p*(1-p)/10000) {
			t.Errorf("%.4f of new rows exceed the threshold for %g", share, p)
		}
	}
	for _, p := range []float64{0, 1, -1, math.NaN()} {
		if _, err := m.Threshold(p); !errors.Is(err, method.ErrConfig) {
			t.Errorf("threshold for %g: %v", p, err)
		}
	}
}

func TestGaussianADExactDistributionOfNewRows(t *testing.T) {
	// From N Gaussian rows, d² of a new one times (N−D)/((N+1)·D) is F with D and N−D degrees of freedom: Hotelling's T²
	// for a covariance divided by N. It shows the χ² threshold's miscalibration when N is not much larger than D.
	const n, d, trials = 12, 3, 3000
	r := rand.New(rand.NewPCG(2, 2))
	ratio := make([]float64, trials)
	above := 0
	for i := range ratio {
		m := fitGaussianAD(t, detect.GaussianAD{Shrinkage: "none"}, gaussian(t, r, n, d, nil))
		s := scores(t, m, gaussian(t, r, 1, d, nil))[0]
		ratio[i] = s * s * (n - d) / ((n + 1) * d)
		if limit, _ := m.Threshold(0.9973); s > limit {
			above++
		}
	}
	slices.Sort(ratio)
	f := distuv.F{D1: d, D2: n - d}
	distance := 0.0
	for i, v := range ratio {
		distance = max(distance, math.Abs(f.CDF(v)-float64(i)/trials), math.Abs(f.CDF(v)-float64(i+1)/trials))
	}
	if distance > 2.23/math.Sqrt(trials) { // exceeded once in 10 000 times
		t.Errorf("Kolmogorov–Smirnov distance %.4f from F(%d,%d)", distance, d, n-d)
	}
	chi := distuv.ChiSquared{K: d}
	want := f.Survival(chi.Quantile(0.9973) * (n - d) / ((n + 1) * d))
	if share := float64(above) / trials; math.Abs(share-want) > 4*math.Sqrt(want/trials) || want < 10*0.0027 {
		t.Errorf("%.4f false alarms at the χ² threshold, want %.4f", share, want)
	}
}

func TestGaussianADInvariantToAffineMaps(t *testing.T) {
	// Whole numbers and maps by small whole numbers stay exact in float32.
	r := rand.New(rand.NewPCG(3, 3))
	const n, d = 60, 4
	draw := func(n int) *data.Table {
		x := make([]float32, n*d)
		for i := range x {
			x[i] = float32(math.Round(40 * r.NormFloat64()))
		}
		return mustTable(t, n, d, x)
	}
	train, query := draw(n), draw(20)
	matrix := []float64{2, 1, 0, -3, 0, 1, 4, 1, -1, 0, 1, 100, 3, 2, 0, 1}
	if math.Abs(mat.Det(mat.NewDense(d, d, matrix))) < 1 {
		t.Fatal("the map is singular")
	}
	shift := []float64{1000, -5, 0, 77}
	c := detect.GaussianAD{Shrinkage: "none"}
	want := scores(t, fitGaussianAD(t, c, train), query)
	have := scores(t, fitGaussianAD(t, c, mapped(t, train, matrix, shift)), mapped(t, query, matrix, shift))
	near(t, "after the map", have, want, 1e-10)
}

func TestGaussianADLeadingAndTrailingAddUp(t *testing.T) {
	train, query := gaussianClasses(8, 300, 7, 1), gaussianClasses(9, 40, 7, 2)
	square := func(c detect.GaussianAD) []float64 {
		c.Shrinkage = "none"
		s := scores(t, fitGaussianAD(t, c, train), query)
		for i := range s {
			s[i] *= s[i]
		}
		return s
	}
	all := square(detect.GaussianAD{})
	for _, share := range []float64{0.3, 0.9, 0.97} {
		sum := square(detect.GaussianAD{Components: "leading", Share: share})
		for i, v := range square(detect.GaussianAD{Components: "trailing", Share: share}) {
			sum[i] += v
		}
		near(t, fmt.Sprintf("share %g", share), sum, all, 1e-9)
	}
	// One class of Mahalanobis is the same metric.
	m, err := detect.Mahalanobis{Ridge: 1e-14}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "mahalanobis with one class", scores(t, m, query), all, 1e-8)
}

// TestGaussianADSubspaceIntensity holds the intensity in a subspace, for which the fourth moment is inferred, against
// Ledoit and Wolf's on the projected rows.
func TestGaussianADSubspaceIntensity(t *testing.T) {
	const n, d, kept = 4000, 8, 3
	for _, heavy := range []bool{false, true} {
		r := rand.New(rand.NewPCG(4, 4))
		x := make([]float32, n*d)
		for i := range n {
			radius := 1.0
			if heavy { // t with 8 degrees of freedom: elliptical, with finite fourth moments
				q := 0.0
				for range 8 {
					v := r.NormFloat64()
					q += v * v
				}
				radius = math.Sqrt(8 / q)
			}
			for j := range d {
				x[i*d+j] = float32(radius * r.NormFloat64() * math.Pow(0.8, float64(j)))
			}
		}
		// The columns are the principal components, but for the noise of the draw.
		share := (1 + 0.64 + 0.64*0.64) / ((1 - math.Pow(0.64, d)) / (1 - 0.64))
		m := fitGaussianAD(t, detect.GaussianAD{Components: "leading", Share: share - 0.05}, mustTable(t, n, d, x))
		if m.Layers()[0].Directions != kept {
			t.Fatalf("%d directions, want %d", m.Layers()[0].Directions, kept)
		}
		mean, cov := make([]float64, kept), make([]float64, kept*kept)
		for i := range n {
			for j := range kept {
				mean[j] += float64(x[i*d+j]) / n
			}
		}
		fourth, trace, square := 0.0, 0.0, 0.0
		for i := range n {
			q := 0.0
			for a := range kept {
				va := float64(x[i*d+a]) - mean[a]
				q += va * va
				for b := range kept {
					cov[a*kept+b] += va * (float64(x[i*d+b]) - mean[b]) / n
				}
			}
			fourth += q * q / n
		}
		for a := range kept {
			trace += cov[a*kept+a]
			for b := range kept {
				square += cov[a*kept+b] * cov[a*kept+b]
			}
		}
		want := (fourth - square) / n / (square - trace*trace/kept)
		// The inferred fourth moment is an estimate: 4000 rows know it to some percent, heavy tails to ten.
		if got := m.Layers()[0].Intensity; math.Abs(got-want) > 0.1*want {
			t.Errorf("heavy tails %v: intensity %.5f, on the projected rows %.5f", heavy, got, want)
		}
	}
}

func TestGaussianADDropsWhatDoesNotVary(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	const n = 50
	plain := gaussian(t, r, n, 2, nil)
	// Beside two columns: their whole-numbered sum, a constant, and a copy of the first.
	x := make([]float32, 0, n*5)
	y := make([]float32, 0, n*2)
	for i := range n {
		a, b := float32(math.Round(64*float64(plain.Row(i)[0]))), float32(math.Round(64*float64(plain.Row(i)[1])))
		x = append(x, a, b, a+b, 7, a)
		y = append(y, a, b)
	}
	wide, two := mustTable(t, n, 5, x), mustTable(t, n, 2, y)
	for _, c := range []detect.GaussianAD{{Shrinkage: "none"}, {Shrinkage: "none", Components: "leading", Share: 0.999999}} {
		m := fitGaussianAD(t, c, wide)
		if l := m.Layers()[0]; l.Directions != 2 || l.Dropped != 3 {
			t.Errorf("%v: %d directions, %d dropped, want 2 and 3", c, l.Directions, l.Dropped)
		}
		near(t, "with idle columns", scores(t, m, wide), scores(t, fitGaussianAD(t, detect.GaussianAD{Shrinkage: "none"}, two), two), 1e-9)
	}
	// Small columns are not idle ones.
	tiny := make([]float32, 0, n*2)
	for i := range n {
		tiny = append(tiny, y[2*i]*0x1p-60, y[2*i+1]*0x1p40)
	}
	m := fitGaussianAD(t, detect.GaussianAD{Shrinkage: "none"}, mustTable(t, n, 2, tiny))
	near(t, "columns of very different units", scores(t, m, mustTable(t, n, 2, tiny)), scores(t, fitGaussianAD(t, detect.GaussianAD{Shrinkage: "none"}, two), two), 1e-9)
}

func TestGaussianADDegenerate(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	few := gaussian(t, r, 5, 8, nil)
	cases := []struct {
		name  string
		c     detect.GaussianAD
		train *data.Table
		words []string
	}{
		{"fewer rows than columns", detect.GaussianAD{Shrinkage: "none"}, few, []string{"5 rows", "8 varying columns", "--shrinkage", "--components leading"}},
		{"trailing of too few rows", detect.GaussianAD{Shrinkage: "none", Components: "trailing", Share: 0.5}, few, []string{"5 rows"}},
		{"equal rows", detect.GaussianAD{}, mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2}), []string{"3 rows are equal"}},
		{"one row", detect.GaussianAD{}, mustTable(t, 1, 2, []float32{1, 2}), []string{"rows are equal"}},
		{"nothing trails", detect.GaussianAD{Components: "trailing"}, mustTable(t, 3, 2, []float32{1, 0, 2, 0, 4, 0}), []string{"--share"}},
	}
	for _, k := range cases {
		_, err := k.c.Fit(t.Context(), k.train)
		if !errors.Is(err, method.ErrDegenerate) {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		for _, w := range k.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the error does not say %q: %v", k.name, w, err)
			}
		}
	}
	for _, c := range []detect.GaussianAD{{}, {Shrinkage: "oas"}, {Components: "leading", Shrinkage: "none", Share: 0.5}} {
		if _, err := c.Fit(t.Context(), few); err != nil {
			t.Errorf("%+v on 5 rows of 8 columns: %v", c, err)
		}
	}
}

func BenchmarkGaussianADFit(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 1)
	for b.Loop() {
		if _, err := (detect.GaussianAD{}).Fit(b.Context(), train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkGaussianADScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 1)
	m := fitGaussianAD(b, detect.GaussianAD{}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
