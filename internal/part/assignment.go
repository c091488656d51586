package part

import "math"

// Assign returns for each of n rows a column of its own such that the gains of the pairs, gain n×n, add up to most: the linear
// assignment problem, by shortest augmenting paths in O(n³) (Jonker and Volgenant 1987). Of equally good ones the same is always
// found. gain must be finite.
func Assign(gain []float64, n int) []int {
	// Potentials of rows and columns keep reduced costs ≥ 0; rows enter one at a time. Number 0 stands for none.
	u, v := make([]float64, n+1), make([]float64, n+1)
	row := make([]int, n+1) // of each column
	way := make([]int, n+1)
	for i := 1; i <= n; i++ {
		row[0] = i
		at := 0
		least := make([]float64, n+1)
		used := make([]bool, n+1)
		for j := range least {
			least[j] = math.Inf(1)
		}
		for row[at] != 0 {
			used[at] = true
			r, next, step := row[at], 0, math.Inf(1)
			for j := 1; j <= n; j++ {
				if used[j] {
					continue
				}
				if cost := -gain[(r-1)*n+j-1] - u[r] - v[j]; cost < least[j] {
					least[j], way[j] = cost, at
				}
				if least[j] < step {
					step, next = least[j], j
				}
			}
			for j := range used {
				if used[j] {
					u[row[j]] += step
					v[j] -= step
				} else {
					least[j] -= step
				}
			}
			at = next
		}
		for at != 0 {
			row[at] = row[way[at]]
			at = way[at]
		}
	}
	column := make([]int, n)
	for j := 1; j <= n; j++ {
		column[row[j]-1] = j - 1
	}
	return column
}
