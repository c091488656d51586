package drift_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleCUSUM() {
	// The reference jumps between -1 and 1; the stream leaves it at row 41.
	x := make([]float32, 60)
	for i := range x {
		x[i] = float32(2*(i%2) - 1)
	}
	reference, _ := data.NewTable(60, 1, x)
	m, err := drift.CUSUM{}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	s := m.Watch()
	_ = s.Observe(context.Background(), reference.Slice(0, 40))
	fmt.Println("rang:", s.Watched().AlarmRow > 0)
	shifted, _ := data.NewTable(64, 1, slices.Repeat([]float32{3, 1}, 32))
	_ = s.Observe(context.Background(), shifted)
	fmt.Println("rang:", s.Watched().AlarmRow > 40)
	// Output:
	// rang: false
	// rang: true
}

// plain is a stream's model whose reference has mean zero and spread one, so that values are their own standard scores.
func plain(t testing.TB) *data.Table {
	return mustTable(t, 400, 1, slices.Repeat([]float32{-1, 1}, 200))
}

// evidence lists a stream's evidence after every row.
func evidence(t testing.TB, fit fitter, stream *data.Table) (out []float64) {
	t.Helper()
	m, err := fit(t.Context(), plain(t))
	if err != nil {
		t.Fatal(err)
	}
	s := m.(method.Watcher).Watch()
	n, _ := stream.Dims()
	for i := range n {
		if err := s.Observe(t.Context(), stream.Slice(i, i+1)); err != nil {
			t.Fatal(err)
		}
		out = append(out, s.Watched().Evidence)
	}
	return out
}

// TestCUSUMAgainstSums: the evidence is the largest sum of what exceeds the allowance over all starts, in either direction.
func TestCUSUMAgainstSums(t *testing.T) {
	stream := normal(t, rand.New(rand.NewPCG(1, 1)), 200, 1, 0.2, 1)
	have := evidence(t, as(drift.CUSUM{Shift: 0.6}.Fit), stream)
	for end := range have {
		want := 0.0
		for _, sign := range []float64{1, -1} {
			sum := 0.0
			for start := end; start >= 0; start-- {
				sum += sign*float64(stream.X()[start]) - 0.3
				want = math.Max(want, sum)
			}
		}
		close(t, fmt.Sprint("row ", end+1), have[end], want, 1e-9)
	}
}

// TestCUSUMTellsWhenItBegan: the estimated start of a large shift is near its start.
func TestCUSUMTellsWhenItBegan(t *testing.T) {
	m, err := drift.CUSUM{}.Fit(t.Context(), plain(t))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(2, 2))
	s := m.Watch()
	for _, part := range []*data.Table{normal(t, r, 300, 1, 0, 1), normal(t, r, 100, 1, 2, 1)} {
		if err := s.Observe(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	if w := s.Watched(); w.AlarmRow < 301 || w.AlarmRow > 320 || w.ChangeRow < 290 || w.ChangeRow > 310 {
		t.Errorf("a shift from row 301 on: %+v", w)
	}
}

func TestStreamsRefuse(t *testing.T) {
	for name, fit := range watchers(0.05) {
		if name == "martingale" {
			continue // ranks need no spread
		}
		if _, err := fit(t.Context(), mustTable(t, 10, 1, make([]float32, 10))); err == nil {
			t.Errorf("%s: a reference without variation is accepted", name)
		}
		if _, err := fit(t.Context(), mustTable(t, 3, 1, []float32{1, 2, 3})); err == nil {
			t.Errorf("%s: a reference of three rows is accepted", name)
		}
	}
}
