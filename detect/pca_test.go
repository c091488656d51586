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
	"github.com/gimbal-ml/gimbal/moments"
)

func ExamplePCA() {
	// Two columns that rise together; the third row of the query breaks the rule.
	train, _ := data.NewTable(5, 2, []float32{-2, -2.1, -1, -0.9, 0, 0.1, 1, 0.8, 2, 2.1})
	m, err := detect.PCA{Strategy: "reconstruction"}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{0, 0, 4, 4, 1, -1})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f %.2f\n", scores[0], scores[1], scores[2])
	// Output: 0.00 0.00 0.99
}

func fitPCA(t testing.TB, c detect.PCA, train *data.Table) *detect.PCAModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// brutePCAJacobi returns the eigenvalues and eigenvectors (columns) of a symmetric matrix by plane rotations, largest value first.
func brutePCAJacobi(a [][]float64) (values []float64, vectors [][]float64) {
	d := len(a)
	vectors = make([][]float64, d)
	for i := range vectors {
		vectors[i] = make([]float64, d)
		vectors[i][i] = 1
	}
	for range 60 {
		for p := range d {
			for q := p + 1; q < d; q++ {
				if a[p][q] == 0 {
					continue
				}
				angle := math.Atan2(2*a[p][q], a[q][q]-a[p][p]) / 2
				sin, cos := math.Sincos(angle)
				for k := range d {
					a[k][p], a[k][q] = cos*a[k][p]-sin*a[k][q], sin*a[k][p]+cos*a[k][q]
				}
				for k := range d {
					a[p][k], a[q][k] = cos*a[p][k]-sin*a[q][k], sin*a[p][k]+cos*a[q][k]
				}
				for k := range d {
					vectors[k][p], vectors[k][q] = cos*vectors[k][p]-sin*vectors[k][q], sin*vectors[k][p]+cos*vectors[k][q]
				}
			}
		}
	}
	for i := range d {
		values = append(values, a[i][i])
	}
	for i := range d {
		for j := i + 1; j < d; j++ {
			if values[j] > values[i] {
				values[i], values[j] = values[j], values[i]
				for k := range d {
					vectors[k][i], vectors[k][j] = vectors[k][j], vectors[k][i]
				}
			}
		}
	}
	return values, vectors
}

// brutePCA is the score from the formulas, with eigenvectors by plane rotations.
func brutePCA(train, query *data.Table, share float64, weighted, raw bool) []float64 {
	n, d := train.Dims()
	mean, unit, cov := make([]float64, d), make([]float64, d), make([][]float64, d)
	for i := range n {
		for j, v := range train.Row(i) {
			mean[j] += float64(v) / float64(n)
		}
	}
	for i := range n {
		for j, v := range train.Row(i) {
			unit[j] += math.Pow(float64(v)-mean[j], 2) / float64(n)
		}
	}
	for j := range unit {
		if unit[j] = math.Sqrt(unit[j]); raw {
			unit[j] = 1
		}
	}
	z := func(row []float32, j int) float64 { return (float64(row[j]) - mean[j]) / unit[j] }
	for j := range d {
		cov[j] = make([]float64, d)
		for k := range d {
			for i := range n {
				cov[j][k] += z(train.Row(i), j) * z(train.Row(i), k) / float64(n)
			}
		}
	}
	values, vectors := brutePCAJacobi(cov)
	total := 0.0
	for _, v := range values {
		total += v
	}
	q, _ := query.Dims()
	out := make([]float64, q)
	for i := range out {
		carried := 0.0
		for k, v := range values {
			y := 0.0
			for j := range d {
				y += z(query.Row(i), j) * vectors[j][k]
			}
			leading := carried < share*total
			carried += v
			switch {
			case weighted && (leading || v < 0.2*total/float64(d)):
				out[i] += y * y / v
			case !weighted && !leading:
				out[i] += y * y
			}
		}
	}
	return out
}

func TestPCAAgainstTheFormula(t *testing.T) {
	train, in := gaussianClasses(1, 300, 7, 3), gaussianClasses(2, 50, 7, 4)
	for _, c := range []detect.PCA{{}, {Share: 0.5}, {NoStandardize: true}, {Strategy: "reconstruction"}, {Strategy: "reconstruction", Share: 0.5, NoStandardize: true}} {
		share := c.Share
		if share == 0 {
			share = 0.9
		}
		// Gridded sums and two different eigensolvers; the least eigenvalue is near 1e-3 of the largest.
		near(t, fmt.Sprintf("%+v", c), scores(t, fitPCA(t, c, train), in), brutePCA(train, in, share, c.Strategy != "reconstruction", c.NoStandardize), 1e-6)
	}
}

// TestPCAAllComponents: when every component counts, the weighted score is the Mahalanobis distance.
func TestPCAAllComponents(t *testing.T) {
	train, in := gaussianClasses(3, 300, 5, 1), gaussianClasses(4, 40, 5, 2)
	unlabelled := func(in *data.Table) *data.Table { n, d := in.Dims(); return mustTable(t, n, d, in.X()) }
	m := fitPCA(t, detect.PCA{Share: 0.999999}, train)
	if m.Components() != 5 {
		t.Fatalf("%d components count, want 5", m.Components())
	}
	w, err := detect.Mahalanobis{Ridge: 1e-12}.Fit(t.Context(), unlabelled(train))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "all components", scores(t, m, in), scores(t, w, in), 1e-6)
}

// TestPCADefinition pins what PyOD's detector of this name does otherwise: it adds up ‖z − v_k‖ over share_k for unit
// eigenvectors v_k as points, so that turning an eigenvector round, which is arbitrary, changes it, and the mean of the training rows does not score least.
// Here the mean scores zero, and a row scores the same on either side of it.
func TestPCADefinition(t *testing.T) {
	train := mustTable(t, 4, 2, []float32{1, 1, -1, -1, 1, -0.5, -1, 0.5})
	m := fitPCA(t, detect.PCA{}, train)
	s := scores(t, m, mustTable(t, 3, 2, []float32{0, 0, 2, 3, -2, -3}))
	if s[0] != 0 || math.Abs(s[1]-s[2]) > 1e-9*s[1] || s[1] == 0 {
		t.Errorf("scores %v, want 0 at the mean and equal ones on either side", s)
	}
}

func TestPCAFromMoments(t *testing.T) {
	train, in := gaussianClasses(5, 200, 6, 2), gaussianClasses(6, 20, 6, 2)
	st, err := moments.FromSource(t.Context(), train, moments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := detect.PCA{}.FitMoments(st)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "from moments", scores(t, m, in), scores(t, fitPCA(t, detect.PCA{}, train), in), 0)
	if v := m.Spectrum(); len(v) != 6 || v[0] < v[5] {
		t.Errorf("spectrum %v", v)
	}
}

func TestPCADegenerate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	if _, err := (detect.PCA{}).Fit(t.Context(), mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2})); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
	if _, err := (detect.PCA{Strategy: "reconstruction"}).Fit(t.Context(), gaussian(t, r, 2, 3, nil)); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("two rows leave one component, and none beside it: %v", err)
	}
	// Fewer rows than columns: components without variance are left out.
	if m := fitPCA(t, detect.PCA{Share: 0.99}, gaussian(t, r, 5, 12, nil)); m.Components() > 4 {
		t.Errorf("%d components of 5 rows", m.Components())
	}
}

func BenchmarkPCAScore(b *testing.B) {
	train := gaussianClasses(7, 2000, 128, 10)
	m := fitPCA(b, detect.PCA{}, train)
	for b.Loop() {
		if _, err := m.Score(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
