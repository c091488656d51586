package weights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

var planted = weights.SparseLawConstants{Floor: 1.7, Size: 400, SizeExponent: 0.34, Data: 410, DataExponent: 0.28}

func ExampleSparseLaw() {
	var x []float32
	for _, n := range []float64{1e7, 3e7, 1e8, 3e8} {
		for _, d := range []float64{1e9, 3e9, 1e10} {
			x = append(x, float32(n), float32(d), float32(planted.Loss(n, d)))
		}
	}
	runs, err := data.NewNamed(12, []string{"parameters", "tokens", "loss"}, x)
	if err != nil {
		panic(err)
	}
	out, err := weights.SparseLaw{Parameters: 1e8, Compute: 1e19}.Apply(context.Background(), weights.SparseLawInput{Runs: runs})
	if err != nil {
		panic(err)
	}
	law, _, _ := out.Floats("law", 5)
	fmt.Printf("floor %.1f, exponents %.2f and %.2f\n", law[0], law[2], law[4])
	plan, _, _ := strings.Cut(out.Meta["sparselaw.plan"], ",")
	fmt.Println(plan)
	// Output:
	// floor 1.7, exponents 0.34 and 0.28
	// start with 4e+08 parameters
}

// runsOf is a table of runs under the planted law, of dense sizes and pruned ones, with noise on the logarithm of the loss.
func runsOf(t testing.TB, seed uint64, noise float64) (*data.Table, []weights.SparseLawRun) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 4))
	var x []float32
	var runs []weights.SparseLawRun
	for _, n := range []float64{1e7, 3e7, 1e8, 4e8} {
		for _, d := range []float64{1e9, 4e9, 2e10} {
			for _, s := range []float64{0, 0.4, 0.8} {
				mean := n * (1 - s*(0.5*0.75+0.25))
				loss := planted.Loss(mean, d) * math.Exp(noise*r.NormFloat64())
				x = append(x, float32(loss), float32(n), float32(d), float32(s), 0.25, 0.75)
				runs = append(runs, weights.SparseLawRun{Mean: mean, First: n, Last: n * (1 - s), Tokens: d, Loss: loss})
			}
		}
	}
	table, err := data.NewNamed(len(runs), []string{"loss", "parameters", "tokens", "sparsity", "start", "end"}, x)
	if err != nil {
		t.Fatal(err)
	}
	return table, runs
}

func sparseLaw(t testing.TB, c weights.SparseLaw, runs *data.Table) *data.Checkpoint {
	t.Helper()
	out, err := c.Apply(t.Context(), weights.SparseLawInput{Runs: runs})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSparseLawRecoversPlantedConstants(t *testing.T) {
	for seed := range uint64(3) {
		table, _ := runsOf(t, seed, 2e-4)
		out := sparseLaw(t, weights.SparseLaw{}, table)
		law, _, _ := out.Floats("law", 5)
		for i, want := range []float64{planted.Floor, planted.Size, planted.SizeExponent, planted.Data, planted.DataExponent} {
			// Factors are powers of e to the exponent times 18: 1 % of an exponent is 6 % of them.
			if have := law[i]; math.Abs(have-want) > want*[]float64{0.05, 0.3, 0.05, 0.3, 0.05}[i] {
				t.Errorf("seed %d: constant %d is %g, want %g", seed, i, have, want)
			}
		}
		miss := func(key string) float64 { v, _ := strconv.ParseFloat(out.Meta[key], 64); return v }
		if a, b, c := miss("sparselaw.error"), miss("sparselaw.error.first"), miss("sparselaw.error.last"); a > 5e-4 || b < 5*a || c < 5*a {
			t.Errorf("seed %d: errors %g under the mean, %g and %g under the first and last size", seed, a, b, c)
		}
	}
}

func TestSparseLawWithoutNoiseIsExact(t *testing.T) {
	table, runs := runsOf(t, 1, 0)
	fit, err := weights.SparseLaw{}.Fit(t.Context(), runs)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		if have := fit.Loss(r.Mean, r.Tokens); math.Abs(have/r.Loss-1) > 1e-4 {
			t.Errorf("%+v: loss %g", r, have)
		}
	}
	// Read from the table, with float32's rounding, it is the same law.
	law, _, _ := sparseLaw(t, weights.SparseLaw{}, table).Floats("law", 5)
	if math.Abs(law[2]/fit.SizeExponent-1) > 0.01 || math.Abs(law[4]/fit.DataExponent-1) > 0.01 {
		t.Errorf("from the table %v, from runs %+v", law, fit)
	}
}

func TestSparseLawDenseRunsAreChinchillas(t *testing.T) {
	// A constant trace, a sparsity of zero and no schedule at all are one run.
	var plain, traced, scheduled []float32
	var groups []string
	n := 0
	for _, size := range []float64{1e7, 5e7, 2e8} {
		for _, tokens := range []float64{1e9, 5e9, 3e10} {
			loss := float32(planted.Loss(size, tokens))
			plain = append(plain, float32(size), float32(tokens), loss)
			scheduled = append(scheduled, float32(size), float32(tokens), loss, 0, 0, 0)
			for part := 1; part <= 4; part++ {
				traced = append(traced, float32(size), float32(tokens*float64(part)/4), loss+float32(4-part))
				groups = append(groups, fmt.Sprint("run ", n))
			}
			n++
		}
	}
	a, _ := data.NewTable(n, 3, plain)
	b, _ := data.NewNamed(n, []string{"parameters", "tokens", "loss", "sparsity", "start", "end"}, scheduled)
	c, _ := data.NewTable(4*n, 3, traced)
	c, err := c.WithGroups(groups)
	if err != nil {
		t.Fatal(err)
	}
	want, _, _ := sparseLaw(t, weights.SparseLaw{}, a).Floats("law", 5)
	for name, other := range map[string]*data.Table{"schedule": b, "trace": c} {
		have, _, _ := sparseLaw(t, weights.SparseLaw{}, other).Floats("law", 5)
		for i := range want {
			if math.Abs(have[i]/want[i]-1) > 1e-6 {
				t.Errorf("%s: %v, want %v", name, have, want)
			}
		}
	}
}

func TestSparseLawSchedule(t *testing.T) {
	table, _ := runsOf(t, 2, 0)
	for _, strategy := range []string{"cubic", "linear"} {
		out := sparseLaw(t, weights.SparseLaw{Parameters: 1e8, Compute: 1e20, Strategy: strategy, Start: 0.2, End: 0.6}, table)
		plan, shape, err := out.Floats("plan", -1, 6)
		if err != nil {
			t.Fatal(err)
		}
		law, _, _ := out.Floats("law", 5)
		l := weights.SparseLawConstants{Floor: law[0], Size: law[1], SizeExponent: law[2], Data: law[3], DataExponent: law[4]}
		lowest, best := math.Inf(1), 0.0
		for i := range shape[0] {
			row := plan[6*i : 6*i+6]
			// The mean over training, by small steps.
			const steps = 100000
			mean := 0.0
			for k := range steps {
				u := ((float64(k)+0.5)/steps - 0.2) / 0.4
				u = min(max(u, 0), 1)
				if strategy == "cubic" {
					u = 1 - math.Pow(1-u, 3)
				}
				mean += row[1] * (1 - row[0]*u) / steps
			}
			if math.Abs(row[2]/mean-1) > 1e-6 || math.Abs(row[1]*(1-row[0])/1e8-1) > 1e-12 || math.Abs(6*row[2]*row[3]/1e20-1) > 1e-9 {
				t.Errorf("%s: row %v, mean parameters %g", strategy, row, mean)
			}
			if strategy == "linear" && math.Abs(row[2]/(row[1]*(1-row[0]*(1-0.4)))-1) > 1e-12 {
				t.Errorf("row %v: closed form of a linear ramp", row)
			}
			if have := l.Loss(row[2], row[3]); math.Abs(have-row[5]) > 1e-12 {
				t.Errorf("row %v: loss %g", row, have)
			}
			if row[5] < lowest {
				lowest, best = row[5], row[0]
			}
		}
		if !strings.Contains(out.Meta["sparselaw.plan"], fmt.Sprintf("sparsity %.6g)", best)) {
			t.Errorf("plan %q, the lowest loss is at sparsity %g", out.Meta["sparselaw.plan"], best)
		}
		lines := words(t, out, "sparselaw.schedule")
		if lines[0] != "0.2 0" || lines[10] != fmt.Sprintf("0.6 %.6g", best) {
			t.Errorf("schedule %v", lines)
		}
	}
}

func TestSparseLawErrors(t *testing.T) {
	named := func(columns []string, rows ...[]float32) *data.Table {
		var x []float32
		for _, r := range rows {
			x = append(x, r...)
		}
		table, err := data.NewNamed(len(rows), columns, x)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	three := []string{"parameters", "tokens", "loss"}
	six := append(three[:3:3], "sparsity", "start", "end")
	trace, _ := named(three, []float32{1, 2, 3}, []float32{1, 2, 3}).WithGroups([]string{"a", "a"})
	for name, test := range map[string]struct {
		c    weights.SparseLaw
		runs *data.Table
		kind error
		says string
	}{
		"no table":    {kind: method.ErrInput, says: "table"},
		"columns":     {runs: named([]string{"a", "b"}, []float32{1, 2}), kind: data.ErrShape, says: "2 columns, want at least 3"},
		"names":       {runs: named([]string{"parameters", "tokens", "Loss"}, []float32{1, 2, 3}), kind: data.ErrShape, says: "loss among them"},
		"half":        {runs: named(six[:4], []float32{1, 2, 3, 0.5}), kind: data.ErrShape, says: "without start and end"},
		"zero":        {runs: named(three, []float32{1, 2, 3}, []float32{1, 0, 3}), kind: method.ErrInput, says: "row 2: tokens is 0"},
		"no schedule": {runs: named(six, []float32{1, 2, 3, 0.5, 0.8, 0.2}), kind: method.ErrInput, says: "row 1: a sparsity of 0.5 from 0.8"},
		"backwards":   {runs: trace, kind: method.ErrInput, says: `run "a" was at 2 tokens`},
		"few":         {runs: named(three, []float32{1, 2, 3}, []float32{2, 3, 3}), kind: method.ErrDegenerate, says: "2 runs of 2 sizes"},
		"window":      {c: weights.SparseLaw{Start: 0.8}, kind: method.ErrConfig, says: "not before"},
	} {
		if _, err := test.c.Apply(t.Context(), weights.SparseLawInput{Runs: test.runs}); !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
}
