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

func ExampleFeCAM() {
	ctx := context.Background()
	day1, _ := data.NewTable(6, 2, []float32{9, 1, 8, 2, 9, 2, 1, 9, 2, 8, 1, 8})
	day1, _ = day1.WithClassNames([]string{"apple", "apple", "apple", "pear", "pear", "pear"})
	m, err := continual.FeCAM{}.Fit(ctx, day1)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 2, []float32{80, 12, 0.1, 0.9})
	p, _ := m.Predict(query)
	fmt.Printf("%.2f %.2f\n", p.Row(0), p.Row(1))
	// Output:
	// [1.00 0.00] [0.00 1.00]
}

// TestFeCAMAgainstTheFormula writes out the paper's equations with plain loops.
func TestFeCAMAgainstTheFormula(t *testing.T) {
	const d, ridge = 4, 0.7
	train, query := gridded(t, rows(t, 1, 240, d, 3)), gridded(t, rows(t, 2, 60, d, 3))
	m, err := continual.FeCAM{Ridge: ridge}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	scores, err := m.Score(query)
	if err != nil {
		t.Fatal(err)
	}
	power := func(row []float64) []float64 {
		out := make([]float64, d)
		for j, v := range row {
			out[j] = math.Copysign(math.Sqrt(math.Abs(v)), v)
		}
		return out
	}
	unit := func(row []float64) []float64 {
		norm, out := 0.0, make([]float64, d)
		for _, v := range row {
			norm += v * v
		}
		for j, v := range row {
			out[j] = v / math.Sqrt(norm)
		}
		return out
	}
	means, covs := map[string][]float64{}, map[string][][]float64{}
	for _, name := range []string{"0", "1", "2"} {
		own := wide(byClass(train, name))
		mean := make([]float64, d)
		for _, row := range own {
			for j, v := range power(row) {
				mean[j] += v / float64(len(own))
			}
		}
		cov := make([][]float64, d)
		for i := range cov {
			cov[i] = make([]float64, d)
			for _, row := range own {
				p := power(row)
				for j := range d {
					cov[i][j] += (p[i] - mean[i]) * (p[j] - mean[j]) / float64(len(own))
				}
			}
		}
		variance, between := 0.0, 0.0
		for i := range d {
			for j := range d {
				if i == j {
					variance += cov[i][j] / d
				} else {
					between += cov[i][j] / (d * (d - 1))
				}
			}
		}
		for i := range d {
			for j := range d {
				if i == j {
					cov[i][j] += ridge * variance
				} else {
					cov[i][j] += ridge * math.Max(between, 0)
				}
			}
		}
		correlation := make([][]float64, d)
		for i := range d {
			correlation[i] = make([]float64, d)
			for j := range d {
				correlation[i][j] = cov[i][j] / math.Sqrt(cov[i][i]*cov[j][j])
			}
		}
		means[name], covs[name] = unit(mean), correlation
	}
	for i, row := range wide(query) {
		least := math.Inf(1)
		for name, mean := range means {
			e := unit(power(row))
			for j := range d {
				e[j] -= mean[j]
			}
			sum := 0.0
			for j, v := range solve(covs[name], e) {
				sum += v * e[j]
			}
			least = math.Min(least, sum)
		}
		if math.Abs(scores[i]-least) > 1e-5 { // roots are gridded to 22 bits, directions are float32
			t.Fatalf("row %d: %.8f, want %.8f", i, scores[i], least)
		}
	}
}

func TestFeCAMForgets(t *testing.T) {
	forgets(t, func(in *data.Table) (method.Model, error) { return continual.FeCAM{}.Fit(t.Context(), in) })
}
