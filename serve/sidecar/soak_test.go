package sidecar

import (
	"io"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/serve/history"
	"github.com/gimbal-ml/gimbal/serve/live"
)

// heap is what is still in use after a collection.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what pools held goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// leastHeap is the least of some readings: what is not just under way.
func leastHeap(over time.Duration) float64 {
	least := math.Inf(1)
	for range 10 {
		time.Sleep(over / 10)
		least = min(least, heap())
	}
	return least
}

// TestSoak has clients ask and teach for a while (3 seconds, or what GIMBAL_SOAK says, such as 30m) through a sidecar that keeps its state and
// a history: memory stays as it is once all caches are warm, and nothing is left running.
func TestSoak(t *testing.T) {
	length := 3 * time.Second
	if text := os.Getenv("GIMBAL_SOAK"); text != "" {
		length = must(time.ParseDuration(text))
	}
	m := newModel(t)
	dir := t.TempDir()
	g := must(live.Open(filepath.Join(dir, "state"), detect.Methods(), trained(), live.Config{SnapshotBytes: 200_000}))
	h := must(history.Open(t.Context(), filepath.Join(dir, "h.db"), history.Config{Keep: 500, Queue: 500}))
	s := httptest.NewServer(must(New(Config{
		Upstream: m.URL,
		Judge: func(in *data.Table) ([]guard.Decision, error) {
			seen, err := g.Observe(in)
			return seen.Decisions, err
		},
		Width: width,
		Told:  h.Decisions,
	})))
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for k := range 4 {
		clients.Go(func() {
			for i := uint64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				time.Sleep(time.Millisecond) // a load that others can live beside
				in := rows(uint64(k)<<32|i, 1+int(i%3))
				body, length := encode(in, i%2 == 0)
				if a, text := post(t, s.URL+infer, body, length); a.Header.Get("Gimbal-Unscored") != "" || a.StatusCode != 200 {
					t.Errorf("%d %v: %.100s", a.StatusCode, a.Header, text)
					return
				}
				if k == 0 && i%20 == 0 { // a row is taught and taken back, so that the guard's own size stays
					if err := g.Learn(t.Context(), in, true); err != nil {
						t.Error(err)
					}
					if err := g.Forget(t.Context(), in); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	time.Sleep(length / 3)
	early, late := leastHeap(length/3), leastHeap(length/3)
	close(stop)
	clients.Wait()
	status := g.Status()
	t.Logf("%d rows in %s, %d changes; heap at least %.3f MB in the second third, %.3f MB in the last", status.Rows, length, status.Generation, early/1e6, late/1e6)
	if late > 1.05*early+2e5 { // 0.2 MB: caches that are not yet full, and what is always under way
		t.Errorf("the heap grew from %.2f MB to %.2f MB", early/1e6, late/1e6)
	}
	if status.Generation == 0 || status.Rows < 100 {
		t.Errorf("next to nothing happened: %+v", status)
	}
	s.CloseClientConnections()
	s.Close()
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	var left string
	for range 100 { // goroutines end a moment after what they served
		stacks := make([]byte, 1<<20)
		left = string(stacks[:runtime.Stack(stacks, true)])
		ours := slices.ContainsFunc([]string{"sidecar.(*Sidecar)", "merge.(*Queue", "live.(*Guard)", "history.(*History)"}, func(name string) bool { return strings.Contains(left, name) })
		if !ours {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("goroutines are left:\n%s", left)
}

// BenchmarkAdded measures what a sidecar adds to an inference of one row of 512 columns with 100 classes: medians of requests sent one after
// the other, to the model server and through the sidecar in turn.
func BenchmarkAdded(b *testing.B) {
	const d, classes = 512, 100
	table := func(n int, seed uint64) *data.Table {
		r := rows(seed, n*d/width+1)
		names := make([]string, n)
		for i := range names {
			names[i] = string(rune('A' + i%classes))
		}
		return must(must(data.NewTable(n, d, r.X()[:n*d])).WithClassNames(names))
	}
	g := must(guard.Fit(b.Context(), detect.Methods(), guard.Config{}, table(4000, 1)))
	m := newModel(b)
	s := start(b, Config{Upstream: m.URL, Judge: g.Decide, Width: d})
	for _, binary := range []bool{false, true} {
		name := "json"
		if binary {
			name = "binary"
		}
		b.Run(name, func(b *testing.B) {
			body, length := encode(table(1, 2), binary)
			var direct, through []time.Duration
			for b.Loop() {
				for url, to := range map[string]*[]time.Duration{m.URL: &direct, s.URL: &through} {
					begin := time.Now()
					a, _ := post(b, url+infer, body, length)
					io.Copy(io.Discard, a.Body)
					*to = append(*to, time.Since(begin))
				}
			}
			slices.Sort(direct)
			slices.Sort(through)
			b.ReportMetric(float64(direct[len(direct)/2].Microseconds()), "direct-µs")
			b.ReportMetric(float64(through[len(through)/2].Microseconds()), "through-µs")
			b.ReportMetric(float64((through[len(through)/2] - direct[len(direct)/2]).Microseconds()), "added-µs")
		})
	}
}
