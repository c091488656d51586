package part

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestNonnegativeLogistic checks what makes a point the minimum of this convex objective: a zero derivative by every weight
// above zero and by the bias, and none below zero by a weight at zero.
func TestNonnegativeLogistic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const l, n1, n2 = 4, 300, 90
	draw := func(n int, shift ...float64) []float64 {
		x := make([]float64, 0, n*l)
		for range n {
			for j := range l {
				x = append(x, 100*float64(j)+math.Pow(10, float64(j-1))*(r.NormFloat64()+shift[j]))
			}
		}
		return x
	}
	first, second := draw(n1, 0, 0, 0, 0), draw(n2, 1, 0.5, -1, 0)
	for i := range n1 + n2 { // the last column does not vary
		if i < n1 {
			first[i*l+3] = 7
		} else {
			second[(i-n1)*l+3] = 7
		}
	}
	w, bias := NonnegativeLogistic(first, second, l)
	if w[0] <= 0 || w[1] <= 0 || w[2] != 0 || w[3] != 0 {
		t.Fatalf("weights %v: the first two columns point the right way, the third the wrong one, the fourth nowhere", w)
	}
	both := append(slices.Clone(first), second...)
	share := func(i int) float64 {
		if i < n1 {
			return 0.5 / n1
		}
		return 0.5 / n2
	}
	slope := make([]float64, l+1)
	center, spread := make([]float64, l), make([]float64, l)
	for i := range n1 + n2 {
		for j := range l {
			center[j] += share(i) * both[i*l+j]
		}
	}
	for i := range n1 + n2 {
		z := bias
		for j := range l {
			z += w[j] * both[i*l+j]
			spread[j] += share(i) * math.Pow(both[i*l+j]-center[j], 2)
		}
		wrong := 1 / (1 + math.Exp(-z))
		if i >= n1 {
			wrong--
		}
		for j := range l {
			slope[j] += share(i) * wrong * both[i*l+j]
		}
		slope[l] += share(i) * wrong
	}
	for j := range l {
		unit := math.Sqrt(spread[j])
		if unit == 0 {
			continue
		}
		got := (slope[j]-slope[l]*center[j])/unit + logisticPenalty*w[j]*unit
		// Steps end when the loss, known to 2^-52, no longer falls: a minimum is then found to the root of that.
		if w[j] > 0 && math.Abs(got) > 1e-7 || w[j] == 0 && got < -1e-7 {
			t.Errorf("derivative by weight %d = %g is %g", j, w[j], got)
		}
	}
	if math.Abs(slope[l]) > 1e-7 {
		t.Errorf("derivative by the bias is %g", slope[l])
	}
	// Rows that a line tells apart have a solution as well, and one that does.
	w, bias = NonnegativeLogistic([]float64{1, 2, 3}, []float64{1e6, 1e7}, 1)
	if !(bias+3*w[0] < 0 && bias+1e6*w[0] > 0) || math.IsInf(w[0], 0) {
		t.Errorf("separable: weight %g, bias %g", w[0], bias)
	}
}
