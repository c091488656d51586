package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

// fitOnLogits fits a detector on logits, whichever it is.
func fitOnLogits[M method.Scorer](t testing.TB, fit func(context.Context, detect.LogitsInput) (M, error), in *data.Table) M {
	t.Helper()
	m, err := fit(t.Context(), detect.LogitsInput{Logits: in})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// within compares numbers by their relative error; a number below floor counts as zero.
func within(t *testing.T, what string, have, want []float64, relative, floor float64) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(have), len(want))
	}
	for i, w := range want {
		if !(math.Abs(have[i]-w) <= relative*math.Abs(w)+floor) {
			t.Fatalf("%s: value %d is %.15g, want %.15g", what, i+1, have[i], w)
		}
	}
}

// plainSoftmax divides exponentials by their sum as the formula says, in numbers of 200 bits, so that nothing is lost to
// cancellation or range for logits up to a few hundred. It returns p and 1 − p.
func plainSoftmax(row []float64, temperature float64) (p, rest []float64) {
	float := func(x float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(x) }
	sum := float(0)
	e := make([]*big.Float, len(row))
	for c, v := range row {
		e[c] = float(math.Exp(v / temperature))
		sum.Add(sum, e[c])
	}
	for _, x := range e {
		q := new(big.Float).Quo(x, sum)
		a, _ := q.Float64()
		b, _ := new(big.Float).Sub(float(1), q).Float64()
		p, rest = append(p, a), append(rest, b)
	}
	return p, rest
}

// wide is a row in float64.
func wide(row []float32) []float64 {
	out := make([]float64, len(row))
	for j, v := range row {
		out[j] = float64(v)
	}
	return out
}

// onLogits fits each detector that takes logits alone.
var onLogits = map[string]func(context.Context, detect.LogitsInput) (method.Scorer, error){
	"energy":     scorer(detect.Energy{}.Fit),
	"gen":        scorer(detect.GEN{}.Fit),
	"klmatching": scorer(detect.KLMatching{}.Fit),
	"maxlogit":   scorer(detect.MaxLogit{}.Fit),
	"maxsoftmax": scorer(detect.MaxSoftmax{}.Fit),
	"odin":       scorer(detect.ODIN{}.Fit),
}

func scorer[D any, M method.Scorer](fit func(context.Context, D) (M, error)) func(context.Context, D) (method.Scorer, error) {
	return func(ctx context.Context, in D) (method.Scorer, error) {
		m, err := fit(ctx, in)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
}

// A class that is masked out, by float32's lowest value, counts for nothing: scores are those without it.
func TestDetectorsOnLogitsMaskedClasses(t *testing.T) {
	const n, k = 60, 5
	in := logitRows(t, 11, n, k)
	x := make([]float32, 0, n*(k+1))
	for i := range n {
		x = append(append(x, in.Row(i)...), -math.MaxFloat32)
	}
	masked := mustTable(t, n, k+1, x)
	for name, fit := range onLogits {
		want := scores(t, fitOnLogits(t, fit, in), in)
		within(t, name, scores(t, fitOnLogits(t, fit, masked), masked), want, 1e-14, 0)
	}
	// Infinities themselves never come this far: the table refuses them, with their place.
	x[k] = float32(math.Inf(-1))
	if _, err := data.NewTable(n, k+1, x); !errors.Is(err, data.ErrFinite) || !strings.Contains(err.Error(), "row 1, column 6") {
		t.Errorf("-Inf: %v", err)
	}
	x[k] = float32(math.Inf(1))
	if _, err := data.NewTable(n, k+1, x); !errors.Is(err, data.ErrFinite) {
		t.Errorf("+Inf: %v", err)
	}
}

func TestDetectorsOnLogitsSayThatScoresCollapse(t *testing.T) {
	for _, c := range []struct {
		name string
		x    []float32 // three rows, repeated
	}{
		{"maxlogit", []float32{1, 0, 1, -1, -5, 1}},
		{"odin", []float32{1, 2, 3, 4, 5, 6}},
		{"gen", []float32{1, 2, 3, 4, 5, 6}},
		{"klmatching", []float32{1, 2, 3, 4, 5, 6}},
	} {
		in := mustTable(t, 12, 2, slices.Repeat(c.x, 4))
		_, err := onLogits[c.name](t.Context(), detect.LogitsInput{Logits: in})
		if !errors.Is(err, method.ErrDegenerate) || !strings.Contains(fmt.Sprint(err), "constant") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// Log probabilities have an energy of zero, but for what float32 has rounded.
	in := logitRows(t, 23, 40, 5)
	x := make([]float32, 0, 200)
	for i := range 40 {
		p, _ := plainSoftmax(wide(in.Row(i)), 1)
		for _, q := range p {
			x = append(x, float32(math.Log(q)))
		}
	}
	if _, err := onLogits["energy"](t.Context(), detect.LogitsInput{Logits: mustTable(t, 40, 5, x)}); !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), "log probabilities") {
		t.Errorf("energy of log probabilities: %v", err)
	}
	for _, name := range []string{"maxsoftmax", "gen", "odin", "klmatching", "maxlogit"} {
		if _, err := onLogits[name](t.Context(), detect.LogitsInput{Logits: mustTable(t, 40, 5, x)}); err != nil {
			t.Errorf("%s of log probabilities: %v", name, err)
		}
	}
	// Rows that are all the same are no fault of the detector's, and few may score the same by chance.
	for name, fit := range onLogits {
		if _, err := fit(t.Context(), detect.LogitsInput{Logits: mustTable(t, 12, 2, slices.Repeat([]float32{1, 2}, 12))}); err != nil {
			t.Errorf("%s on equal rows: %v", name, err)
		}
		if _, err := fit(t.Context(), detect.LogitsInput{Logits: mustTable(t, 2, 2, []float32{1, 2, 2, 1})}); err != nil {
			t.Errorf("%s on two rows: %v", name, err)
		}
	}
}
