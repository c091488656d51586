package probe_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleKNN() {
	train, _ := data.NewTable(5, 1, []float32{1, 2, 3, 8, 9})
	train, _ = train.WithClassNames([]string{"low", "low", "high", "high", "high"})
	m, err := probe.KNN{Neighbors: 3}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 1, []float32{0, 9})
	p, _ := m.Predict(query)
	for i := range 2 {
		fmt.Printf("%s %.2f, %s %.2f\n", p.Columns()[0], p.Row(i)[0], p.Columns()[1], p.Row(i)[1])
	}
	// Output:
	// high 0.34, low 0.66
	// high 0.97, low 0.03
}

func TestKNNAgainstSorting(t *testing.T) {
	train, query := toy(t, 1, 700, 5, 3, 0.6, 0.3), toy(t, 2, 1500, 5, 3)
	m, err := probe.KNN{Neighbors: 7, Smoothing: 0.5}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Predict(query)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := train.Labels()
	var want []float64
	for i := range 1500 {
		order, distance := make([]int, 700), make([]float64, 700)
		for r := range order {
			order[r] = r
			for j, v := range train.Row(r) {
				e := float64(v) - float64(query.Row(i)[j])
				distance[r] += e * e
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(distance[a], distance[b]) })
		votes := []float64{0.5, 0.5, 0.5}
		for _, r := range order[:7] {
			votes[labels[r]]++
		}
		for _, v := range votes {
			want = append(want, v/8.5)
		}
	}
	near(t, "shares", wide(p.X()), want, 1e-6)
}

func TestKNNBadRows(t *testing.T) {
	x, _ := data.NewTable(3, 1, []float32{1, 2, 9})
	if _, err := (probe.KNN{Neighbors: 1}).Fit(t.Context(), x); !errors.Is(err, data.ErrLabels) {
		t.Errorf("no labels: %v", err)
	}
	missing, _ := x.WithLabels([]int{0, 2, 2}, []string{"a", "none", "c"})
	m, err := probe.KNN{Neighbors: 1}.Fit(t.Context(), missing)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := m.Predict(x); err != nil || fmt.Sprint(p.Columns()) != "[a c]" || p.Row(0)[0] < 0.9 {
		t.Errorf("a class without rows: %v (%v)", p, err)
	}
	if _, err := (probe.KNN{}).Fit(t.Context(), missing); !errors.Is(err, data.ErrShape) {
		t.Errorf("five neighbours of three rows: %v", err)
	}
}

func BenchmarkKNNPredict(b *testing.B) {
	train := toy(b, 7, 2000, 64, 10)
	m, err := probe.KNN{}.Fit(b.Context(), train)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.Predict(train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
