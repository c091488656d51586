package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleBatchStatistics() {
	reference, _ := data.NewTable(4, 1, []float32{-1, 1, -1, 1})
	in, _ := data.NewTable(4, 1, []float32{8, 12, 8, 12}) // the same, twice as wide and moved by ten
	out, err := continual.BatchStatistics{Rows: 1}.Apply(context.Background(), continual.BatchStatisticsInput{In: in, Reference: reference})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", out.X())
	// Output:
	// [0.00 2.17 0.00 2.17]
}

// TestBatchStatisticsLimits: a reference that counts for everything leaves the batch as it is; one that counts for little gives it the
// reference's mean and deviation.
func TestBatchStatisticsLimits(t *testing.T) {
	in, reference := rows(t, 1, 5000, 3, 2), rows(t, 2, 200, 3, 1)
	apply := func(rows int) *data.Table {
		out, err := continual.BatchStatistics{Rows: rows}.Apply(t.Context(), continual.BatchStatisticsInput{In: in, Reference: reference})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for i, v := range apply(1e9).X() {
		if math.Abs(float64(v-in.X()[i])) > 1e-4 {
			t.Fatalf("value %d: %v became %v", i, in.X()[i], v)
		}
	}
	stats := func(t *data.Table, j int) (mean, square float64) {
		n, _ := t.Dims()
		for i := range n {
			mean += float64(t.Row(i)[j]) / float64(n)
		}
		for i := range n {
			e := float64(t.Row(i)[j]) - mean
			square += e * e / float64(n)
		}
		return mean, square
	}
	out := apply(1)
	for j := range 3 {
		m, s := stats(out, j)
		wantM, wantS := stats(reference, j)
		if math.Abs(m-wantM) > 1e-2 || math.Abs(s/wantS-1) > 1e-2 {
			t.Errorf("column %d: mean %.4f and variance %.4f, want %.4f and %.4f", j, m, s, wantM, wantS)
		}
	}
	if _, err := (continual.BatchStatistics{}).Apply(t.Context(), continual.BatchStatisticsInput{In: in, Reference: rows(t, 1, 9, 4, 1)}); !errors.Is(err, data.ErrShape) {
		t.Errorf("another width: %v", err)
	}
}
