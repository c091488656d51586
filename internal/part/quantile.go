package part

import "math"

// Quantile returns the q-quantile of finite x in any order, q in [0, 1]: between the two values beside position q·(n−1) of
// the sorted list, in proportion, as numpy and most others do. It looks at x three times and sorts nothing. x must not be empty.
func Quantile(x []float32, q float64) float64 {
	at := q * float64(len(x)-1)
	low := min(int(at), len(x)-1)
	a, rank := ranked(x, low)
	if share := at - float64(low); share > 0 {
		b := a
		if rank == low { // the last of the values that equal a
			b = math.Inf(1)
			for _, v := range x {
				if w := float64(v); w > a {
					b = min(b, w)
				}
			}
		}
		return a*(1-share) + b*share
	}
	return a
}

// ranked returns the value at place k of the sorted list, and the last place that has it.
func ranked(x []float32, k int) (value float64, last int) {
	var count [1 << 16]int
	for _, v := range x {
		count[rankKey(v)>>16]++
	}
	before := 0
	high := uint32(0)
	for before+count[high] <= k {
		before += count[high]
		high++
	}
	clear(count[:])
	for _, v := range x {
		if key := rankKey(v); key>>16 == high {
			count[key&0xffff]++
		}
	}
	low := uint32(0)
	for before+count[low] <= k {
		before += count[low]
		low++
	}
	bits := high<<16 | low
	if bits>>31 == 1 {
		bits ^= 1 << 31
	} else {
		bits = ^bits
	}
	return float64(math.Float32frombits(bits)), before + count[low] - 1
}

// rankKey maps floats to integers of the same order; both zeros are one.
func rankKey(v float32) uint32 {
	bits := math.Float32bits(v + 0) // −0 + 0 is +0
	if bits>>31 == 1 {
		return ^bits
	}
	return bits | 1<<31
}
