package part

import (
	"math"
	"testing"
)

// TestTrigramsByHand: two texts of ten tokens together, "a b a b c" and "b a b c c", their probabilities worked out on paper. a, b, c are 0, 1, 2; 3
// never occurs.
func TestTrigramsByHand(t *testing.T) {
	m := NewTrigrams(4, [][]int32{{0, 1, 0, 1, 2}, {1, 0, 1, 2, 2}})
	// Distinct bigrams, the start as S: Sa ab ba bc Sb cc. Behind how many tokens stands each of a, b, c? a: S b; b: a S; c: b c. So 2/6 each.
	one := func(w int) float64 {
		if w == 3 {
			return 0.75 * 3 / 6 / 4
		}
		return (2-0.75)/6 + 0.75*3/6/4
	}
	// Distinct trigrams: SSa Sab aba bab abc SSb Sba bcc. Behind b: "ba" stands behind a and S, "bc" behind a: counts 2 and 1 of 3.
	behindB := func(w int) float64 {
		count := map[int]float64{0: 2, 2: 1}[w]
		return max(count-0.75, 0)/3 + 0.75*2/3*one(w)
	}
	// Behind a b: "aba" once, "abc" twice.
	behindAB := func(w int) float64 {
		count := map[int]float64{0: 1, 2: 2}[w]
		return max(count-0.75, 0)/3 + 0.75*2/3*behindB(w)
	}
	sum := 0.0
	for w := range 4 {
		got := m.probability(2, [3]int32{0, 1, int32(w)})
		if want := behindAB(w); math.Abs(got-want) > 1e-15 {
			t.Errorf("after a b, token %d: %g, by hand %g", w, got, want)
		}
		sum += got
	}
	if math.Abs(sum-1) > 1e-15 {
		t.Errorf("probabilities after a b add up to %g", sum)
	}
	// What was never seen falls back to shorter models: 3 3 then a.
	if got, want := m.probability(2, [3]int32{3, 3, 0}), one(0); math.Abs(got-want) > 1e-15 {
		t.Errorf("after 3 3: %g, by hand %g", got, want)
	}
	if got, want := m.NegativeLogLikelihood([]int32{3}), -math.Log(0.75*2/2*(0.75*2/2*one(3))); math.Abs(got-want) > 1e-12 {
		t.Errorf("a text of one unseen token: %g, by hand %g", got, want)
	}
}
