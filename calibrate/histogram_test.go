package calibrate_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleHistogram() {
	logits, _ := data.NewNamed(6, []string{"no", "yes"}, []float32{0, -2, 0, -1, 0, 0, 0, 1, 0, 2, 0, 3})
	logits, _ = logits.WithClassNames([]string{"no", "yes", "no", "yes", "yes", "yes"})
	m, err := calibrate.Histogram{Bins: 2}.Fit(context.Background(), calibrate.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.3f\n", m.Frequencies(1))
	// Output: [0.333 1.000]
}

// TestHistogramBins: 14 rows in bins of two are their pairs' means; a query goes to the nearer bin.
func TestHistogramBins(t *testing.T) {
	m := fit(t, calibrate.Histogram.Fit, calibrate.Histogram{Bins: 7}, binary(t))
	have := m.Frequencies(1)
	for b, v := range have {
		if want := float64(binaryLabels[2*b]+binaryLabels[2*b+1]) / 2; v != want {
			t.Errorf("bin %d: %g, want %g", b+1, v, want)
		}
	}
	if len(have) != 7 {
		t.Errorf("%d bins", len(have))
	}
}

// TestHistogramOfOneBinIsTheBaseRate: with one bin every row gets the frequencies of the classes, but for what is mixed in.
func TestHistogramOfOneBinIsTheBaseRate(t *testing.T) {
	in := outputs(t, 4, 500, 3, 1e6)
	p := predict(t, fit(t, calibrate.Histogram.Fit, calibrate.Histogram{Bins: 1}, in), in)
	labels, _ := in.Labels()
	rate := 0.0
	for _, y := range labels {
		if y == 1 {
			rate += 1 / float64(len(labels))
		}
	}
	for i := range labels {
		if math.Abs(float64(p.Row(i)[1])-rate) > 0.05 {
			t.Fatalf("row %d: %g, rate %g", i+1, p.Row(i)[1], rate)
		}
	}
}
