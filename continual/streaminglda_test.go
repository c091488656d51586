package continual_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleStreamingLDA() {
	ctx := context.Background()
	day1, _ := data.NewTable(4, 2, []float32{0, 0, 2, 2, 4, 0, 6, 2})
	day1, _ = day1.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	m, err := continual.StreamingLDA{}.Fit(ctx, day1)
	if err != nil {
		panic(err)
	}
	day2, _ := data.NewTable(1, 2, []float32{1, 9})
	day2, _ = day2.WithClassNames([]string{"plum"})
	updated, _ := m.Update(ctx, day2)
	// (3,3) lies on the long axis of the class apple.
	query, _ := data.NewTable(1, 2, []float32{3, 3})
	p, _ := updated.(method.Predictor).Predict(query)
	fmt.Printf("%v %.2f\n", p.Columns(), p.Row(0))
	// Output:
	// [apple pear plum] [1.00 0.00 0.00]
}

// TestStreamingLDAAgainstTheFormula: −½ of the squared Mahalanobis distance to each mean under the pooled covariance, by elimination.
func TestStreamingLDAAgainstTheFormula(t *testing.T) {
	train, query := gridded(t, rows(t, 1, 300, 4, 3)), gridded(t, rows(t, 2, 50, 4, 3))
	m, err := continual.StreamingLDA{Shrinkage: 0.2}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	p := predict(t, m, query)
	x, d, n := wide(train), 4, 300
	means, counts := map[string][]float64{}, map[string]float64{}
	all := make([]float64, d)
	for i, row := range x {
		c := train.ClassName(i)
		if means[c] == nil {
			means[c] = make([]float64, d)
		}
		counts[c]++
		for j, v := range row {
			means[c][j] += v
			all[j] += v / float64(n)
		}
	}
	for c := range means {
		for j := range d {
			means[c][j] /= counts[c]
		}
	}
	cov, total := make([][]float64, d), 0.0
	for i := range cov {
		cov[i] = make([]float64, d)
		for r, row := range x {
			mean := means[train.ClassName(r)]
			for j := range d {
				cov[i][j] += (row[i] - mean[i]) * (row[j] - mean[j]) / float64(n)
			}
			total += (row[i] - all[i]) * (row[i] - all[i]) / float64(n*d)
		}
	}
	trace := 0.0
	for i := range d {
		trace += cov[i][i]
	}
	for i := range d {
		for j := range d {
			cov[i][j] *= 0.8
		}
		cov[i][i] += 0.2*trace/float64(d) + 1e-6*total
	}
	for i, row := range wide(query) {
		z, sum := make([]float64, 3), 0.0
		for c, name := range []string{"0", "1", "2"} {
			e := make([]float64, d)
			for j := range d {
				e[j] = row[j] - means[name][j]
			}
			for j, v := range solve(cov, e) {
				z[c] -= v * e[j] / 2
			}
		}
		for _, v := range z {
			sum += math.Exp(v)
		}
		for c, v := range p.Row(i) {
			if want := math.Exp(z[c]) / sum; math.Abs(float64(v)-want) > 1e-6 { // of float32 probabilities
				t.Fatalf("row %d, class %d: %.7f, want %.7f", i, c, v, want)
			}
		}
	}
}

// solve returns A⁻¹b by elimination.
func solve(a [][]float64, b []float64) []float64 {
	d := len(b)
	m := make([][]float64, d)
	for i := range m {
		m[i] = append(append([]float64(nil), a[i]...), b[i])
	}
	for i := range m {
		for r := range m {
			if r != i {
				f := m[r][i] / m[i][i]
				for j := range m[r] {
					m[r][j] -= f * m[i][j]
				}
			}
		}
	}
	x := make([]float64, d)
	for i := range x {
		x[i] = m[i][d] / m[i][i]
	}
	return x
}

func TestStreamingLDAForgets(t *testing.T) {
	forgets(t, func(in *data.Table) (method.Model, error) {
		return continual.StreamingLDA{}.Fit(t.Context(), in)
	})
}
