package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestAccuracyByHand(t *testing.T) {
	// 8 of 10, z = 1.96: center (0.8 + z²/20)/(1 + z²/10), the textbook's [0.490, 0.943].
	labels := []int{0, 1, 2, -1, 7, 0, 1, 2, 3, 4}
	predicted := []int{0, 1, 2, -1, 7, 0, 1, 2, 4, 3}
	e := must(t)(Accuracy(labels, predicted))
	near(t, "accuracy", e.Value, 0.8, 0)
	near(t, "low", e.Low, 0.4901624715, 1e-9)
	near(t, "high", e.High, 0.9433178485, 1e-9)
	if p := must(t)(Proportion(8, 10)); p != e {
		t.Errorf("Proportion gives %v, Accuracy %v", p, e)
	}
}

// TestWilsonCoverage sums the exact probability that the interval holds the rate: on average over rates it is the nominal one, and no end has zero width.
func TestWilsonCoverage(t *testing.T) {
	for _, n := range []int{5, 20, 100} {
		mean, least := 0.0, 1.0
		for i := 1; i < 200; i++ {
			rate := float64(i) / 200
			covered := 0.0
			for k := range n + 1 {
				if must(t)(Proportion(k, n)).Contains(rate) {
					covered += distuv.Binomial{N: float64(n), P: rate}.Prob(float64(k))
				}
			}
			mean, least = mean+covered/199, min(least, covered)
		}
		if mean < 0.94 || mean > 0.97 || least < 0.83 {
			t.Errorf("n = %d: coverage %.3f on average, %.3f at least", n, mean, least)
		}
		if e := must(t)(Proportion(n, n)); e.High != 1 || e.Low > 1-1/float64(n) {
			t.Errorf("%d of %d: %v", n, n, e)
		}
		if e := must(t)(Proportion(0, n)); e.Low != 0 || e.High < 1/float64(n) {
			t.Errorf("0 of %d: %v", n, e)
		}
	}
}

// TestMacroAveragesByHand: class 0 is all right; class 1 has one of two rows right, the other predicted as class 2, which no row has.
// Recalls 1 and 1/2 over the labelled classes: 3/4. F1: 1, 2/3 and 0 for the class that is only predicted: 5/9.
// Variants that would differ: F1 over labelled classes only 5/6; F1 of mean precision 2/3 and mean recall 1/2 is 4/7; plain accuracy 5/6.
func TestMacroAveragesByHand(t *testing.T) {
	labels, predicted := []int{5, 5, 5, 5, 9, 9}, []int{5, 5, 5, 5, 9, 11}
	near(t, "balanced accuracy", must(t)(BalancedAccuracy(labels, predicted)).Value, 0.75, 1e-15)
	near(t, "macro-F1", must(t)(MacroF1(labels, predicted)).Value, 5./9, 1e-15)
	near(t, "accuracy", must(t)(Accuracy(labels, predicted)).Value, 5./6, 1e-15)
}

// TestClassNumbersAreNames: renumbering the classes changes nothing but the order of a sum.
func TestClassNumbersAreNames(t *testing.T) {
	p, y := forecast(rand.New(rand.NewPCG(1, 3)), 80, 4, 1)
	hat := predictions(p, 4)
	names := []int{900, -1, 5, 1 << 30}
	rename := func(x []int) []int {
		out := make([]int, len(x))
		for i, v := range x {
			out[i] = names[v]
		}
		return out
	}
	for name, f := range map[string]func(a, b []int, how ...Interval) (Estimate, error){"accuracy": Accuracy, "balanced": BalancedAccuracy, "macro-F1": MacroF1} {
		a, b := must(t)(f(y, hat, Interval{Resamples: 100})), must(t)(f(rename(y), rename(hat), Interval{Resamples: 100}))
		near(t, name, a.Value, b.Value, 1e-14)
		near(t, name+" low", a.Low, b.Low, 1e-14)
		near(t, name+" high", a.High, b.High, 1e-14)
	}
}

// TestAllRight: the low end is the worst balanced accuracy under which all rows are right with probability 0.025. For two classes that maximum is found
// here by trying errors of the first class.
func TestAllRight(t *testing.T) {
	for _, sizes := range [][2]int{{30, 30}, {5, 300}, {1, 1}, {200, 20}, {10, 15}} {
		labels := slices.Concat(slices.Repeat([]int{0}, sizes[0]), slices.Repeat([]int{1}, sizes[1]))
		n0, n1 := float64(sizes[0]), float64(sizes[1])
		worst := 0.0
		const steps = 200000
		for i := range steps + 1 {
			q0 := float64(i) / steps * (1 - math.Pow(0.025, 1/n0))
			q1 := 1 - math.Pow(0.025/math.Pow(1-q0, n0), 1/n1)
			worst = max(worst, (q0+q1)/2)
		}
		for name, f := range map[string]func(a, b []int, how ...Interval) (Estimate, error){"balanced accuracy": BalancedAccuracy, "macro-F1": MacroF1} {
			e := must(t)(f(labels, labels, Interval{Resamples: 100}))
			near(t, name, e.Value, 1, 0)
			near(t, name+" low", e.Low, 1-worst, 1e-8)
		}
		wrong := make([]int, len(labels))
		for i, y := range labels {
			wrong[i] = 1 - y
		}
		near(t, "all wrong, high", must(t)(BalancedAccuracy(labels, wrong, Interval{Resamples: 100})).High, worst, 1e-8)
	}
}

// TestUnseenOverClasses: many equal classes are as one class of all rows; a class without rows is none.
func TestUnseenOverClasses(t *testing.T) {
	h, err := settle("test", nil)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "100 classes of 10 rows", h.unseenOverClasses(slices.Repeat([]int32{10}, 100)), 1-math.Pow(0.025, 1./1000), 1e-12)
	near(t, "an empty class", h.unseenOverClasses([]int32{0, 40, 0, 7}), h.unseenOverClasses([]int32{7, 40}), 0)
}

func TestConfusionMatrixByHand(t *testing.T) {
	m, err := ConfusionMatrix([]int{0, 0, 2, 2, 2, -1}, []int{0, 2, 2, 2, 0, -1})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.Classes, []int{-1, 0, 2}) || !slices.Equal(m.Counts, []int{1, 0, 0, 0, 1, 1, 0, 1, 2}) {
		t.Errorf("got %+v", m)
	}
	if m.At(0, 2) != 1 || m.At(2, 0) != 1 || m.At(2, 2) != 2 || m.At(-1, -1) != 1 || m.At(1, 0) != 0 || m.At(0, 99) != 0 {
		t.Errorf("At disagrees with %+v", m)
	}
}
