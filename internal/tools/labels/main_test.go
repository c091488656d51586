package main

import (
	"math"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// TestDraw: as many rows of each class as the budget says, smaller draws in larger ones, none of them asked about.
func TestDraw(t *testing.T) {
	const n = 90
	x, labels := make([]float32, n), make([]int, n)
	for i := range n {
		x[i], labels[i] = float32(i), i%3
	}
	in, err := data.NewTable(n, 1, x)
	if err == nil {
		in, err = in.WithLabels(labels, []string{"a", "b", "c"})
	}
	if err != nil {
		t.Fatal(err)
	}
	train, test, err := draw(in, 1)
	if err != nil {
		t.Fatal(err)
	}
	if m, _ := test.Dims(); m != n/3 {
		t.Errorf("%d rows asked about, want a third of %d", m, n)
	}
	if len(train) < 4 || len(train) == len(budgets) {
		t.Fatalf("%d budgets of %d for 60 rows of 3 classes", len(train), len(budgets))
	}
	seen := map[float32]bool{}
	for i := range n / 3 {
		seen[test.Row(i)[0]] = true
	}
	before := map[float32]bool{}
	for b, part := range train {
		m, _ := part.Dims()
		if m != 3*budgets[b] {
			t.Errorf("%d rows for %d of 3 classes", m, budgets[b])
		}
		now := map[float32]bool{}
		for i := range m {
			v := part.Row(i)[0]
			now[v] = true
			if seen[v] {
				t.Errorf("row %g is learned and asked about", v)
			}
		}
		for v := range before {
			if !now[v] {
				t.Errorf("row %g of a smaller draw is not in the one of %d", v, budgets[b])
			}
		}
		before = now
	}
}

func TestWrite(t *testing.T) {
	of := func(values ...float64) [][]float64 {
		out := make([][]float64, len(budgets))
		for b := range out {
			out[b] = values
		}
		return out
	}
	var b strings.Builder
	if err := write(&b, []row{{"family/worse", of(0.5, 0.6, 0.55)}, {"family/best", of(0.9, 0.9, 0.91)}, {"family/near", of(0.91, 0.88, 0.9)}, {"family/silent", of(math.NaN(), 0.5, 0.5)}}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	for i, want := range []string{"| head | 1 |", "|---|---|", "| family/best | **90.3** |", "| family/near | **89.7** |", "| family/worse | 55.0 |", "| family/silent | – |"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d of\n%s: want %q", i+1, b.String(), want)
		}
	}
}
