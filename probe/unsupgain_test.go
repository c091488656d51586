package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleUnsupGain() {
	// Rows on a line in three columns; two of them have a label.
	var x []float32
	labels := make([]int, 20)
	for i := range labels {
		v := float32(i) - 9.5
		x, labels[i] = append(x, v, -v, v/2+float32(i%2)/10), data.Unknown
	}
	labels[2], labels[17] = 0, 1
	train, _ := data.NewTable(20, 3, x)
	train, _ = train.WithLabels(labels, []string{"left", "right"})
	m, err := probe.UnsupGain{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	p, _ := m.Predict(train.Slice(19, 20))
	fmt.Printf("rank %.0f; %s %.2f\n", m.Report()["rank"], p.Columns()[1], p.Row(0)[1])
	// Output:
	// rank 1; right 1.00
}

// factors are rows of a factor model whose class is the sign of the first factor; the first are labelled.
func factors(t testing.TB, seed uint64, n, labelled, d, rank int) *data.Table {
	t.Helper()
	g := rand.New(rand.NewPCG(7, uint64(d)))
	load := make([]float64, rank*d)
	for i := range load {
		load[i] = 0.4 * g.NormFloat64()
	}
	r := rand.New(rand.NewPCG(seed, 9))
	x, labels := make([]float32, n*d), make([]int, n)
	for i := range n {
		for f := range rank {
			z := r.NormFloat64()
			if f == 0 && z > 0 {
				labels[i] = 1
			}
			for j := range d {
				x[i*d+j] += float32(z * load[f*d+j])
			}
		}
		for j := range d {
			x[i*d+j] += float32(r.NormFloat64())
		}
		if i >= labelled {
			labels[i] = data.Unknown
		}
	}
	in, err := data.NewTable(n, d, x)
	if err == nil {
		in, err = in.WithLabels(labels, []string{"down", "up"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestUnsupGainFindsTheFactors(t *testing.T) {
	m, err := probe.UnsupGain{}.Fit(t.Context(), factors(t, 1, 3000, 40, 30, 3))
	if err != nil {
		t.Fatal(err)
	}
	r := m.Report()
	if r["rank"] != 3 || math.Abs(r["noise_variance"]-1) > 0.05 || r["labelled_rows"] != 40 {
		t.Errorf("%v, want rank 3 and noise of variance 1", r)
	}
	// 30·3/m + 3·2/40 = 30·2/40 at m = 90/1.35.
	if at := m.Crossover(); math.Abs(at-90/1.35) > 1e-9 {
		t.Errorf("crossover at %g, want %g", at, 90/1.35)
	}
}

// TestUnsupGainHelps: with 40 labels for 100 columns the two phases are right more often than a head on labels alone.
func TestUnsupGainHelps(t *testing.T) {
	train, query := factors(t, 2, 4000, 40, 100, 3), factors(t, 3, 2000, 2000, 100, 3)
	m, err := probe.UnsupGain{}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := query.Labels()
	wrong := func(p []float64) (share float64) {
		for i, l := range labels {
			if p[2*i+l] < 0.5 {
				share += 1 / float64(len(labels))
			}
		}
		return share
	}
	have, _ := asked(t, m, query)
	alone, _ := asked(t, fitLogistic(t, probe.Logistic{}, train.Slice(0, 40)), query)
	t.Logf("wrong: %.3f, labels alone %.3f", wrong(have), wrong(alone))
	if wrong(have) > wrong(alone)-0.02 {
		t.Errorf("wrong: %.3f, labels alone %.3f", wrong(have), wrong(alone))
	}
}

// TestUnsupGainOfFullRankIsLogistic: all directions as factors are a rotation, which the penalty does not notice.
func TestUnsupGainOfFullRankIsLogistic(t *testing.T) {
	train, _ := chances(t, 6, 2000, 4)
	m, err := probe.UnsupGain{Rank: 4, Ridge: 0.1}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	have, _ := asked(t, m, train)
	want, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: 0.1}, train), train)
	near(t, "probabilities", have, want, 1e-5)
	if !math.IsInf(m.Crossover(), 1) {
		t.Errorf("crossover at %g", m.Crossover())
	}
}

func TestUnsupGainRefuses(t *testing.T) {
	if _, err := (probe.UnsupGain{}).Fit(t.Context(), factors(t, 1, 30, 0, 4, 1)); !errors.Is(err, data.ErrLabels) {
		t.Errorf("no labels: %v", err)
	}
}
