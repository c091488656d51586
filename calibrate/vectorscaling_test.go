package calibrate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleVectorScaling() {
	// The classifier cannot tell the two classes apart, and does not know that one is three times as frequent.
	logits, _ := data.NewNamed(4, []string{"rare", "usual"}, []float32{1, 0, 0, 1, 1, 0, 0, 1})
	logits, _ = logits.WithClassNames([]string{"usual", "usual", "usual", "rare"})
	m, err := calibrate.VectorScaling{}.Fit(context.Background(), calibrate.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	p, _ := m.Predict(logits)
	fmt.Printf("%.2f %.2f\n", p.Row(0)[1], p.Row(1)[1])
	// Output: 1.00 0.50
}

// TestVectorScalingIsOptimal: the solver runs to 1e-10, and no step from the solution lowers loss and penalty.
func TestVectorScalingIsOptimal(t *testing.T) {
	in := outputs(t, 3, 400, 4, 2)
	c := calibrate.VectorScaling{Ridge: 1e-3}
	m := fit(t, calibrate.VectorScaling.Fit, c, in)
	if m.Residual() > 1e-10 {
		t.Errorf("a slope of %g is left", m.Residual())
	}
	w, b := m.Scale()
	labels, _ := in.Labels()
	objective := func(w, b []float64) float64 {
		sum := 0.0
		for i, y := range labels {
			z := make([]float64, 4)
			norm, own := 0.0, 0.0
			for _, v := range in.Row(i) {
				norm += math.Exp(float64(v))
			}
			for j, v := range in.Row(i) {
				z[j] = w[j]*(float64(v)-math.Log(norm)) + b[j]
			}
			for j, v := range z {
				own += math.Exp(v - z[y])
				_ = j
			}
			sum += math.Log(own) / float64(len(labels))
		}
		for j := range w {
			sum += c.Ridge / 2 * ((w[j]-1)*(w[j]-1) + b[j]*b[j])
		}
		return sum
	}
	best := objective(w, b)
	r := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		u, v := make([]float64, 4), make([]float64, 4)
		for j := range u {
			u[j], v[j] = w[j]+1e-3*r.NormFloat64(), b[j]+1e-3*r.NormFloat64()
		}
		if objective(u, v) < best {
			t.Fatalf("%v %v is better", u, v)
		}
	}
}

// TestVectorScalingSeparable: rows without doubt have no finite optimum; the penalty gives one.
func TestVectorScalingSeparable(t *testing.T) {
	m := fit(t, calibrate.VectorScaling.Fit, calibrate.VectorScaling{}, labelled(t, []float32{2, 0, 3, 0, 0, 1, 0, 2}, []int{0, 0, 1, 1}, 2))
	if w, _ := m.Scale(); m.Residual() > 1e-10 || w[0] < 2 || w[0] > 1e4 {
		t.Errorf("factors %v, slope %g", w, m.Residual())
	}
}

func TestVectorScalingNeedsAllClasses(t *testing.T) {
	_, err := calibrate.VectorScaling{}.Fit(context.Background(), calibrate.LogitsInput{Logits: labelled(t, []float32{2, 0, 1, 3, 0, 0}, []int{0, 1}, 3)})
	if !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), `"cat" has no calibration row`) {
		t.Error(err)
	}
}
