package probe

import (
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
)

func correlated() gaussians {
	w := naiveBayesWorld(6)
	copy(w.shared, []float64{0, 0.5, 0, 1, 0, -1})
	return w
}

func TestErrorAgainstSimulation(t *testing.T) {
	w := correlated()
	r := rule{[]float64{0.3, -0.2, 0.5, 0.4, 1, 0.1}, 0.7}
	const n = 200000
	in, err := w.draw(claim.Random(1, 1), n)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := in.Labels()
	wrong := 0
	for i, c := range labels {
		z := r.b
		for j, v := range in.Row(i) {
			z += r.w[j] * float64(v)
		}
		if (z > 0) != (c == 1) {
			wrong++
		}
	}
	exact := w.error(r)
	if got, sd := float64(wrong)/n, math.Sqrt(exact*(1-exact)/n); math.Abs(got-exact) > 4*sd {
		t.Errorf("%.5f of %d rows are wrong, the formula says %.5f ± %.5f", got, n, exact, sd)
	}
}

func TestLeastError(t *testing.T) {
	w := naiveBayesWorld(10)
	best := rule{w: make([]float64, 10)}
	for j, m := range w.mean {
		best.w[j] = m / w.variance[j]
	}
	if a, b := w.error(best), w.least(); math.Abs(a-b) > 1e-15 {
		t.Errorf("the best rule's error %v, the least one %v", a, b)
	}
	for j := range best.w { // any other rule is worse
		was := best.w[j]
		for _, change := range []float64{0.7, 1.5} {
			if best.w[j] = was * change; w.error(best) <= w.least() {
				t.Errorf("weight %d times %g: error %v is below the least one", j, change, w.error(best))
			}
		}
		best.w[j] = was
	}
}

// slope is the gradient of the penalised loss, written down plainly.
func slope(in *data.Table, r rule) (w []float64, b float64) {
	labels, _ := in.Labels()
	w = append(w, r.w...)
	for i, c := range labels {
		z := r.b
		for j, v := range in.Row(i) {
			z += r.w[j] * float64(v)
		}
		e := 1/(1+math.Exp(-z)) - float64(c)
		b += e
		for j, v := range in.Row(i) {
			w[j] += e * float64(v)
		}
	}
	return w, b
}

func TestLogisticStandsStill(t *testing.T) {
	for _, size := range []struct{ n, d int }{{40, 6}, {12, 50}, {50, 50}, {4, 400}, {300, 100}} { // both ways of solving
		in, err := naiveBayesWorld(size.d).draw(claim.Random(2, 1), size.n)
		if err != nil {
			t.Fatal(err)
		}
		r, err := logistic(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		w, b := slope(in, r)
		worst := math.Abs(b)
		for _, v := range w {
			worst = math.Max(worst, math.Abs(v))
		}
		// Newton stops at 1e-8 a row in coordinates of the span; columns of length up to √(n·D) carry it back.
		if worst > 1e-6*float64(size.n)*math.Sqrt(float64(size.d)) {
			t.Errorf("%d rows of %d columns: a derivative of %g is left", size.n, size.d, worst)
		}
	}
}

func TestNaiveBayesRuleIsTheModel(t *testing.T) {
	in, err := correlated().draw(claim.Random(3, 1), 60)
	if err != nil {
		t.Fatal(err)
	}
	r, err := naiveBayesRule(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := in.Labels()
	closed := func(j int) float64 { // difference of class means over the pooled variance, by hand
		mean, variance := [2]float64{}, 0.0
		for i, c := range labels {
			mean[c] += float64(in.Row(i)[j]) / 30
		}
		for i, c := range labels {
			variance += math.Pow(float64(in.Row(i)[j])-mean[c], 2) / 60
		}
		return (mean[1] - mean[0]) / variance
	}
	// A variance divided by N − K instead of N scales all weights alike. Sums are of values on a grid of 22 bits.
	scale := r.w[0] / closed(0)
	if math.Abs(scale-1) > 0.05 {
		t.Errorf("weights are %g times the closed form", scale)
	}
	for j := range r.w {
		if got := r.w[j] / closed(j) / scale; math.Abs(got-1) > 1e-4 {
			t.Errorf("weight %d is %g times the closed form, weight 0 %g", j, got*scale, scale)
		}
	}
}

func TestSlope(t *testing.T) {
	if got := naiveBayesSlope([]float64{0, 1, 2, 3}, []float64{1, 2, 2, 3}); math.Abs(got-0.6) > 1e-15 {
		t.Errorf("%v, want 0.6", got)
	}
}

func TestNeededRows(t *testing.T) {
	// With 10 columns the card of the paper's simulation says 18 rows for naive Bayes and 80 for logistic regression.
	w := naiveBayesWorld(10)
	nb, err := w.needed(t.Context(), 0, naiveBayesRule)
	if err != nil {
		t.Fatal(err)
	}
	lr, err := w.needed(t.Context(), 0, logistic)
	if err != nil {
		t.Fatal(err)
	}
	if nb < 12 || nb > 30 || lr < 50 || lr > 130 {
		t.Errorf("naive Bayes needs %.1f rows, logistic regression %.1f", nb, lr)
	}
}

// TestDrawn: it is the rows that Sample draws.
func TestDrawn(t *testing.T) {
	x, labels := make([]float32, 50), make([]int, 50)
	for i := range x {
		x[i], labels[i] = float32(i), i%3
	}
	all, err := data.NewTable(50, 1, x)
	if err == nil {
		all, err = all.WithLabels(labels, claim.Numbers(3))
	}
	if err != nil {
		t.Fatal(err)
	}
	some, err := claim.Sample(all, claim.Random(3, 4), 20)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range drawn(claim.Random(3, 4), 50, 20) {
		if float32(row) != some.Row(i)[0] {
			t.Errorf("row %d: %d, Sample drew %v", i, row, some.Row(i)[0])
		}
	}
}
