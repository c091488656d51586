package num

import (
	"math"
	"runtime"
	"sync"
)

// Parallel calls f on consecutive ranges of 0..n, each of at least grain items, on up to GOMAXPROCS goroutines.
// f must not let a result depend on how the ranges are cut.
func Parallel(n, grain int, f func(lo, hi int)) {
	workers := min(runtime.GOMAXPROCS(0), (n+grain-1)/max(grain, 1))
	if workers <= 1 {
		if n > 0 {
			f(0, n)
		}
		return
	}
	busy.Add(int64(workers)) // kernels called by f find the machine taken
	defer dismiss(workers)
	var wg sync.WaitGroup
	step := (n + workers - 1) / workers
	for lo := 0; lo < n; lo += step {
		wg.Go(func() { f(lo, min(lo+step, n)) })
	}
	wg.Wait()
}

// LogSumExp returns log Σ exp(x), the maximum subtracted first. An empty x gives −Inf.
func LogSumExp[T Float](x []T) float64 {
	if len(x) == 0 {
		return math.Inf(-1)
	}
	top := float64(x[0])
	for _, v := range x[1:] {
		top = max(top, float64(v))
	}
	if math.IsInf(top, 0) {
		return top
	}
	sum := 0.0
	switch x := any(x).(type) {
	case []float64:
		sum = active.vector.expSumWide(x, top)
	case []float32:
		w, wide := scratch[float64](256) // the exponentials are float64 all the same
		defer w.release()
		for len(x) > 0 {
			n := min(len(x), len(wide))
			for i, v := range x[:n] {
				wide[i] = float64(v)
			}
			sum += active.vector.expSumWide(wide[:n], top)
			x = x[n:]
		}
	}
	return top + math.Log(sum)
}

// Softmax writes exp(x/temperature)/Σ to dst, in float64 throughout. dst may be x.
func Softmax[T Float](dst, x []T, temperature float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	if wide, ok := any(x).([]float64); ok {
		if len(wide) == 0 {
			return
		}
		out := any(dst).([]float64)[:len(wide)]
		sum := active.vector.expWide(out, wide, top, 1/temperature)
		for i := range out {
			out[i] /= sum
		}
		return
	}
	s := 0.0
	for _, v := range x {
		s += math.Exp((float64(v) - top) / temperature)
	}
	for i, v := range x {
		dst[i] = T(math.Exp((float64(v)-top)/temperature) / s)
	}
}
