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
)

func ExamplePageHinkley() {
	// The reference jumps between -1 and 1; the stream leaves it at row 41.
	x := make([]float32, 60)
	for i := range x {
		x[i] = float32(2*(i%2) - 1)
	}
	reference, _ := data.NewTable(60, 1, x)
	m, err := drift.PageHinkley{}.Fit(context.Background(), reference)
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

// TestPageHinkleyAgainstSums: the evidence is the climb of the summed deviations above their lowest point, zero included, or the fall.
func TestPageHinkleyAgainstSums(t *testing.T) {
	stream := normal(t, rand.New(rand.NewPCG(1, 1)), 150, 1, 0.7, 1)
	have := evidence(t, as(drift.PageHinkley{Shift: 0.4}.Fit), stream)
	var up, down []float64
	up, down = append(up, 0), append(down, 0)
	for end := range have {
		mean := 0.0
		for _, v := range stream.X()[:end+1] {
			mean += float64(v) / float64(end+1)
		}
		z := float64(stream.X()[end])
		up, down = append(up, up[end]+z-mean-0.2), append(down, down[end]+z-mean+0.2)
		want := math.Max(up[end+1]-slices.Min(up), slices.Max(down)-down[end+1])
		close(t, fmt.Sprint("row ", end+1), have[end], want, 1e-9)
	}
}

// TestPageHinkleyTakesTheStreamsOwnLevel: a stream at another level from its first row on is no change to it.
func TestPageHinkleyTakesTheStreamsOwnLevel(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	m, err := drift.PageHinkley{}.Fit(t.Context(), normal(t, r, 400, 1, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	s := m.Watch()
	if err := s.Observe(t.Context(), normal(t, r, 500, 1, 4, 1)); err != nil {
		t.Fatal(err)
	}
	if s.Watched().AlarmRow > 0 {
		t.Errorf("%+v", s.Watched())
	}
}
