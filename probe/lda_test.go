package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleLDA() {
	train, _ := data.NewTable(6, 1, []float32{1, 2, 3, 5, 6, 7})
	train, _ = train.WithClassNames([]string{"low", "low", "low", "high", "high", "high"})
	m, err := probe.LDA{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 1, []float32{3.5, 4})
	p, _ := m.Predict(query)
	for i := range 2 {
		fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1])
	}
	// Output:
	// high 0.05, low 0.95
	// high 0.50, low 0.50
}

// gaussianPosteriors are class probabilities by Bayes' rule from densities with the given means and covariances.
func gaussianPosteriors(t testing.TB, query *data.Table, priors []float64, means [][]float64, covs []*mat.SymDense) (out []float64) {
	t.Helper()
	n, d := query.Dims()
	for i := range n {
		row, sum := make([]float64, len(priors)), 0.0
		for c := range row {
			var chol mat.Cholesky
			if !chol.Factorize(covs[c]) {
				t.Fatal("not positive definite")
			}
			diff := mat.NewVecDense(d, nil)
			for j, v := range query.Row(i) {
				diff.SetVec(j, float64(v)-means[c][j])
			}
			var z mat.VecDense
			if err := chol.SolveVecTo(&z, diff); err != nil {
				t.Fatal(err)
			}
			row[c] = priors[c] * math.Exp(-mat.Dot(diff, &z)/2-chol.LogDet()/2)
			sum += row[c]
		}
		for _, v := range row {
			out = append(out, v/sum)
		}
	}
	return out
}

// regular returns (1−share)·a + share·b + ridge·I.
func regular(a, b *mat.SymDense, share, ridge float64) *mat.SymDense {
	d := a.SymmetricDim()
	out := mat.NewSymDense(d, nil)
	for i := range d {
		for j := i; j < d; j++ {
			v := (1-share)*a.At(i, j) + share*b.At(i, j)
			if i == j {
				v += ridge
			}
			out.SetSym(i, j, v)
		}
	}
	return out
}

func TestLDAAgainstDensities(t *testing.T) {
	train, query := toy(t, 1, 300, 5, 3, 0.5, 0.4), toy(t, 2, 40, 5, 3)
	s := summarise(t, train)
	unit, trace, square := 0.0, 0.0, 0.0
	for i := range s.d {
		unit += s.total[i] / float64(s.d)
		trace += s.within.At(i, i) / float64(s.d)
		for j := range s.d {
			square += s.within.At(i, j) * s.within.At(i, j)
		}
	}
	// Chen et al., eq. (23), for N − K rows, as scikit-learn writes it.
	mean := square / float64(s.d*s.d)
	intensity := min(1, (mean+trace*trace)/(float64(s.n-s.k+1)*(mean-trace*trace/float64(s.d))))
	identity := mat.NewSymDense(s.d, nil)
	for j := range s.d {
		identity.SetSym(j, j, trace)
	}
	for _, c := range []probe.LDA{{}, {Shrinkage: "none"}, {Balanced: true, Ridge: 0.5}} {
		share := intensity
		if c.Shrinkage == "none" {
			share = 0
		}
		cov := regular(s.within, identity, share, max(c.Ridge, 1e-6)*unit)
		var covs []*mat.SymDense
		var priors []float64
		for l := range s.k {
			covs = append(covs, cov)
			priors = append(priors, s.counts[l]/float64(s.n))
			if c.Balanced {
				priors[l] = 1
			}
		}
		m, err := c.Fit(t.Context(), train)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := asked(t, m, query)
		near(t, fmt.Sprintf("%+v", c), p, gaussianPosteriors(t, query, priors, s.means, covs), 1e-6)
	}
}

func TestLDABadRows(t *testing.T) {
	x, _ := data.NewTable(3, 1, []float32{1, 2, 9})
	each, _ := x.WithClassNames([]string{"a", "b", "c"})
	m, err := probe.LDA{}.Fit(t.Context(), each)
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := asked(t, m, x); p[0] < 0.99 || p[4] < 0.99 || p[8] < 0.99 {
		t.Errorf("one row a class: %v", p)
	}
	same, _ := data.NewTable(2, 1, []float32{3, 3})
	same, _ = same.WithClassNames([]string{"a", "b"})
	if _, err := (probe.LDA{}).Fit(t.Context(), same); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
	if _, err := (probe.QDA{}).Fit(t.Context(), same); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
}
