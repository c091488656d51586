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

func ExampleCaPE() {
	var x []float32
	var names []string
	for i := range 100 { // of ten days with pressure p, p are dry
		x, names = append(x, float32(i/10)), append(names, "rain")
		if i%10 < i/10 {
			names[i] = "dry"
		}
	}
	train, _ := data.NewTable(100, 1, x)
	train, _ = train.WithClassNames(names)
	m, err := probe.CaPE{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(1, 1, []float32{2})
	p, _ := m.Predict(query)
	fmt.Printf("%s %.1f\n", p.Columns()[1], p.Row(0)[1])
	// Output:
	// rain 0.9
}

func fitCaPE(t testing.TB, c probe.CaPE, train *data.Table) *probe.CaPEModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// chances are rows whose outcome has a known probability.
func chances(t testing.TB, seed uint64, n, d int) (*data.Table, []float64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	x, names, p := make([]float32, n*d), make([]string, n), make([]float64, n)
	for i := range n {
		z := 0.0
		for j := range d {
			v := r.NormFloat64()
			x[i*d+j] = float32(v)
			if j < 3 {
				z += v
			}
		}
		p[i], names[i] = 1/(1+math.Exp(-z)), "no"
		if r.Float64() < p[i] {
			names[i] = "yes"
		}
	}
	in, err := data.NewTable(n, d, x)
	if err == nil {
		in, err = in.WithClassNames(names)
	}
	if err != nil {
		t.Fatal(err)
	}
	return in, p
}

// TestCaPEOfManyRowsIsLogistic: with rows in plenty nothing is to be stopped, and both come near the truth.
func TestCaPEOfManyRowsIsLogistic(t *testing.T) {
	train, truth := chances(t, 1, 20000, 5)
	for _, strategy := range []string{"bin", "kernel", "none"} {
		if strategy == "kernel" {
			train, truth = train.Slice(0, 3000), truth[:3000]
		}
		p, _ := asked(t, fitCaPE(t, probe.CaPE{Strategy: strategy, Steps: 30}, train), train)
		off := 0.0
		for i, v := range truth {
			off += (p[2*i+1] - v) * (p[2*i+1] - v) / float64(len(truth))
		}
		if off > 1e-3 {
			t.Errorf("%s: mean squared error of the probability %g", strategy, off)
		}
	}
}

// TestCaPENeverWorseThanStopping: the epoch that counts has no larger loss on the rows kept aside than the first stop.
func TestCaPENeverWorseThanStopping(t *testing.T) {
	train, truth := chances(t, 2, 300, 60)
	squared := map[string]float64{}
	for _, c := range []probe.CaPE{{}, {Strategy: "kernel"}, {Strategy: "none"}, {Period: 1}} {
		m := fitCaPE(t, c, train)
		r := m.Report()
		if r["loss"] > r["stopped_loss"] || r["epoch"] < r["stopped_epoch"] {
			t.Errorf("%+v: %v", c, r)
		}
		p, _ := asked(t, m, train)
		for i, v := range truth {
			squared[fmt.Sprint(c.Strategy, c.Period)] += (p[2*i+1] - v) * (p[2*i+1] - v) / 300
		}
	}
	// Without a stop the head learns the outcomes by heart.
	p, _ := asked(t, fitLogistic(t, probe.Logistic{Ridge: 1e-6}, train), train)
	end := 0.0
	for i, v := range truth {
		end += (p[2*i+1] - v) * (p[2*i+1] - v) / 300
	}
	for name, v := range squared {
		if v > end/1.2 {
			t.Errorf("%s: squared error %g, trained to the end %g", name, v, end)
		}
	}
}

// TestCaPEOneBin: when all rows are one bin, calibrating pulls every probability towards the mean outcome, and a kernel as
// wide as all predictions does the same.
func TestCaPEOneBin(t *testing.T) {
	train, _ := chances(t, 3, 200, 4)
	bin, _ := asked(t, fitCaPE(t, probe.CaPE{Bins: 1, Period: 1}, train), train)
	kernel, _ := asked(t, fitCaPE(t, probe.CaPE{Strategy: "kernel", Bandwidth: 100, Period: 1}, train), train)
	near(t, "one bin and a wide kernel", kernel, bin, 1e-3)
}

func TestCaPERefuses(t *testing.T) {
	train, _ := chances(t, 4, 30, 2)
	names := make([]string, 30)
	for i := range names {
		names[i] = fmt.Sprint(i % 3)
	}
	three, _ := train.WithClassNames(names)
	if _, err := (probe.CaPE{}).Fit(t.Context(), three); !errors.Is(err, data.ErrLabels) {
		t.Errorf("three classes: %v", err)
	}
	if _, err := (probe.CaPE{}).Fit(t.Context(), train.Slice(0, 9)); !errors.Is(err, data.ErrShape) {
		t.Errorf("nine rows: %v", err)
	}
}
