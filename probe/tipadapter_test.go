package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleTipAdapter() {
	// The names alone would say bee; the labelled row of an ant that looks like the query says ant.
	names, _ := data.NewTable(2, 2, []float32{1, 0, 0, 1})
	names, _ = names.WithClassNames([]string{"ant", "bee"})
	rows, _ := data.NewTable(1, 2, []float32{3, 4})
	rows, _ = rows.WithClassNames([]string{"ant"})
	query, _ := data.NewTable(1, 2, []float32{3, 4})
	for _, weight := range []float64{0.1, 10} {
		m, err := probe.TipAdapter{Weight: weight, Temperature: 0.1}.Fit(context.Background(), probe.TipAdapterInput{Train: rows, Names: names})
		if err != nil {
			panic(err)
		}
		p, _ := m.Predict(query)
		fmt.Println(p.Columns()[0], p.Row(0)[0] > 0.5)
	}
	// Output:
	// ant false
	// ant true
}

// TestTipAdapterVotes: its logits are those of the names plus the votes, written down plainly.
func TestTipAdapterVotes(t *testing.T) {
	names, train, query := toy(t, 1, 6, 4, 3), toy(t, 2, 12, 4, 3), toy(t, 3, 20, 4, 3)
	zero, err := probe.ZeroShot{}.Fit(t.Context(), names)
	if err != nil {
		t.Fatal(err)
	}
	_, base := asked(t, zero, query)
	m, err := probe.TipAdapter{Weight: 2, Sharpness: 3}.Fit(t.Context(), probe.TipAdapterInput{Train: train, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	_, logits := asked(t, m, query)
	cosine := func(a, b []float32) float64 {
		dot, x, y := 0.0, 0.0, 0.0
		for j := range a {
			dot, x, y = dot+float64(a[j])*float64(b[j]), x+float64(a[j])*float64(a[j]), y+float64(b[j])*float64(b[j])
		}
		return dot / math.Sqrt(x*y)
	}
	for i := range 20 {
		want := append([]float64(nil), base[3*i:3*i+3]...)
		for j := range 12 {
			want[train.ClassName(j)[0]-'0'] += 2 * math.Exp(-3*(1-cosine(query.Row(i), train.Row(j))))
		}
		near(t, "logits", logits[3*i:3*i+3], want, 1e-5) // both are rounded to float32
	}
}

func TestTipAdapterRefuses(t *testing.T) {
	train, names := toy(t, 1, 12, 4, 3), toy(t, 2, 12, 4, 2)
	if _, err := (probe.TipAdapter{}).Fit(t.Context(), probe.TipAdapterInput{Train: train, Names: names}); !errors.Is(err, data.ErrLabels) {
		t.Errorf("a class without a name: %v", err)
	}
	if _, err := (probe.TipAdapter{}).Fit(t.Context(), probe.TipAdapterInput{Train: train, Names: toy(t, 2, 12, 5, 3)}); !errors.Is(err, data.ErrShape) {
		t.Errorf("names of another width: %v", err)
	}
}
