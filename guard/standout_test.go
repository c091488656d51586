package guard_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/guard"
)

// Of a row beside one class, the column that was moved stands out, by the distance that was put in; a column that never changed
// is bounded; without classes the mean of all rows counts.
func TestStandOut(t *testing.T) {
	// Class a at 0, b at 100; within a class column 0 deviates by 1, column 1 by 2, column 2 is always 7.
	r := rand.New(rand.NewPCG(1, 1))
	const n = 4000
	x, names := make([]float32, 0, 3*n), make([]string, 0, n)
	for i := range n {
		centre := float32(0)
		name := "a"
		if i%2 == 1 {
			centre, name = 100, "b"
		}
		x = append(x, centre+float32(r.NormFloat64()), centre+float32(2*r.NormFloat64()), 7)
		names = append(names, name)
	}
	table, err := data.NewTable(n, 3, x)
	if err != nil {
		t.Fatal(err)
	}
	labelled, err := table.WithClassNames(names)
	if err != nil {
		t.Fatal(err)
	}
	rows := func(v ...float32) *data.Table {
		r, err := data.NewTable(len(v)/3, 3, v)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	g, err := guard.Fit(t.Context(), detect.Methods(), guard.Config{Alpha: 0.1}, labelled)
	if err != nil {
		t.Fatal(err)
	}
	out, err := g.StandOut(rows(103, 99, 7, 1, 2, 8), 2)
	if err != nil {
		t.Fatal(err)
	}
	first := out[0][0]
	if len(out) != 2 || len(out[0]) != 2 || first.Column != 0 || first.Value != 103 || math.Abs(first.Usual-100) > 0.3 || math.Abs(first.Deviations-3) > 0.4 {
		t.Errorf("a row near b, moved by 3 in column 0: %+v", out[0])
	}
	if out[1][0].Column != 2 || out[1][0].Deviations != 1e6 || out[1][0].Usual != 7 {
		t.Errorf("a column that never changed: %+v", out[1])
	}
	if _, err := g.StandOut(table.Slice(0, 1), 9); err != nil {
		t.Error(err)
	}
	if _, err := g.StandOut(must(data.NewTable(1, 2, []float32{1, 2})), 2); err == nil {
		t.Error("rows of another width pass")
	}
	plain, err := guard.Fit(t.Context(), detect.Methods(), guard.Config{Alpha: 0.1}, table)
	if err != nil {
		t.Fatal(err)
	}
	all, err := plain.StandOut(rows(50, 210, 7), 1)
	if err != nil || all[0][0].Column != 1 || math.Abs(all[0][0].Usual-50) > 6 || math.Abs(all[0][0].Deviations-3.2) > 0.3 {
		t.Errorf("without classes: %+v, %v", all, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
