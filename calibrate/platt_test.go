package calibrate_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/data"
)

func ExamplePlatt() {
	// Log odds of 4 in favour of the right class three times of four.
	logits, _ := data.NewNamed(4, []string{"no", "yes"}, []float32{0, 4, 0, 4, 4, 0, 0, 4})
	logits, _ = logits.WithClassNames([]string{"yes", "yes", "no", "no"})
	m, err := calibrate.Platt{}.Fit(context.Background(), calibrate.LogitsInput{Logits: logits})
	if err != nil {
		panic(err)
	}
	p, _ := m.Predict(logits)
	fmt.Printf("%.3f %.3f\n", p.Row(0)[1], p.Row(2)[1])
	// Output: 0.583 0.250
}

// binary is 14 rows of log odds for peer programs; queries are looked at afterwards.
var (
	binaryOdds    = []float32{-3, -2.5, -2, -1.5, -1, -.5, -.25, .25, .5, 1, 1.5, 2, 2.5, 3}
	binaryLabels  = []int{0, 0, 1, 0, 1, 1, 0, 1, 0, 1, 1, 1, 0, 1}
	binaryQueries = []float32{-4, -1.75, -.75, 0, .75, 1.25, 2.25, 4}
)

func binary(t *testing.T) *data.Table { return labelled(t, twoColumns(binaryOdds), binaryLabels, 2) }

func queries(t *testing.T) *data.Table {
	return labelled(t, twoColumns(binaryQueries), make([]int, len(binaryQueries)), 2)
}

// twoColumns makes log odds the logits 0 and x.
func twoColumns(odds []float32) (x []float32) {
	for _, v := range odds {
		x = append(x, 0, v)
	}
	return x
}

// TestPlattPeer: scikit-learn 1.9.1, s = sklearn.calibration._SigmoidCalibration().fit(z, y); -s.a_, -s.b_, s.predict(q), with
// z, y, q as above. Its solver stops at 1e-6.
func TestPlattPeer(t *testing.T) {
	m := fit(t, calibrate.Platt.Fit, calibrate.Platt{}, binary(t))
	slope, offset := m.Sigmoid(1)
	if math.Abs(slope-0.308465250) > 1e-5 || math.Abs(offset-0.293715581) > 1e-5 {
		t.Errorf("slope %.9f, offset %.9f", slope, offset)
	}
	if m.Residual() > 1e-10 {
		t.Errorf("a slope of %g is left", m.Residual())
	}
	within(t, predict(t, m, queries(t)), []float64{0.28087097, 0.438783997, 0.515586609, 0.572905524, 0.628331256, 0.663581809, 0.728645727, 0.821651462}, 1e-5)
}

// within compares the second column.
func within(t *testing.T, have *data.Table, want []float64, tolerance float64) {
	t.Helper()
	for i, v := range want {
		if p := float64(have.Row(i)[1]); math.Abs(p-v) > tolerance {
			t.Errorf("row %d: %.8f, want %.8f", i+1, p, v)
		}
	}
}

// TestPlattClassesMirror: with two classes one sigmoid is the other's mirror image.
func TestPlattClassesMirror(t *testing.T) {
	m := fit(t, calibrate.Platt.Fit, calibrate.Platt{}, binary(t))
	s0, o0 := m.Sigmoid(0)
	s1, o1 := m.Sigmoid(1)
	if math.Abs(s0-s1) > 1e-12 || math.Abs(o0+o1) > 1e-12 {
		t.Errorf("%g %g and %g %g", s0, o0, s1, o1)
	}
}
