package metric

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestTemperatureDividesLogits pins the definition trap: at temperature 2 the logits (2, 0) give 1/(1+e^−1) = 0.7311. Dividing the probabilities
// (0.8808, 0.1192) instead and taking the softmax of that gives 0.5941.
func TestTemperatureDividesLogits(t *testing.T) {
	p, err := Probabilities([]float64{2, 0}, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	want := 1 / (1 + math.Exp(-1))
	near(t, "softmax at 2", p[0], want, 1e-15)
	near(t, "sum", p[0]+p[1], 1, 1e-15)

	// The binary case: one logit per row, the same numbers for class 1.
	p, err = Probabilities([]float32{2, -800}, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "sigmoid at 2", p[1], want, 1e-15)
	near(t, "its complement", p[0], 1-want, 1e-15)
	near(t, "a sure no", p[3], math.Exp(-400), 1e-180)

	// Logarithms of probabilities are logits up to a constant.
	once, _ := Probabilities([]float64{2, 0}, 2, 1)
	again, err := Probabilities([]float64{math.Log(once[0]), math.Log(once[1])}, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "from log-probabilities", again[0], want, 1e-15)

	wrong, _ := Probabilities(once, 2, 2)
	near(t, "the wrong definition", wrong[0], 0.5941, 1e-4)

	y := []int{0}
	near(t, "NLL of it", must(t)(LogitNLL([]float64{2, 0}, 2, y, 2)).Value, -math.Log(want), 1e-15)
	near(t, "binary NLL", must(t)(LogitNLL([]float64{-2}, 1, y, 2)).Value, -math.Log(want), 1e-15)
	near(t, "binary NLL of the other label", must(t)(LogitNLL([]float64{-2}, 1, []int{1}, 2)).Value, -math.Log(1-want), 1e-15)
}

func TestLogitNLLOfFarLogits(t *testing.T) {
	// Probabilities underflow here; the loss is the logits' difference.
	near(t, "sure and wrong", must(t)(LogitNLL([]float64{1000, 0, 0}, 3, []int{1}, 1)).Value, 1000, 1e-12)
	near(t, "shifted", must(t)(LogitNLL([]float64{1e8 + 1000, 1e8, 1e8}, 3, []int{1}, 1)).Value, 1000, 1e-12)
	near(t, "sure and right", must(t)(LogitNLL([]float64{50, 0}, 2, []int{0}, 1)).Value*math.Exp(50), 1, 1e-14)
}

// TestBrierIsSummedOverClasses pins the convention: for p = (0.3, 0.7) and label 1 it is 0.09 + 0.09, twice the one-column form.
func TestBrierIsSummedOverClasses(t *testing.T) {
	near(t, "two classes", must(t)(Brier([]float64{0.3, 0.7}, 2, []int{1})).Value, 0.18, 1e-15)
	near(t, "worst", must(t)(Brier([]float64{1, 0, 0}, 3, []int{2})).Value, 2, 0)
	near(t, "best", must(t)(Brier([]float64{1, 0, 0}, 3, []int{0})).Value, 0, 0)
}

// TestUniformGuess: all labels lose alike under uniform probabilities, so no unseen row could change the loss, and the interval has zero width by right.
func TestUniformGuess(t *testing.T) {
	p := make([]float32, 4*20)
	for i := range p {
		p[i] = 0.25
	}
	e := must(t)(NLL(p, 4, make([]int, 20)))
	near(t, "NLL", e.Value, math.Log(4), 1e-15)
	near(t, "width", e.High-e.Low, 0, 1e-14)
	near(t, "Brier", must(t)(Brier(p, 4, make([]int, 20))).Value, 0.75, 1e-15)
}

// TestLossesThatDoNotVary: 10 rows, all (0.9, 0.1) and all right. A share q of unseen rows may be wrong: the loss then grows by q·(worst − best).
func TestLossesThatDoNotVary(t *testing.T) {
	var p []float64
	for range 10 {
		p = append(p, 0.9, 0.1)
	}
	q := 1 - math.Pow(0.025, 0.1)
	e := must(t)(NLL(p, 2, make([]int, 10)))
	near(t, "NLL low", e.Low, -math.Log(0.9), 1e-12)
	near(t, "NLL high", e.High, -math.Log(0.9)+q*math.Log(9), 1e-12)
	e = must(t)(Brier(p, 2, make([]int, 10)))
	near(t, "Brier", e.Value, 0.02, 1e-15)
	near(t, "Brier high", e.High, 0.02+q*(1.62-0.02), 1e-12)
	sure := make([]float64, 20)
	for i := 0; i < 20; i += 2 {
		sure[i] = 1
	}
	e = must(t)(NLL(sure, 2, make([]int, 10)))
	if e.Value != 0 || e.Low != 0 {
		t.Errorf("10 sure and right rows: %v", e)
	}
	near(t, "NLL high of sure rows", e.High, q*-math.Log(math.SmallestNonzeroFloat64), 1e-9) // a probability of 0 counts as that
}

// TestMeanLossInterval: the percentile interval of a mean of many rows is the normal one.
func TestMeanLossInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	p, y := forecast(r, 2000, 3, 1)
	e := must(t)(Brier(p, 3, y, Interval{Resamples: 4000}))
	loss := make([]float64, len(y))
	for i := range y {
		for k := range 3 {
			d := p[3*i+k]
			if k == y[i] {
				d--
			}
			loss[i] += d * d
		}
	}
	exact := must(t)(Mean(loss))
	near(t, "Brier", e.Value, exact.Value, 1e-13)
	// A 2.5 % quantile of 4000 resamples has a standard error of 0.04 of the half width; 4 of those.
	half := (exact.High - exact.Low) / 2
	near(t, "low", e.Low, exact.Low, 0.17*half)
	near(t, "high", e.High, exact.High, 0.17*half)
}

// TestFloat32: the same probabilities in either precision give the same numbers within that precision.
func TestFloat32(t *testing.T) {
	p, y := forecast(rand.New(rand.NewPCG(3, 3)), 50, 3, 1)
	short := make([]float32, len(p))
	for i, v := range p {
		short[i] = float32(v)
	}
	for name, pair := range map[string][2]Estimate{
		"NLL":   {must(t)(NLL(p, 3, y, valueOnly)), must(t)(NLL(short, 3, y, valueOnly))},
		"Brier": {must(t)(Brier(p, 3, y, valueOnly)), must(t)(Brier(short, 3, y, valueOnly))},
		"ECE":   {must(t)(ECE(p, 3, y, valueOnly)), must(t)(ECE(short, 3, y, valueOnly))},
	} {
		near(t, name, pair[1].Value, pair[0].Value, 1e-6)
	}
}

// Rows that are sure and right have a finite interval, also where the other label has probability 0.
func TestNLLOfSureRowsIsFinite(t *testing.T) {
	e, err := NLL([]float32{1, 0, 1, 0, 1, 0}, 2, []int{0, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	if e.Value != 0 || e.Low != 0 || math.IsInf(e.High, 0) || !(e.High > 0) || e.High > -math.Log(math.SmallestNonzeroFloat32) {
		t.Errorf("have %+v", e)
	}
}
