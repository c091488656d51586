package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleTesterLearner() {
	// Two columns; the class is told by their sum. Once the rows are Gaussian, once they fill a square.
	r := rand.New(rand.NewPCG(1, 0))
	learn := func(draw func() float64) {
		x, labels := []float32{}, []int{}
		for range 4000 {
			a, b := draw(), draw()
			x, labels = append(x, float32(a), float32(b)), append(labels, map[bool]int{true: 1}[a+b > 0])
		}
		train, _ := data.NewTable(4000, 2, x)
		train, _ = train.WithLabels(labels, []string{"below", "above"})
		m, err := detect.TesterLearner{}.Fit(context.Background(), train)
		if err != nil {
			text, _, _ := strings.Cut(err.Error(), " (")
			fmt.Println(text)
			return
		}
		query, _ := data.NewTable(1, 2, []float32{1, -0.5})
		p, _ := m.Predict(query)
		fmt.Printf("%v %.2f, excess error at most %.2f\n", p.Columns(), p.Row(0), m.Certificate().Excess)
	}
	learn(r.NormFloat64)
	learn(func() float64 { return 2*r.Float64() - 1 })
	// Output:
	// [above below] [1.00 0.00], excess error at most 0.03
	// refused: the moments test
}

// halfspace draws n rows of d columns, of classes a and b on the sides of a plane across the first column, labels turned by flip.
func halfspace(t testing.TB, r *rand.Rand, n, d int, draw func(row []float64), flip func(row []float64) bool) *data.Table {
	t.Helper()
	x, labels := make([]float32, 0, n*d), make([]int, n)
	row := make([]float64, d)
	for i := range n {
		draw(row)
		if (row[0] > 0) != flip(row) {
			labels[i] = 1
		}
		for _, v := range row {
			x = append(x, float32(v))
		}
	}
	table, err := data.NewTable(n, d, x)
	if err == nil {
		table, err = table.WithLabels(labels, []string{"a", "b"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func gaussianRow(r *rand.Rand) func(row []float64) {
	return func(row []float64) {
		for j := range row {
			row[j] = r.NormFloat64()
		}
	}
}

func massart(r *rand.Rand, rate float64) func([]float64) bool {
	return func([]float64) bool { return r.Float64() < rate }
}

// TestTesterLearnerFalseAlarms: the tests refuse Gaussian rows as often as they may, whatever the noise and the covariance.
func TestTesterLearnerFalseAlarms(t *testing.T) {
	tables := 100
	if testing.Short() {
		tables = 60
	}
	refusals := 0
	for k := range tables {
		r := rand.New(rand.NewPCG(uint64(k), 1))
		table := halfspace(t, r, 200, 3, func(row []float64) {
			gaussianRow(r)(row)
			row[1] = 5 + 3*row[0] + row[1]
		}, massart(r, 0.3*float64(k%2)))
		_, err := detect.TesterLearner{Level: 0.05, Seed: uint64(k)}.Fit(t.Context(), table)
		switch {
		case errors.Is(err, method.ErrRefused):
			refusals++
		case err != nil:
			t.Fatal(err)
		}
	}
	// 0.05 of the tables, give or take 3.3 deviations of the count and of the threshold's own simulation.
	share, spread := float64(refusals)/float64(tables), math.Sqrt(0.05*0.95*(1/float64(tables)+1.0/100/20))
	if share > 0.05+3.3*spread {
		t.Errorf("%d of %d Gaussian tables are refused, want 5 %%", refusals, tables)
	}
	if !testing.Short() && refusals == 0 {
		t.Errorf("none of %d tables is refused at a level of 0.05: the thresholds are too high", tables)
	}
}

// TestTesterLearnerCertificateHolds: the error is never farther from the best plane's than promised; across the first
// column that plane is known.
func TestTesterLearnerCertificateHolds(t *testing.T) {
	for seed := range uint64(4) {
		for _, c := range []struct {
			name string
			cfg  detect.TesterLearner
			flip func(r *rand.Rand) func([]float64) bool
		}{
			{"Massart", detect.TesterLearner{Noise: 0.3, Level: 0.05, Seed: seed}, func(r *rand.Rand) func([]float64) bool {
				return func(row []float64) bool { return row[1] > 0 && r.Float64() < 0.3 } // noisy on one half only
			}},
			{"adversarial", detect.TesterLearner{Adversarial: true, Level: 0.05, Seed: seed}, func(r *rand.Rand) func([]float64) bool {
				return func(row []float64) bool { return math.Abs(row[0]) < 0.2 && row[0]*row[1] < -0.1 && r.Float64() < 0.4 }
			}},
		} {
			r := rand.New(rand.NewPCG(seed, 2))
			m, err := c.cfg.Fit(t.Context(), halfspace(t, r, 6000, 4, gaussianRow(r), c.flip(r)))
			if err != nil {
				t.Errorf("%s, seed %d: %v", c.name, seed, err)
				continue
			}
			_, normal, classes := m.Plane()
			length := 0.0
			for _, v := range normal {
				length += v * v
			}
			along := normal[0] / math.Sqrt(length)
			if classes[0] == "a" { // "b" is where the first column is positive
				along = -along
			}
			angle, cert := math.Acos(min(along, 1)), m.Certificate()
			if angle > cert.Angle || cert.Excess != cert.Angle/math.Pi || cert.Excess > 0.2 {
				t.Errorf("%s, seed %d: at an angle of %.3f, certified %.3f, excess %.3f", c.name, seed, angle, cert.Angle, cert.Excess)
			}
			if len(cert.Tests) != 4 || !cert.Error.HasInterval() {
				t.Errorf("%s: %+v", c.name, cert)
			}
		}
	}
}

// TestTesterLearnerRefuses: rows that break the promise are refused, by the test that is meant for them.
func TestTesterLearnerRefuses(t *testing.T) {
	const n, d = 4000, 4
	r := rand.New(rand.NewPCG(3, 0))
	gauss := gaussianRow(r)
	for _, c := range []struct {
		name string
		cfg  detect.TesterLearner
		draw func(row []float64)
		want string
	}{
		{"a cube", detect.TesterLearner{}, func(row []float64) {
			for j := range row {
				row[j] = 2*r.Float64() - 1
			}
		}, "moments"},
		{"heavy tails", detect.TesterLearner{}, func(row []float64) {
			gauss(row)
			by := math.Sqrt(3 / (math.Pow(r.NormFloat64(), 2) + math.Pow(r.NormFloat64(), 2) + math.Pow(r.NormFloat64(), 2)))
			for j := range row {
				row[j] *= by
			}
		}, "moments"},
		{"a mixture", detect.TesterLearner{}, func(row []float64) {
			gauss(row)
			row[1] += 4 * float64(r.IntN(2))
		}, "moments"},
		{"not centred, taken as it is", detect.TesterLearner{NoWhiten: true}, func(row []float64) {
			gauss(row)
			row[2] += 0.3
		}, "moments"},
		// Moments of degree 2 are a Gaussian's after whitening: only what looks near the plane can tell.
		{"an empty band", detect.TesterLearner{Degree: 2}, func(row []float64) {
			gauss(row)
			row[0] = math.Copysign(0.5+r.Float64(), row[0])
		}, "bands"},
		{"a narrow band", detect.TesterLearner{Degree: 2}, func(row []float64) {
			gauss(row)
			if math.Abs(row[0]) < 0.5 {
				row[1] /= 4
			} else {
				row[1] *= 1.2
			}
		}, "spectrum"},
		{"wide outside", detect.TesterLearner{Degree: 2}, func(row []float64) {
			gauss(row)
			if math.Abs(row[0]) > 2 {
				row[1] *= 2
			}
		}, "disagreement"},
	} {
		c.cfg.Level = 0.05 // fewer simulated tables
		_, err := c.cfg.Fit(t.Context(), halfspace(t, r, n, d, c.draw, massart(r, 0.1)))
		var refusal *detect.TesterLearnerRefusal
		if !errors.As(err, &refusal) || !errors.Is(err, method.ErrRefused) {
			t.Errorf("%s: %v, want a refusal", c.name, err)
			continue
		}
		if refusal.Name != c.want {
			t.Errorf("%s: refused by %s, want %s: %v", c.name, refusal.Name, c.want, err)
		}
		if !(refusal.Statistic > refusal.Threshold) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestTesterLearnerExcess(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 0))
	table := halfspace(t, r, 3000, 4, gaussianRow(r), massart(r, 0.1))
	m, err := detect.TesterLearner{Level: 0.05}.Fit(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	excess := m.Certificate().Excess
	if _, err := (detect.TesterLearner{Level: 0.05, Excess: 1.01 * excess}).Fit(t.Context(), table); err != nil {
		t.Errorf("an excess of %v is certified, and yet: %v", excess, err)
	}
	var refusal *detect.TesterLearnerRefusal
	if _, err := (detect.TesterLearner{Level: 0.05, Excess: 0.99 * excess}).Fit(t.Context(), table); !errors.As(err, &refusal) || refusal.Name != "certificate" || refusal.Statistic != excess {
		t.Errorf("less than the certified %v is asked for: %v", excess, err)
	}
}

func TestTesterLearnerErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	table := halfspace(t, r, 100, 3, gaussianRow(r), massart(r, 0))
	twice := halfspace(t, r, 100, 3, func(row []float64) { gaussianRow(r)(row); row[2] = row[1] - row[0] }, massart(r, 0))
	one, err := table.WithLabels(make([]int, 100), []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in    *data.Table
		want  error
		words string
	}{
		"one class":             {one, data.ErrLabels, "the rows have one"},
		"too few rows":          {table.Slice(0, 7), data.ErrShape, "7 rows"},
		"a combination":         {twice, method.ErrDegenerate, "combinations"},
		"a row without a label": {unlabelFirst(t, table), data.ErrLabels, "row 1"},
	} {
		if _, err := (detect.TesterLearner{}).Fit(t.Context(), c.in); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.want, c.words)
		}
	}
}

func unlabelFirst(t *testing.T, table *data.Table) *data.Table {
	t.Helper()
	labels, err := table.Labels()
	if err != nil {
		t.Fatal(err)
	}
	labels = append([]int{data.Unknown}, labels[1:]...)
	if table, err = table.WithLabels(labels, table.Classes()); err != nil {
		t.Fatal(err)
	}
	return table
}

func BenchmarkTesterLearnerFit(b *testing.B) {
	r := rand.New(rand.NewPCG(6, 0))
	table := halfspace(b, r, 2000, 10, gaussianRow(r), massart(r, 0.1))
	for b.Loop() {
		if _, err := (detect.TesterLearner{}).Fit(b.Context(), table); err != nil {
			b.Fatal(err)
		}
	}
}
