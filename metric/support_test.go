package metric

import (
	"math"
	"math/rand/v2"
	"testing"
)

var valueOnly = Interval{ValueOnly: true}

// near fails unless got is within tolerance of want.
func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %v, want %v within %g", what, got, want, tolerance)
	}
}

// must returns the estimate and fails the test on an error, a NaN, or an interval that does not contain its value.
func must(t *testing.T) func(Estimate, error) Estimate {
	return func(e Estimate, err error) Estimate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if !(e.Low <= e.Value && e.Value <= e.High) || e.Level == 0 {
			t.Fatalf("%+v is no interval around its value", e)
		}
		return e
	}
}

func normal(r *rand.Rand, n int, mean float64) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = mean + r.NormFloat64()
	}
	return x
}

// coarse rounds scores to multiples of 1/2, which makes ties.
func coarse(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Round(2*v) / 2
	}
	return y
}

func each(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

func negated(x []float64) []float64 { return each(x, func(v float64) float64 { return -v }) }

func shuffled(r *rand.Rand, x []float64) []float64 {
	y := append([]float64(nil), x...)
	r.Shuffle(len(y), func(i, j int) { y[i], y[j] = y[j], y[i] })
	return y
}

// rankMetrics are all metrics that read two groups of scores through their order only.
var rankMetrics = map[string]func(negative, positive []float64, how ...Interval) (Estimate, error){
	"AUROC": AUROC, "AUPROut": AUPROut, "AUPRIn": AUPRIn, "AveragePrecision": AveragePrecision,
	"FPR95OutPositive": FPR95OutPositive, "FPR95InPositive": FPR95InPositive,
	"FPRAtTPR(0.8)": func(negative, positive []float64, how ...Interval) (Estimate, error) {
		return FPRAtTPR(negative, positive, 0.8, how...)
	},
	"DeLongPaired": func(negative, positive []float64, how ...Interval) (Estimate, error) {
		e, _, err := DeLongPaired(negative, positive, coarse(negative), coarse(positive), how...)
		return e, err
	},
}

// rowMetrics are all metrics of N×K probabilities and labels.
var rowMetrics = map[string]func(probabilities []float64, classes int, labels []int, how ...Interval) (Estimate, error){
	"NLL": NLL[float64], "Brier": Brier[float64], "ECE": ECE[float64],
	"BinnedECE(mass)": func(p []float64, k int, y []int, how ...Interval) (Estimate, error) {
		return BinnedECE(Bins{Count: 7, EqualMass: true}, p, k, y, how...)
	},
	"ClasswiseECE": func(p []float64, k int, y []int, how ...Interval) (Estimate, error) {
		return ClasswiseECE(Bins{}, p, k, y, how...)
	},
	"MaximumCalibrationError": func(p []float64, k int, y []int, how ...Interval) (Estimate, error) {
		return MaximumCalibrationError(Bins{EqualMass: true}, p, k, y, how...)
	},
	"LogitNLL": func(p []float64, k int, y []int, how ...Interval) (Estimate, error) {
		return LogitNLL(p, k, y, 2, how...)
	},
	"BalancedAccuracy": func(p []float64, k int, y []int, how ...Interval) (Estimate, error) {
		return BalancedAccuracy(y, predictions(p, k), how...)
	},
	"MacroF1": func(p []float64, k int, y []int, how ...Interval) (Estimate, error) {
		return MacroF1(y, predictions(p, k), how...)
	},
	"Accuracy": func(p []float64, k int, y []int, how ...Interval) (Estimate, error) {
		return Accuracy(y, predictions(p, k), how...)
	},
}

func predictions(p []float64, classes int) []int {
	hat := make([]int, 0, len(p))
	for i := 0; i+classes <= len(p); i += classes {
		class, _ := largest(p[i : i+classes])
		hat = append(hat, class)
	}
	return hat
}

// forecast draws n rows of k probabilities, labels from them, and returns the probabilities sharpened: 1 leaves them calibrated.
func forecast(r *rand.Rand, n, k int, sharpness float64) (probabilities []float64, labels []int) {
	logits := make([]float64, n*k)
	for i := range logits {
		logits[i] = 1.5 * r.NormFloat64()
	}
	honest, _ := Probabilities(logits, k, 1)
	labels = make([]int, n)
	for i := range labels {
		u := r.Float64()
		for u > honest[i*k+labels[i]] && labels[i] < k-1 {
			u -= honest[i*k+labels[i]]
			labels[i]++
		}
	}
	probabilities, _ = Probabilities(logits, k, 1/sharpness)
	return probabilities, labels
}
