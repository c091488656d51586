package part

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// best tries all permutations.
func best(gain []float64, n int) float64 {
	top := math.Inf(-1)
	var try func(i int, used []bool, sum float64)
	try = func(i int, used []bool, sum float64) {
		if i == n {
			top = max(top, sum)
			return
		}
		for j := range n {
			if !used[j] {
				used[j] = true
				try(i+1, used, sum+gain[i*n+j])
				used[j] = false
			}
		}
	}
	try(0, make([]bool, n), 0)
	return top
}

func TestAssignAgainstAllPermutations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	for trial := range 300 {
		n := r.IntN(7)
		gain := make([]float64, n*n)
		for i := range gain {
			gain[i] = r.NormFloat64()
			if trial%3 == 0 {
				gain[i] = float64(r.IntN(3))
			}
		}
		column := Assign(gain, n)
		sum := 0.0
		for i, j := range column {
			sum += gain[i*n+j]
		}
		if !slices.Equal(slices.Sorted(slices.Values(column)), identity(n)) || n > 0 && math.Abs(sum-best(gain, n)) > 1e-12 {
			t.Fatalf("%v: columns %v, gain %v, best %v", gain, column, sum, best(gain, n))
		}
	}
}

func identity(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	return order
}
