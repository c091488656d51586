package drift_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleKolmogorovSmirnov() {
	// Two samples that do not overlap: 2 of the 3003 ways to deal them out are as extreme.
	reference, _ := data.NewTable(8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(6, 1, []float32{11, 12, 13, 14, 15, 16})
	m, err := drift.KolmogorovSmirnov{}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: ks 1.000, p = 0.001, drift: true
}

func TestKolmogorovSmirnovAgainstPeer(t *testing.T) {
	reference, window, say := scipySamples(t, 0)
	have := compare(t, as(drift.KolmogorovSmirnov{}.Fit), reference, window)
	close(t, "statistic", have.Statistic, say("ks")[0], 1e-12)
	close(t, "exact p-value", have.PValue, say("ks")[1], 1e-10)
	// With ties SciPy's p-value takes them for different values, which is larger.
	reference, window, say = scipySamples(t, 1)
	have = compare(t, as(drift.KolmogorovSmirnov{}.Fit), reference, window)
	close(t, "statistic with ties", have.Statistic, say("ks")[0], 1e-12)
	if have.PValue > say("ks")[1]+1e-12 {
		t.Errorf("p-value with ties %v, without regard to them %v", have.PValue, say("ks")[1])
	}
}

// TestKolmogorovSmirnovTies: the p-value is the share of all relabellings, ties and all.
func TestKolmogorovSmirnovTies(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		reference, window := rounded(t, normal(t, r, 6, 1, 0, 1)), rounded(t, normal(t, r, 5, 1, 0.8, 1))
		want := enumerated(rowsOf(reference), rowsOf(window), bruteGap)
		close(t, "p-value", compare(t, as(drift.KolmogorovSmirnov{}.Fit), reference, window).PValue, want, 1e-12)
	}
}

func bruteGap(a, b [][]float64) (gap float64) {
	below := func(rows [][]float64, x float64) (share float64) {
		for _, row := range rows {
			if row[0] <= x {
				share += 1 / float64(len(rows))
			}
		}
		return share
	}
	for _, rows := range [][][]float64{a, b} {
		for _, row := range rows {
			gap = math.Max(gap, math.Abs(below(a, row[0])-below(b, row[0])))
		}
	}
	return gap
}

// TestKolmogorovSmirnovLimit: where counting paths ends the limit takes over, close to what counting would have said.
func TestKolmogorovSmirnovLimit(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	reference, window := normal(t, r, 2000, 1, 0, 1), normal(t, r, 2000, 1, 0.05, 1)
	exact := compare(t, as(drift.KolmogorovSmirnov{}.Fit), reference, window)
	more := normal(t, r, 1, 1, 0, 1)
	longer := mustTable(t, 2001, 1, append(append([]float32{}, reference.X()...), more.X()...))
	limit := compare(t, as(drift.KolmogorovSmirnov{}.Fit), longer, window)
	close(t, "p-value from the limit", limit.PValue, exact.PValue, 0.03)
}
