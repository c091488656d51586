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

func ExampleADWIN() {
	// The reference jumps between -1 and 1; the stream leaves it at row 41.
	x := make([]float32, 60)
	for i := range x {
		x[i] = float32(2*(i%2) - 1)
	}
	reference, _ := data.NewTable(60, 1, x)
	m, err := drift.ADWIN{}.Fit(context.Background(), reference)
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

// TestADWINAgainstAllCuts: with as many buckets as rows the evidence is that of the best of all cuts.
func TestADWINAgainstAllCuts(t *testing.T) {
	stream := normal(t, rand.New(rand.NewPCG(1, 1)), 320, 1, 0, 1)
	have := evidence(t, as(drift.ADWIN{Buckets: 100000, Level: 0.01, Horizon: 1000}.Fit), stream)
	for end := 32; end <= 320; end += 32 {
		var z []float64
		mean, square := 0.0, 0.0
		for _, v := range stream.X()[:end] {
			z = append(z, float64(v)/8)
			mean += float64(v) / 8 / float64(end)
		}
		for _, v := range z {
			square += (v - mean) * (v - mean) / float64(end)
		}
		want := 0.0
		for cut := 5; cut <= end-5; cut++ {
			a, b := 0.0, 0.0
			for i, v := range z {
				if i < cut {
					a += v / float64(cut)
				} else {
					b += v / float64(end-cut)
				}
			}
			m := 1 / (1/float64(cut) + 1/float64(end-cut))
			// The largest L for which the paper's bound stays below the gap, by halving.
			low, high := 0.0, 1e6
			for range 200 {
				if l := (low + high) / 2; math.Sqrt(2*square*l/m)+2*l/(3*m) <= math.Abs(a-b) {
					low = l
				} else {
					high = l
				}
			}
			want = math.Max(want, low)
		}
		close(t, fmt.Sprint("row ", end), have[end-1], want, 1e-6)
	}
}

// TestADWINWithFewBuckets stays close below the best of all cuts, and forgets what lies before a change.
func TestADWINWithFewBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	x := slices.Concat(normal(t, r, 512, 1, 0, 1).X(), normal(t, r, 512, 1, 1.5, 1).X())
	m, err := drift.ADWIN{}.Fit(t.Context(), plain(t))
	if err != nil {
		t.Fatal(err)
	}
	s := m.Watch()
	if err := s.Observe(t.Context(), mustTable(t, 1024, 1, x)); err != nil {
		t.Fatal(err)
	}
	w := s.Watched()
	if w.AlarmRow < 513 || w.AlarmRow > 640 || w.ChangeRow < 480 || w.ChangeRow > 544 || w.Evidence >= w.Threshold {
		t.Errorf("a change at row 513 and none after: %+v", w)
	}
}
