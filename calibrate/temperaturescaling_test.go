package calibrate_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleTemperatureScaling() {
	// Sure of itself four times, and right three times.
	logits, _ := data.NewNamed(4, []string{"no", "yes"}, []float32{0, 4, 0, 4, 4, 0, 0, 4})
	logits, _ = logits.WithClassNames([]string{"yes", "yes", "no", "no"})
	m, err := calibrate.TemperatureScaling{}.Fit(context.Background(), calibrate.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	p, _ := m.Predict(logits)
	fmt.Printf("T = %.3f, p = %.3f\n", m.Temperature(), p.Row(0)[1])
	// Output: T = 3.641, p = 0.750
}

// TestTemperatureScalingSlopeIsZero: the slope of the loss by 1/T, worked out here anew, is gone to 1e-10.
func TestTemperatureScalingSlopeIsZero(t *testing.T) {
	for seed := range uint64(5) {
		in := outputs(t, seed, 500, 5, 0.5+float64(seed))
		m := fit(t, calibrate.TemperatureScaling.Fit, calibrate.TemperatureScaling{}, in)
		labels, _ := in.Labels()
		slope := 0.0
		for i, y := range labels {
			sum, mean := 0.0, 0.0
			for _, z := range in.Row(i) {
				e := math.Exp(float64(z) / m.Temperature())
				sum += e
				mean += e * float64(z)
			}
			slope += (mean/sum - float64(in.Row(i)[y])) / float64(len(labels))
		}
		if math.Abs(slope) > 1e-10 {
			t.Errorf("seed %d: T = %g leaves a slope of %g", seed, m.Temperature(), slope)
		}
	}
}

// TestTemperatureScalingIsFound: labels drawn at a temperature give it back, within five standard errors.
func TestTemperatureScalingIsFound(t *testing.T) {
	for _, want := range []float64{0.5, 1, 3} {
		m := fit(t, calibrate.TemperatureScaling.Fit, calibrate.TemperatureScaling{}, outputs(t, 7, 6000, 5, want))
		if math.Abs(m.Temperature()/want-1) > 0.05 {
			t.Errorf("T = %g, drawn at %g", m.Temperature(), want)
		}
	}
}
