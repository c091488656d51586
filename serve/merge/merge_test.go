package merge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
)

// Each of many requests at once gets the sums of its own rows, whatever width the others have and whoever among them panics.
func TestEachGetsItsOwn(t *testing.T) {
	var calls, wanted atomic.Int64
	q := &Queue[[]float32, uint8]{
		Answer: func(_ context.Context, in *data.Table, what uint8) ([]float32, error) {
			calls.Add(1)
			time.Sleep(time.Millisecond) // so that others come meanwhile
			wanted.Store(wanted.Load() | int64(what))
			n, d := in.Dims()
			sums := make([]float32, n)
			for i, v := range in.X() {
				if v < 0 {
					panic("a negative number")
				}
				sums[i/d] += v
			}
			return sums, nil
		},
		Cut: func(a *[]float32, lo, hi int) []float32 { return (*a)[lo:hi] },
	}
	const users, rounds = 24, 10
	var all sync.WaitGroup
	for u := range users {
		all.Go(func() {
			n, d := 1+u%3, 2+u%2
			if u == 7 {
				n = 200 // alone
			}
			x := make([]float32, n*d)
			for i := range x {
				x[i] = float32(u + i)
			}
			if u%8 == 5 {
				x[0] = -1
			}
			in, err := data.NewTable(n, d, x)
			if err != nil {
				t.Error(err)
				return
			}
			for range rounds {
				sums, err := q.Do(in, 1<<(u%4))
				if u%8 == 5 {
					if !errors.Is(err, ErrInternal) {
						t.Errorf("a panic is %v", err)
					}
					continue
				}
				if err != nil || len(sums) != n {
					t.Errorf("%d sums, %v", len(sums), err)
					return
				}
				for i, have := range sums {
					var want float32
					for _, v := range x[i*d : i*d+d] {
						want += v
					}
					if have != want {
						t.Error(fmt.Errorf("user %d, row %d: %g, want %g", u, i, have, want))
					}
				}
			}
		})
	}
	all.Wait()
	if q.busy != 0 || q.waiting != nil {
		t.Errorf("%d busy, %d waiting at the end", q.busy, len(q.waiting))
	}
	if n := calls.Load(); n >= users*rounds || wanted.Load() != 15 {
		t.Errorf("%d calls for %d requests; wanted %b", n, users*rounds, wanted.Load())
	}
}
