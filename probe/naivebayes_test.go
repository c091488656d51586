package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleNaiveBayes() {
	// Two rows a class; the second column is the same in all rows and tells nothing.
	train, _ := data.NewTable(4, 2, []float32{0, 7, 2, 7, 6, 7, 8, 7})
	train, _ = train.WithClassNames([]string{"small", "small", "large", "large"})
	m, err := probe.NaiveBayes{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{3, 7, 4, 7, 4.5, 0})
	p, _ := m.Predict(query)
	for i := range 3 {
		fmt.Printf("%s %.3f, %s %.3f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1])
	}
	// Output:
	// large 0.002, small 0.998
	// large 0.500, small 0.500
	// large 0.953, small 0.047
}

func fitNaiveBayes(t testing.TB, c probe.NaiveBayes, train *data.Table) *probe.NaiveBayesModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNaiveBayesAgainstDensities(t *testing.T) {
	train, query := toy(t, 1, 300, 5, 3, 0.5, 0.4), toy(t, 2, 40, 5, 3)
	s := summarise(t, train)
	for _, c := range []probe.NaiveBayes{{}, {Balanced: true}, {Smoothing: 0.5}} {
		p, _ := asked(t, fitNaiveBayes(t, c, train), query)
		smoothing := max(c.Smoothing, 1e-9)
		var want []float64
		for i := range 40 {
			density, sum := make([]float64, s.k), 0.0
			for l := range density {
				prior := s.counts[l] / float64(s.n)
				if c.Balanced {
					prior = 1 / float64(s.k)
				}
				density[l] = prior
				for j, v := range query.Row(i) {
					variance := s.within.At(j, j) + smoothing*s.total[j]
					e := float64(v) - s.means[l][j]
					density[l] *= math.Exp(-e*e/(2*variance)) / math.Sqrt(2*math.Pi*variance)
				}
				sum += density[l]
			}
			for _, v := range density {
				want = append(want, v/sum)
			}
		}
		near(t, fmt.Sprintf("%+v", c), p, want, 1e-7) // float32 probabilities
	}
}

func TestNaiveBayesWeights(t *testing.T) {
	// In closed form the weights of two classes differ by (µ₁ − µ₀)/variance.
	train := toy(t, 3, 200, 6, 2)
	s := summarise(t, train)
	_, weights, _ := fitNaiveBayes(t, probe.NaiveBayes{}, train).Linear()
	var have, want []float64
	for j := range s.d {
		have = append(have, weights[j*2+1]-weights[j*2])
		want = append(want, (s.means[1][j]-s.means[0][j])/(s.within.At(j, j)+1e-9*s.total[j]))
	}
	near(t, "weights", have, want, 1e-10)

	// The pooled variances are the diagonal of the pooled covariance.
	st, err := moments.FromSource(t.Context(), train, moments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	variance, err := st.PooledVariance()
	if err != nil {
		t.Fatal(err)
	}
	cov, err := st.PooledCovariance()
	if err != nil {
		t.Fatal(err)
	}
	total := st.Covariance()
	for j := range s.d {
		near(t, "variances", []float64{variance[j], st.Variance()[j]}, []float64{cov[j*s.d+j], total[j*s.d+j]}, 1e-13)
	}
}

func TestNaiveBayesInvariantToUnits(t *testing.T) {
	// Each column multiplied by a power of two and moved by a whole number is still exact in float32.
	change := func(in *data.Table) *data.Table {
		n, d := in.Dims()
		x := slices.Clone(in.X())
		for i := range x {
			x[i] = x[i]*float32(math.Ldexp(1, 30*(i%d)-50)) + float32(math.Ldexp(4, 30*(i%d)-50))
		}
		out, err := data.NewTable(n, d, x)
		if err != nil {
			t.Fatal(err)
		}
		labels, _ := in.Labels()
		out, _ = out.WithLabels(labels, in.Classes())
		return out
	}
	train, query := toy(t, 4, 150, 4, 3), toy(t, 5, 50, 4, 3)
	want, _ := asked(t, fitNaiveBayes(t, probe.NaiveBayes{}, train), query)
	have, _ := asked(t, fitNaiveBayes(t, probe.NaiveBayes{}, change(train)), change(query))
	near(t, "in other units", have, want, 1e-7)
}

func TestNaiveBayesOneRowAClass(t *testing.T) {
	// Without spread within classes the class is that of the nearest row, columns measured by their spread over all rows.
	train, _ := data.NewTable(3, 2, []float32{0, 0, 1, 0, 0, 1000})
	train, _ = train.WithClassNames([]string{"a", "b", "c"})
	query, _ := data.NewTable(3, 2, []float32{0.1, 400, 0.9, 300, 0.4, 900})
	p, _ := asked(t, fitNaiveBayes(t, probe.NaiveBayes{}, train), query)
	near(t, "nearest", p, []float64{1, 0, 0, 0, 1, 0, 0, 0, 1}, 1e-9)
}

func TestNaiveBayesDegenerate(t *testing.T) {
	same, _ := data.NewTable(2, 2, []float32{1, 2, 1, 2})
	same, _ = same.WithClassNames([]string{"a", "b"})
	if _, err := (probe.NaiveBayes{}).Fit(t.Context(), same); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
	if _, err := (probe.Ridge{}).Fit(t.Context(), same); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
	half, _ := data.NewTable(2, 1, []float32{1, 2})
	half, _ = half.WithClassNames([]string{"a", ""})
	if _, err := (probe.NaiveBayes{}).Fit(t.Context(), half); !errors.Is(err, data.ErrLabels) {
		t.Errorf("a row without label: %v", err)
	}
}

// TestNaiveBayesNeedsLogManyRows is the paper's simulation: means −1 and +1, variance D in half of the columns and 1 in
// the others. The rows needed to come within 0.01 of the best error, known exactly, must not grow with D.
func TestNaiveBayesNeedsLogManyRows(t *testing.T) {
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	needed := func(d int) int {
		variance := func(j int) float64 {
			if j < d/2 {
				return float64(d)
			}
			return 1
		}
		distance := 0.0
		for j := range d {
			distance += 1 / variance(j)
		}
		best := phi(-math.Sqrt(distance))
		for n := 4; n <= 64; n += 2 {
			mean := 0.0
			for seed := range uint64(10) {
				r := rand.New(rand.NewPCG(seed, uint64(n)))
				x, names := make([]float32, n*d), make([]string, n)
				for i := range x {
					sign := float64(2*(i/d%2) - 1)
					names[i/d] = fmt.Sprint(sign > 0)
					x[i] = float32(sign + math.Sqrt(variance(i%d))*r.NormFloat64())
				}
				train, err := data.NewTable(n, d, x)
				if err != nil {
					t.Fatal(err)
				}
				train, _ = train.WithClassNames(names)
				center, weights, intercept := fitNaiveBayes(t, probe.NaiveBayes{}, train).Linear()
				up, bias, spread := 0.0, intercept[1]-intercept[0], 0.0
				for j := range d {
					w := weights[2*j+1] - weights[2*j] // in favour of class true
					up, bias, spread = up+w, bias-w*center[j], spread+w*w*variance(j)
				}
				mean += (phi(-(up+bias)/math.Sqrt(spread)) + phi((bias-up)/math.Sqrt(spread))) / 20
			}
			if mean < best+0.01 {
				return n
			}
		}
		return 65
	}
	few, many := needed(25), needed(400)
	t.Logf("rows needed: %d for 25 columns, %d for 400", few, many)
	if slope := math.Log(float64(many)/float64(few)) / math.Log(400./25); slope > 0.3 || many > 64 {
		t.Errorf("%d rows for 25 columns, %d for 400: a slope of %.2f, want less than 0.3", few, many, slope)
	}
}

func BenchmarkNaiveBayesPredict(b *testing.B) {
	train := toy(b, 7, 2000, 128, 10)
	m := fitNaiveBayes(b, probe.NaiveBayes{}, train)
	for b.Loop() {
		if _, err := m.Predict(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
