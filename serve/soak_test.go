package serve

import (
	"context"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/serve/history"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

// TestSoak has clients infer over both protocols, teach, correct, watch events and read metrics and the history for a while (3 seconds, or what
// GIMBAL_SOAK says, such as 30m): memory stays as it is once all caches are warm, and nothing is left running.
func TestSoak(t *testing.T) {
	length := 3 * time.Second
	if text := os.Getenv("GIMBAL_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	h, err := history.Open(t.Context(), filepath.Join(t.TempDir(), "history.sqlite"), history.Config{Keep: 500, Queue: 500})
	if err != nil {
		t.Fatal(err)
	}
	x := start(t, Options{Models: []string{saveGuard(t, filepath.Join(t.TempDir(), "g.gimbal"), fitGuard(t, 0, 3))}, State: t.TempDir(), History: h})
	stop := make(chan struct{})
	var clients sync.WaitGroup
	repeat := func(pause time.Duration, f func(i uint64)) {
		clients.Go(func() {
			for i := uint64(0); ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(pause):
					f(i)
				}
			}
		})
	}
	repeat(time.Millisecond, func(i uint64) {
		in := rows(i, 1+int(i%3), 3, "a", "b")
		values := make([]any, len(in.X()))
		for j, v := range in.X() {
			values[j] = v
		}
		n, _ := in.Dims()
		if status, body := x.post(t, "/v2/models/g/infer", inferRequest{Inputs: []inferTensor{{Name: "x", Shape: []int64{int64(n), 3}, Datatype: "FP32", Data: values}}}, nil); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	})
	repeat(time.Millisecond, func(i uint64) {
		x.infer(t, "g", oip.Request{Inputs: []oip.Tensor{input(rows(1<<40|i, 2, 3, "a", "b"))}})
	})
	keeper := func() keeper {
		m, err := x.model("g", "")
		if err != nil {
			t.Fatal(err)
		}
		return m.keeper
	}()
	change := func(in *data.Table) { // a row is taught and taken back, so that the guard's own size stays
		if err := keeper.Learn(context.Background(), in, true); err != nil {
			t.Error(err)
		}
		if err := keeper.Forget(context.Background(), in); err != nil {
			t.Error(err)
		}
	}
	repeat(50*time.Millisecond, func(i uint64) { change(rows(1<<41|i, 1, 3, "a")) })
	repeat(100*time.Millisecond, func(i uint64) {
		for _, path := range []string{"/metrics", "/v1/models", "/v1/models/g/decisions?order=unfamiliar", "/v1/models/g/p-values?hours=1", "/v1/models/g/alarms", "/v1/nothing"} {
			x.call(t, "GET", path, "", nil)
		}
	})
	repeat(100*time.Millisecond, func(i uint64) { // who watches goes away again
		ctx, end := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer end()
		r, err := http.NewRequestWithContext(ctx, "GET", x.url+"/v1/events", nil)
		if err != nil {
			t.Error(err)
			return
		}
		if a, err := http.DefaultClient.Do(r); err == nil {
			_, _ = a.Body.Read(make([]byte, 10_000))
			a.Body.Close()
		}
	})
	leastHeap := func(over time.Duration) float64 { // of some readings: what is not just under way
		least := math.Inf(1)
		for range 10 {
			time.Sleep(over / 10)
			runtime.GC()
			runtime.GC() // what pools held goes with the second
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			least = min(least, float64(m.HeapAlloc))
		}
		return least
	}
	time.Sleep(length / 3)
	running := runtime.NumGoroutine()
	early, late := leastHeap(length/3), leastHeap(length/3)
	close(stop)
	clients.Wait()
	status := keeper.Status()
	t.Logf("%d rows in %s, %d changes; heap at least %.3f MB in the second third, %.3f MB in the last, %d goroutines", status.Rows, length, status.Generation, early/1e6, late/1e6, running)
	if late > 1.05*early+2e5 { // 0.2 MB: caches that are not yet full, and what is always under way
		t.Errorf("the heap grew from %.2f MB to %.2f MB", early/1e6, late/1e6)
	}
	if status.Generation == 0 || status.Rows < 100 {
		t.Errorf("next to nothing happened: %+v", status)
	}
	x.conn.Close()
	http.DefaultClient.CloseIdleConnections()
	if err := x.stop(); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	var left string
	for range 200 { // goroutines end a moment after what they served
		stacks := make([]byte, 1<<20)
		left = string(stacks[:runtime.Stack(stacks, true)])
		if !slices.ContainsFunc([]string{"serve.(*Server)", "merge.(*Queue", "live.(*Guard)", "history.(*History)"}, func(name string) bool { return strings.Contains(left, name) }) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("goroutines are left:\n%s", left)
}
