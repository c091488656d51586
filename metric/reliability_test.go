package metric

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// TestReliabilityAddsUpToECE: the bins' gaps, weighed by rows, are the calibration error; and all rows are in a bin.
func TestReliabilityAddsUpToECE(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	const n, k = 700, 3
	p, labels := make([]float64, 0, n*k), make([]int, n)
	confidence, right := make([]float64, n), make([]bool, n)
	for i := range labels {
		a, b := r.Float64(), r.Float64()
		lo, hi := min(a, b), max(a, b)
		p = append(p, lo, hi-lo, 1-hi)
		labels[i] = r.IntN(k)
		top, q := largest(p[i*k:])
		confidence[i], right[i] = q, top == labels[i]
	}
	for _, bins := range []Bins{{}, {Count: 4}, {Count: 7, EqualMass: true}} {
		want, err := BinnedECE(bins, p, k, labels, Interval{ValueOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		all, err := Reliability(bins, confidence, right)
		if err != nil {
			t.Fatal(err)
		}
		sum, rows, last := 0.0, 0, 0.0
		for _, b := range all {
			rows += b.Rows
			sum += float64(b.Rows) / n * math.Abs(b.Accuracy.Value-b.Confidence)
			if b.Confidence < last || !b.Accuracy.Contains(b.Accuracy.Value) || !b.Accuracy.HasInterval() {
				t.Errorf("%+v: %+v after confidence %g", bins, b, last)
			}
			last = b.Confidence
		}
		if rows != n || math.Abs(sum-want.Value) > 1e-12 {
			t.Errorf("%+v: %d rows, gaps of %.12f, want %d and %.12f", bins, rows, sum, n, want.Value)
		}
	}
	if _, err := Reliability(Bins{Count: -1}, confidence, right); !errors.Is(err, ErrRange) {
		t.Errorf("−1 bins: %v", err)
	}
	if _, err := Reliability(Bins{}, []float64{0.5, 1.5}, []bool{true, false}); !errors.Is(err, ErrRange) {
		t.Errorf("a confidence of 1.5: %v", err)
	}
	if _, err := Reliability(Bins{}, confidence, nil); !errors.Is(err, data.ErrShape) {
		t.Errorf("no verdicts: %v", err)
	}
}
