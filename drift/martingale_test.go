package drift_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleMartingale() {
	// The reference jumps between -1 and 1; the stream leaves it at row 41.
	x := make([]float32, 60)
	for i := range x {
		x[i] = float32(2*(i%2) - 1)
	}
	reference, _ := data.NewTable(60, 1, x)
	m, err := drift.Martingale{}.Fit(context.Background(), reference)
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

// TestMartingaleSeesSpread: a change that moves no mean.
func TestMartingaleSeesSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	m, err := drift.Martingale{}.Fit(t.Context(), normal(t, r, 400, 2, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	s := m.Watch()
	for _, part := range []*data.Table{normal(t, r, 300, 2, 0, 1), normal(t, r, 300, 2, 0, 2)} {
		if err := s.Observe(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	if w := s.Watched(); w.AlarmRow < 301 || w.AlarmRow > 450 {
		t.Errorf("the spread doubles at row 301: %+v", w)
	}
}

// TestMartingaleSmallReference: even a reference of three rows rings no more often than it says.
func TestMartingaleSmallReference(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const trials = 100
	rang := 0
	for range trials {
		m, err := drift.Martingale{Level: 0.2}.Fit(t.Context(), normal(t, r, 3, 2, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		s := m.Watch()
		if err := s.Observe(t.Context(), normal(t, r, 300, 2, 0, 1)); err != nil {
			t.Fatal(err)
		}
		if s.Watched().AlarmRow > 0 {
			rang++
		}
	}
	if beyond(rang, trials, 0.2) {
		t.Errorf("%d of %d rang", rang, trials)
	}
}
