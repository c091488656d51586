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

func ExampleOneClassSVM() {
	// Rows on a ring: its middle is as odd as what lies outside.
	var x []float32
	for i := range 60 {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / 60)
		x = append(x, float32(cos), float32(sin))
	}
	train, _ := data.NewTable(60, 2, x)
	m, err := detect.OneClassSVM{Share: 0.1, Bandwidth: 0.25}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{0.7, 0.7, 0, 0, 2, 2})
	scores, _ := m.Score(query)
	fmt.Println(scores[0] < 0.05, scores[1] > 0.1, scores[2] > 0.1)
	// Output: true true true
}

func fitOneClassSVM(t testing.TB, c detect.OneClassSVM, train *data.Table) *detect.OneClassSVMModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// oneClassSVMFeatures recomputes a model's features from its saved directions, and reads its weights and offset.
func oneClassSVMFeatures(t *testing.T, m *detect.OneClassSVMModel, in *data.Table) (z [][]float64, weights []float64, offset float64) {
	t.Helper()
	read := func(name string) []float64 {
		v, err := m.State().Tensors[name].Float64s()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	center, directions, weights := read("center"), read("directions"), read("weights")
	n, _ := in.Dims()
	p := len(weights) / 2
	for i := range n {
		row := make([]float64, 2*p)
		for k := range p {
			angle := 0.0
			for j, v := range in.Row(i) {
				angle += (float64(v) - center[j]) * directions[j*p+k]
			}
			row[k], row[p+k] = math.Cos(angle)/math.Sqrt(float64(p)), math.Sin(angle)/math.Sqrt(float64(p))
		}
		z = append(z, row)
	}
	return z, weights, read("border")[0]
}

// bruteOneClassSVM solves the dual by moving weight between the two rows that gain most, until none gains: eq. (3.17)-(3.19).
func bruteOneClassSVM(z [][]float64, share float64) (objective float64) {
	n := len(z)
	top := 1 / (share * float64(n))
	dot := func(a, b []float64) (s float64) {
		for k := range a {
			s += a[k] * b[k]
		}
		return s
	}
	a, slope := make([]float64, n), make([]float64, n)
	for i := range a {
		a[i] = 1 / float64(n)
	}
	for i := range slope {
		for j := range a {
			slope[i] += a[j] * dot(z[i], z[j])
		}
	}
	for range 200000 {
		up, down := -1, -1
		for i := range a {
			if a[i] < top && (up < 0 || slope[i] < slope[up]) {
				up = i
			}
			if a[i] > 0 && (down < 0 || slope[i] > slope[down]) {
				down = i
			}
		}
		gain := slope[down] - slope[up]
		if gain < 1e-12 {
			break
		}
		curve := dot(z[up], z[up]) + dot(z[down], z[down]) - 2*dot(z[up], z[down])
		move := min(gain/curve, top-a[up], a[down])
		a[up], a[down] = a[up]+move, a[down]-move
		for i := range slope {
			slope[i] += move * (dot(z[i], z[up]) - dot(z[i], z[down]))
		}
	}
	for i := range a {
		objective += a[i] * slope[i] / 2
	}
	return objective
}

// TestOneClassSVMAgainstTheDual: the scores are those of the formula, the stated gap is the true one, and the objective lies
// within it of another solver's.
func TestOneClassSVMAgainstTheDual(t *testing.T) {
	for _, c := range []struct {
		n           int
		projections int
		share       float64
	}{{60, 40, 0.1}, {60, 40, 0.5}, {90, 20, 0.3}, {90, 20, 0.9}, {1600, 20, 0.2}, {1600, 60, 0.6}} { // by pairs of rows, then by gradients
		train, in := gaussianClasses(1, c.n, 3, 2), gaussianClasses(2, 300, 3, 3)
		m := fitOneClassSVM(t, detect.OneClassSVM{Share: c.share, Projections: c.projections}, train)
		z, w, offset := oneClassSVMFeatures(t, m, train)
		square, loss := 0.0, 0.0
		for _, v := range w {
			square += v * v
		}
		for _, row := range z {
			margin := offset
			for k, v := range row {
				margin -= v * w[k]
			}
			loss += max(0, margin)
		}
		primal, dual := square/2-offset+loss/(c.share*float64(c.n)), -square/2
		if gap := (primal - dual) / (square / 2); math.Abs(gap-m.Gap()) > 1e-9 || gap > 1e-3 || gap < -1e-12 {
			t.Errorf("%+v: duality gap %g, stated %g, want at most 1e-3", c, gap, m.Gap())
		}
		if c.n > 100 { // the gap says enough, and pairs take long
			continue
		}
		if best := bruteOneClassSVM(z, c.share); square/2 < best-1e-9 || square/2 > best*(1+1e-3) {
			t.Errorf("%+v: objective %.9g, another solver's %.9g", c, square/2, best)
		}
		q, _, _ := oneClassSVMFeatures(t, m, in)
		var want []float64
		for _, row := range q {
			s := offset
			for k, v := range row {
				s -= v * w[k]
			}
			want = append(want, s)
		}
		near(t, fmt.Sprintf("%+v", c), scores(t, m, in), want, 1e-9)
	}
}

// TestOneClassSVMShare: proposition 4 of the paper: at most Share of the training rows lies outside, at least Share on or outside.
func TestOneClassSVMShare(t *testing.T) {
	train := gaussianClasses(3, 500, 4, 3)
	for _, share := range []float64{0.05, 0.2, 0.6} {
		outside, border := 0.0, 0.0
		for _, s := range scores(t, fitOneClassSVM(t, detect.OneClassSVM{Share: share}, train), train) {
			if s > 2e-4 {
				outside++
			}
			if s > -2e-4 {
				border++
			}
		}
		if outside/500 > share || border/500 < share {
			t.Errorf("share %g: %g of the training rows outside, %g on or outside the border", share, outside/500, border/500)
		}
	}
}

// TestOneClassSVMKernel: with many projections the features' products are a Gaussian kernel of the stated width.
func TestOneClassSVMKernel(t *testing.T) {
	train := gaussianClasses(4, 40, 3, 2)
	const p = 20000
	m := fitOneClassSVM(t, detect.OneClassSVM{Projections: p, Bandwidth: 0.7}, train)
	z, _, _ := oneClassSVMFeatures(t, m, train)
	squared := func(i, k int) (s float64) {
		for j, v := range train.Row(i) {
			s += math.Pow(float64(v)-float64(train.Row(k)[j]), 2)
		}
		return s
	}
	total := 0.0
	for i := range 40 {
		for k := range 40 {
			total += squared(i, k) / 1600 // over all pairs of draws with replacement
		}
	}
	for i := range 40 {
		product := 0.0
		for j, v := range z[0] {
			product += v * z[i][j]
		}
		// Each of p cosines has a deviation of at most √½; five standard errors.
		if want := math.Exp(-squared(0, i) / (2 * 0.49 * total)); math.Abs(product-want) > 5*math.Sqrt(0.5/p) {
			t.Errorf("kernel of rows 1 and %d: %.4f, want %.4f", i+1, product, want)
		}
	}
}

func TestOneClassSVMDegenerate(t *testing.T) {
	for what, in := range map[string]*data.Table{"equal rows": mustTable(t, 3, 2, []float32{1, 2, 1, 2, 1, 2}), "one row": mustTable(t, 1, 2, []float32{1, 2})} {
		if _, err := (detect.OneClassSVM{}).Fit(t.Context(), in); !errors.Is(err, method.ErrDegenerate) {
			t.Errorf("%s: %v", what, err)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	once := gaussian(t, r, 30, 2, nil)
	twice := mustTable(t, 60, 2, slices.Concat(once.X(), once.X()))
	in := gaussian(t, r, 20, 2, nil)
	// Every row twice is the same problem.
	near(t, "every row twice", scores(t, fitOneClassSVM(t, detect.OneClassSVM{}, twice), in), scores(t, fitOneClassSVM(t, detect.OneClassSVM{}, once), in), 5e-3)
}

func BenchmarkOneClassSVMFit(b *testing.B) {
	train := gaussianClasses(7, 2000, 16, 10)
	for b.Loop() {
		fitOneClassSVM(b, detect.OneClassSVM{}, train)
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
