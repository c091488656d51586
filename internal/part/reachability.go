package part

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Reachability returns, for rows (N×D) and 1 ≤ k < N, each row's distance to its k-th nearest other row, the mean of its
// reachability distances to those k, and which they are, N×k: definitions 3 to 6 of Breunig et al. (2000).
func Reachability(rows []float32, n, d, k int) (far, reach []float64, neighbors []int32) {
	squared, index := make([]float64, n*(k+1)), make([]int32, n*(k+1))
	num.Nearest(squared, index, rows, n, rows, n, d, k+1)
	far, reach, neighbors = make([]float64, n), make([]float64, n), make([]int32, n*k)
	for i := range n { // a row is none of its own neighbours; among many copies it may not be listed, and any other goes
		list, distances := index[i*(k+1):(i+1)*(k+1)], squared[i*(k+1):(i+1)*(k+1)]
		own := k
		for s, o := range list {
			if int(o) == i {
				own = s
			}
		}
		copy(list[own:], list[own+1:])
		copy(distances[own:], distances[own+1:])
		copy(neighbors[i*k:(i+1)*k], list)
		far[i] = math.Sqrt(distances[k-1])
	}
	for i := range n {
		reach[i] = MeanReachability(far, squared[i*(k+1):i*(k+1)+k], neighbors[i*k:(i+1)*k])
	}
	return far, reach, neighbors
}

// MeanReachability is the mean of definition 5's distances from a place to its nearest rows, at the given squared distances.
func MeanReachability(far, squared []float64, neighbors []int32) float64 {
	sum := 0.0
	for s, o := range neighbors {
		sum += max(far[o], math.Sqrt(squared[s]))
	}
	return sum / float64(len(neighbors))
}

// OutlierFactors are definition 7's for the rows themselves: how much sparser each row's place is than those of its k
// nearest others. No reachability counts as less than 1e-10 of the mean one, so copies score 1 among themselves.
func OutlierFactors(rows []float32, n, d, k int) []float64 {
	_, reach, neighbors := Reachability(rows, n, d, k)
	floor := 0.0
	for _, v := range reach {
		floor += 1e-10 * v / float64(n)
	}
	out := make([]float64, n)
	for i := range out {
		if out[i] = 1; floor == 0 { // all rows are equal
			continue
		}
		density := 0.0
		for _, o := range neighbors[i*k : (i+1)*k] {
			density += 1 / max(reach[o], floor)
		}
		out[i] = max(reach[i], floor) * density / float64(k)
	}
	return out
}
