package drift_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func ExampleMMD() {
	// Rows that lie elsewhere.
	reference, _ := data.NewTable(8, 1, []float32{1, 2, 3, 4, 5, 6, 7, 8})
	window, _ := data.NewTable(6, 1, []float32{11, 12, 13, 14, 15, 16})
	m, err := drift.MMD{Bandwidth: 2}.Fit(context.Background(), reference)
	if err != nil {
		panic(err)
	}
	c, _ := m.Test(context.Background(), window)
	fmt.Printf("%s %.3f, p = %.3f, drift: %v\n", c.Name, c.Statistic, c.PValue, c.Drift)
	// Output: mmd2 1.090, p = 0.002, drift: true
}

// TestMMDAgainstDoubleSum: the blocks give what the definition gives, also over more rows than a block holds.
func TestMMDAgainstDoubleSum(t *testing.T) {
	for _, c := range []struct{ n, m, d int }{{7, 5, 3}, {3, 1, 2}, {40, 40, 5}, {500, 300, 2}} {
		r := rand.New(rand.NewPCG(1, uint64(c.n)))
		reference, window := normal(t, r, c.n, c.d, 5, 1), normal(t, r, c.m, c.d, 5.5, 1)
		a, b := rowsOf(reference), rowsOf(window)
		k := func(squared float64) float64 { return math.Exp(-squared / (2 * 1.5 * 1.5)) }
		want := meanKernel(a, a, k) + meanKernel(b, b, k) - 2*meanKernel(a, b, k)
		have := compare(t, as(drift.MMD{Bandwidth: 1.5, Permutations: 19}.Fit), reference, window)
		close(t, fmt.Sprintf("%d and %d rows", c.n, c.m), have.Statistic, want, 1e-12) // sums of up to 10⁶ terms below one
	}
}

// TestMMDLargePools takes products in float32, which may cost seven digits of a kernel value and nothing else.
func TestMMDLargePools(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	reference, window := normal(t, r, 1400, 1024, 3, 1), normal(t, r, 700, 1024, 3.03, 1)
	a, b := rowsOf(reference), rowsOf(window)
	have := compare(t, as(drift.MMD{Bandwidth: 40, Permutations: 19}.Fit), reference, window)
	k := func(squared float64) float64 { return math.Exp(-squared / (2 * 40 * 40)) }
	if !slow() {
		a, b = a[:0], b[:0]
	}
	if len(a) > 0 {
		close(t, "mmd2", have.Statistic, meanKernel(a, a, k)+meanKernel(b, b, k)-2*meanKernel(a, b, k), 1e-6)
	}
	if !have.Drift {
		t.Errorf("p = %v", have.PValue)
	}
}

// TestMMDExactPValue: with many relabellings the p-value is that of all of them.
func TestMMDExactPValue(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 3 {
		reference, window := normal(t, r, 5, 2, 0, 1), normal(t, r, 4, 2, 0.7, 1)
		k := func(squared float64) float64 { return math.Exp(-squared / 2) }
		want := enumerated(rowsOf(reference), rowsOf(window), func(a, b [][]float64) float64 {
			return meanKernel(a, a, k) + meanKernel(b, b, k) - 2*meanKernel(a, b, k)
		})
		have := compare(t, as(drift.MMD{Bandwidth: 1, Permutations: 20000}.Fit), reference, window)
		close(t, "p-value", have.PValue, want, 4*math.Sqrt(want*(1-want)/20000)+1e-4)
	}
}

// TestMMDMemory: the kernel's matrix, 8,000² values, is never held.
func TestMMDMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	reference, window := normal(t, r, 4000, 8, 0, 1), normal(t, r, 4000, 8, 0, 1)
	m, err := drift.MMD{Permutations: 99}.Fit(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := m.Test(t.Context(), window); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// Pools of scratch memory are emptied at random under the race detector; without it 20 MiB do.
	if used := after.TotalAlloc - before.TotalAlloc; used > 128<<20 {
		t.Errorf("%d MiB were allocated in all; the matrix would be 256", used>>20)
	}
}

// TestMMDHuge is the size that must fit into a gibibyte: GIMBAL_MMD_ROWS=100000 rows a side of 512 columns, 500 permutations.
func TestMMDHuge(t *testing.T) {
	var n int
	if _, err := fmt.Sscan(os.Getenv("GIMBAL_MMD_ROWS"), &n); err != nil {
		t.Skip("GIMBAL_MMD_ROWS is not set: it takes from a minute to half an hour")
	}
	r := rand.New(rand.NewPCG(5, 5))
	reference, window := normal(t, r, n, 512, 0, 1), normal(t, r, n, 512, 0.001, 1)
	start := time.Now()
	c := compare(t, as(drift.MMD{Permutations: 500}.Fit), reference, window)
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	t.Logf("%d + %d rows: p = %v in %v; %d MiB from the system", n, n, c.PValue, time.Since(start), s.Sys>>20)
	if s.Sys > 1<<30 {
		t.Errorf("%d MiB", s.Sys>>20)
	}
}

func TestMMDRefusesLevelOutOfReach(t *testing.T) {
	if _, err := (drift.MMD{Level: 0.001}).Fit(t.Context(), mustTable(t, 1, 1, []float32{0})); err == nil {
		t.Error("499 permutations cannot reach a level of 0.001")
	}
}

func BenchmarkMMD(b *testing.B) {
	r := rand.New(rand.NewPCG(6, 6))
	reference, window := normal(b, r, 1000, 64, 0, 1), normal(b, r, 1000, 64, 0, 1)
	for b.Loop() {
		compare(b, as(drift.MMD{}.Fit), reference, window)
	}
	b.ReportMetric(2000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
