package num

import (
	"time"
	"unsafe"
)

// Peak measures what Gemm's kernel reaches with all operands in the nearest cache, in floating-point operations a second
// on one thread: the ceiling that benchmarks are read against. It takes about 20 ms.
func Peak[T Float]() float64 {
	const k, rounds = 128, 100
	var zero T
	size := int(unsafe.Sizeof(zero))
	run := func(lanes, rows, vectors int, call func()) float64 {
		best := time.Hour
		for range 10 {
			start := time.Now()
			for range rounds {
				call()
			}
			best = min(best, time.Since(start))
		}
		return float64(2*rounds*k*rows*lanes*vectors) / best.Seconds()
	}
	a, b, c := make([]T, 16*k), make([]T, 32*k), make([]T, 16*32)
	if size == 4 {
		return runPeak(&active.f32, any(a).([]float32), any(b).([]float32), any(c).([]float32), k, run)
	}
	return runPeak(&active.f64, any(a).([]float64), any(b).([]float64), any(c).([]float64), k, run)
}

func runPeak[T Float](g *gemmPath[T], a, b, c []T, k int, run func(lanes, rows, vectors int, call func()) float64) float64 {
	rows, vectors := g.rows[0], len(g.kernel)
	kernel := g.kernel[vectors-1][rows]
	row, step := k, 1
	if g.columns {
		row, step = 1, rows
	}
	return run(g.lanes, rows, vectors, func() {
		kernel(k, &a[0], row, step, &b[0], g.width(), &c[0], g.width(), g.width(), 1, 0, uintptr(unsafe.Pointer(&b[0])))
	})
}
