package metric

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestECEByHand: bins of width 1/5 hold {0.55 right, 0.45 → 0.55 wrong} and so on: confidence 0.9 right, 0.9 wrong, 0.7 right, 0.55 wrong.
// Bin (0.8,1]: accuracy 1/2, confidence 0.9, gap 0.4 over 2 of 4; (0.6,0.8]: gap 0.3 over 1; (0.4,0.6]: gap 0.55 over 1. ECE 0.2 + 0.075 + 0.1375.
func TestECEByHand(t *testing.T) {
	p := []float64{0.9, 0.1, 0.1, 0.9, 0.7, 0.3, 0.45, 0.55}
	y := []int{0, 0, 0, 0}
	near(t, "ECE", must(t)(BinnedECE(Bins{Count: 5}, p, 2, y)).Value, 0.4125, 1e-15)
	near(t, "MCE", must(t)(MaximumCalibrationError(Bins{Count: 5}, p, 2, y)).Value, 0.55, 1e-15)
	// Equal mass, 2 bins: {0.55 wrong, 0.7 right} gap |1 − 1.25|/2, {0.9, 0.9} gap |1 − 1.8|/2: (0.25 + 0.8)/4.
	near(t, "equal mass", must(t)(BinnedECE(Bins{Count: 2, EqualMass: true}, p, 2, y)).Value, 0.2625, 1e-15)
	// Class by class, width 1/2. Class 0 (always true): p 0.9 0.7 | 0.1 0.45: gaps |2−1.6|, |2−0.55| over 4: 0.4625. Class 1 (never true): the same by symmetry.
	near(t, "class-wise", must(t)(ClasswiseECE(Bins{Count: 2}, p, 2, y)).Value, 0.4625, 1e-15)
}

// TestECEVariantsDiffer: the variants are different numbers on the same rows, so a name says which one is meant.
func TestECEVariantsDiffer(t *testing.T) {
	p, y := forecast(rand.New(rand.NewPCG(4, 3)), 300, 4, 2)
	values := map[float64]string{}
	for name, e := range map[string]Estimate{
		"15 of equal width": must(t)(ECE(p, 4, y, valueOnly)),
		"10 of equal width": must(t)(BinnedECE(Bins{Count: 10}, p, 4, y, valueOnly)),
		"equal mass":        must(t)(BinnedECE(Bins{EqualMass: true}, p, 4, y, valueOnly)),
		"class-wise":        must(t)(ClasswiseECE(Bins{}, p, 4, y, valueOnly)),
		"class-wise mass":   must(t)(ClasswiseECE(Bins{EqualMass: true}, p, 4, y, valueOnly)),
		"maximum":           must(t)(MaximumCalibrationError(Bins{}, p, 4, y, valueOnly)),
	} {
		if other, ok := values[e.Value]; ok {
			t.Errorf("%s and %s are both %v", name, other, e.Value)
		}
		values[e.Value] = name
	}
	a, b := must(t)(ECE(p, 4, y)), must(t)(BinnedECE(Bins{Count: 15}, p, 4, y))
	if a != b {
		t.Errorf("ECE %v is not that of 15 bins, %v", a, b)
	}
}

// TestBinEdges pins the side of an edge: with 2 bins a confidence of 1/2 lies in (0, 1/2], apart from 0.9. Together they would give 0.2.
func TestBinEdges(t *testing.T) {
	p := []float64{0.5, 0.5, 0.1, 0.9}
	near(t, "on the edge", must(t)(BinnedECE(Bins{Count: 2}, p, 2, []int{0, 0})).Value, 0.7, 1e-15)
	// 0 belongs to the first bin, 1 to the last.
	near(t, "the ends", must(t)(ClasswiseECE(Bins{Count: 3}, []float64{0, 1}, 2, []int{1})).Value, 0, 0)
	// Of equal largest probabilities the lowest class is predicted: right with label 0, wrong with label 1.
	near(t, "a tie, label 0", must(t)(ECE([]float64{0.5, 0.5}, 2, []int{0})).Value, 0.5, 0)
	near(t, "a tie, label 1", must(t)(MaximumCalibrationError(Bins{}, []float64{0.4, 0.4, 0.2}, 3, []int{1})).Value, 0.4, 0)
}

// TestEqualMassKeepsTiesTogether: rows of one confidence share a bin, so the order of rows cannot matter.
func TestEqualMassKeepsTiesTogether(t *testing.T) {
	p := []float64{0.8, 0.2, 0.8, 0.2, 0.8, 0.2, 0.8, 0.2, 0.6, 0.4, 0.6, 0.4}
	bins := Bins{Count: 3, EqualMass: true}
	first := must(t)(BinnedECE(bins, p, 2, []int{0, 0, 1, 1, 0, 1}, valueOnly))
	other := must(t)(BinnedECE(bins, p, 2, []int{1, 0, 1, 0, 1, 0}, valueOnly))
	near(t, "another order", other.Value, first.Value, 1e-15)
	// 0.6 has ranks 0-1, bin 0; 0.8 ranks 2-5, middle rank in bin 2: |1 − 1.2|/6 + |2 − 3.2|/6.
	near(t, "value", first.Value, 1.4/6, 1e-15)

	// Ten rows in two bins: 0.6 twice, wrong; 0.7 seven times and 0.8 once, right. The middle of the seven is rank 5.5, in the upper bin:
	// |0 − 1.2|/10 + |8 − 5.7|/10.
	p = slices.Concat(slices.Repeat([]float64{0.6, 0.4}, 2), slices.Repeat([]float64{0.7, 0.3}, 7), []float64{0.8, 0.2})
	near(t, "middle rank", must(t)(BinnedECE(Bins{Count: 2, EqualMass: true}, p, 2, []int{1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, valueOnly)).Value, 0.35, 1e-15)

	r := rand.New(rand.NewPCG(5, 3))
	f := forecasts{probability: normal(r, 23, 0), event: 1}.binned(Bins{Count: 5, EqualMass: true})
	g := newGaps(Bins{Count: 5}, 23)
	times := make([]int32, 23)
	for i := range times {
		times[i] = 1
	}
	f.fill(g, times, times, Bins{Count: 5, EqualMass: true})
	for b, rows := range g.rows {
		if rows != 4 && rows != 5 {
			t.Errorf("bin %d of 23 rows in 5 bins has %d", b, rows)
		}
	}
}

// TestCalibrationInterval excludes 0 exactly when calibration is rejected: calibrated rows keep 0, overconfident ones do not.
func TestCalibrationInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 3))
	for name, f := range rowMetrics {
		switch name {
		case "ECE", "BinnedECE(mass)", "ClasswiseECE", "MaximumCalibrationError":
		default:
			continue
		}
		p, y := forecast(r, 1500, 3, 1)
		if e := must(t)(f(p, 3, y, Interval{Resamples: 200})); e.Low != 0 || e.High <= 0 {
			t.Errorf("%s of calibrated rows: %v", name, e)
		}
		p, y = forecast(r, 1500, 3, 4)
		if e := must(t)(f(p, 3, y, Interval{Resamples: 200})); e.Low < 0.05 {
			t.Errorf("%s of overconfident rows: %v", name, e)
		}
	}
}

// TestCalibrationOfOneBin: 100 rows of confidence 0.9, of which 80 are right. The gap 0.1 is beyond what calibrated labels give (0.06 = 1.96·√(0.9·0.1/100)),
// and the interval is the binomial's: 0.1 ± 1.96·0.04.
func TestCalibrationOfOneBin(t *testing.T) {
	var p []float64
	y := make([]int, 100)
	for i := range y {
		p = append(p, 0.9, 0.1)
		if i%5 == 0 {
			y[i] = 1
		}
	}
	e := must(t)(ECE(p, 2, y, Interval{Resamples: 4000}))
	near(t, "ECE", e.Value, 0.1, 1e-14)
	near(t, "low", e.Low, 0.1-1.96*0.04, 0.011) // one row is 0.01
	near(t, "high", e.High, 0.1+1.96*0.04, 0.011)
}

// TestCalibrationIntervalIsNotPushedUp: 60 calibrated rows have an ECE that is all noise, resamples a larger one still. Mirroring the tails keeps the
// high end near the value; the percentiles themselves would put it at more than one and a half times the value.
func TestCalibrationIntervalIsNotPushedUp(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 3))
	value, high := 0.0, 0.0
	for range 30 {
		p, y := forecast(r, 60, 3, 1)
		e := must(t)(ECE(p, 3, y, Interval{Resamples: 99}))
		value, high = value+e.Value, high+e.High
	}
	if high > 1.3*value {
		t.Errorf("high end %.2f times the value", high/value)
	}
}

// TestSureAndRight: 20 rows with confidence 1, all right; a share q may be wrong.
func TestSureAndRight(t *testing.T) {
	p := make([]float64, 40)
	for i := 0; i < 40; i += 2 {
		p[i] = 1
	}
	q := 1 - math.Pow(0.025, 1./20)
	for name, e := range map[string]Estimate{
		"ECE": must(t)(ECE(p, 2, make([]int, 20))),
		"MCE": must(t)(MaximumCalibrationError(Bins{}, p, 2, make([]int, 20))),
	} {
		near(t, name, e.Value, 0, 0)
		near(t, name+" low", e.Low, 0, 0)
		near(t, name+" high", e.High, q, 1e-12)
	}
}
