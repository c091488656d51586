package probe_test

import (
	"context"
	"fmt"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleQDA() {
	// Two classes around one mean: only how widely they spread tells them apart.
	train, _ := data.NewTable(6, 1, []float32{-1, 0, 1, -9, 0, 9})
	train, _ = train.WithClassNames([]string{"narrow", "narrow", "narrow", "wide", "wide", "wide"})
	m, err := probe.QDA{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 1, []float32{0, 8})
	p, _ := m.Predict(query)
	for i := range 2 {
		fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1])
	}
	// Output:
	// narrow 0.80, wide 0.20
	// narrow 0.00, wide 1.00
}

func TestQDAAgainstDensities(t *testing.T) {
	train, query := toy(t, 1, 300, 5, 3, 0.5, 0.4), toy(t, 2, 40, 5, 3)
	s := summarise(t, train)
	unit := 0.0
	for _, v := range s.total {
		unit += v / float64(s.d)
	}
	own := make([]*mat.SymDense, s.k)
	for l := range own {
		own[l] = mat.NewSymDense(s.d, nil)
		for i, of := range s.labels {
			for a := 0; a < s.d && of == l; a++ {
				for b := a; b < s.d; b++ {
					row := train.Row(i)
					own[l].SetSym(a, b, own[l].At(a, b)+(float64(row[a])-s.means[l][a])*(float64(row[b])-s.means[l][b])/s.counts[l])
				}
			}
		}
	}
	for _, c := range []probe.QDA{{Share: 0.1, Ridge: 1e-3}, {Share: 1e-9, Ridge: 1e-9}, {Share: 0.5, Ridge: 0.2, Balanced: true}} {
		var covs []*mat.SymDense
		var priors []float64
		for l := range s.k {
			covs = append(covs, regular(own[l], s.within, c.Share, c.Ridge*unit))
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
	// All of it shared, it is the linear discriminant.
	q, err := probe.QDA{Share: 1, Ridge: 1e-3}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	l, err := probe.LDA{Shrinkage: "none", Ridge: 1e-3}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	have, _ := asked(t, q, query)
	want, _ := asked(t, l, query)
	near(t, "shared covariance", have, want, 1e-6)
}

func TestQDAOneRowAClass(t *testing.T) {
	x, _ := data.NewTable(4, 1, []float32{1, 2, 9, 10})
	few, _ := x.WithClassNames([]string{"a", "a", "b", "c"})
	m, err := probe.QDA{}.Fit(t.Context(), few)
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := asked(t, m, x); p[0] < 0.99 || p[7] < 0.9 || p[11] < 0.9 {
		t.Errorf("probabilities %v", p)
	}
}
