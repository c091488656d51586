package calibrate_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

var names = []string{"ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen"}

// outputs draws n rows of logits of k classes whose labels follow softmax(logits/temperature), unless skew distorts them.
func outputs(t testing.TB, seed uint64, n, k int, temperature float64) *data.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	x, labels := make([]float32, n*k), make([]int, n)
	for i := range n {
		row := x[i*k : (i+1)*k]
		for c := range row {
			row[c] = float32(3 * r.NormFloat64())
		}
		p, err := metric.Probabilities(row, k, temperature)
		if err != nil {
			t.Fatal(err)
		}
		u := r.Float64()
		for c, v := range p {
			if u -= v; u < 0 || c == k-1 {
				labels[i] = c
				break
			}
		}
	}
	return labelled(t, x, labels, k)
}

func labelled(t testing.TB, x []float32, labels []int, k int) *data.Table {
	t.Helper()
	in, err := data.NewNamed(len(labels), names[:k], x)
	if err == nil {
		in, err = in.WithLabels(labels, names[:k])
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// softmax turns logits into a table of probabilities with the same labels.
func softmax(t testing.TB, in *data.Table) *data.Table {
	t.Helper()
	n, k := in.Dims()
	p, err := metric.Probabilities(in.X(), k, 1)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float32, n*k)
	for i, v := range p {
		x[i] = float32(v)
	}
	labels, err := in.Labels()
	if err != nil {
		t.Fatal(err)
	}
	return labelled(t, x, labels, k)
}

func fit[C, M any](t testing.TB, f func(C, context.Context, calibrate.LogitsInput) (M, error), c C, in *data.Table) M {
	t.Helper()
	m, err := f(c, context.Background(), calibrate.LogitsInput{Logits: in})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func predict(t testing.TB, m method.Predictor, in *data.Table) *data.Table {
	t.Helper()
	p, err := m.Predict(in)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// nll is the mean negative log-likelihood of the labels; a label of probability zero makes it infinite.
func nll(t testing.TB, p, in *data.Table) float64 {
	t.Helper()
	labels, err := in.Labels()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, y := range labels {
		sum -= math.Log(float64(p.Row(i)[y]))
	}
	return sum / float64(len(labels))
}

// specs are the family's calibrators.
func specs() (all []method.Spec) {
	for _, s := range calibrate.Methods() {
		if s.Can("predict") {
			all = append(all, s)
		}
	}
	return all
}

// TestNeverWorseThanTheIdentity: on the rows that a calibrator learned from, the labels are at least as likely as before,
// whatever the rows: right already, overconfident, underconfident, random, few, with classes missing, without doubt.
func TestNeverWorseThanTheIdentity(t *testing.T) {
	worlds := map[string]*data.Table{}
	for seed := range uint64(4) {
		for what, temperature := range map[string]float64{"right": 1, "overconfident": 3, "underconfident": 0.3, "random": 1e6} {
			worlds[what+strings.Repeat("'", int(seed))] = outputs(t, seed, []int{400, 60, 8, 150}[seed], []int{3, 2, 4, 8}[seed], temperature)
		}
	}
	worlds["separable"] = labelled(t, []float32{9, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 9}, []int{0, 0, 1, 2, 2}, 3)
	worlds["one row a class"] = labelled(t, []float32{1, 0, 0, 0, 1, 0, 1, 0, 0}, []int{0, 1, 2}, 3)
	worlds["a class missing"] = labelled(t, []float32{1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 2, 3}, []int{0, 1, 1, 0}, 3)
	worlds["all wrong"] = labelled(t, []float32{5, 0, 0, 5, 6, 0, 0, 6}, []int{1, 0, 1, 0}, 2)
	worlds["huge"] = labelled(t, []float32{5e8, 0, 0, 5e8, 6e8, 1e8, -1e9, 6e8, 1e8, 2e8}, []int{0, 1, 0, 0, 1}, 2)
	for what, in := range worlds {
		for _, s := range specs() {
			m, err := s.Fit(context.Background(), s.Config(), data.Bundle{"logits": in})
			if errors.Is(err, method.ErrDegenerate) && strings.Contains(err.Error(), "no calibration row") {
				continue
			}
			if err != nil {
				t.Fatalf("%s on %s: %v", s.ID(), what, err)
			}
			_, k := in.Dims()
			labels, _ := in.Labels()
			before, err := metric.LogitNLL(in.X(), k, labels, 1, metric.Interval{ValueOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			// 1e-6: predictions are float32.
			if after := nll(t, predict(t, m.(method.Predictor), in), in); !(after <= before.Value*(1+1e-6)+1e-6) {
				t.Errorf("%s on %s: loss %.9g, uncalibrated %.9g", s.ID(), what, after, before.Value)
			}
		}
	}
}

// TestCalibratorsMendAnOverconfidentClassifier: on fresh rows the expected calibration error falls to a third.
func TestCalibratorsMendAnOverconfidentClassifier(t *testing.T) {
	train, fresh := outputs(t, 1, 4000, 4, 2.5), outputs(t, 2, 4000, 4, 2.5)
	labels, _ := fresh.Labels()
	quick := metric.Interval{ValueOnly: true}
	before, err := metric.ECE(softmax(t, fresh).X(), 4, labels, quick)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range specs() {
		m, err := s.Fit(context.Background(), s.Config(), data.Bundle{"logits": train})
		if err != nil {
			t.Fatal(err)
		}
		after, err := metric.ECE(predict(t, m.(method.Predictor), fresh).X(), 4, labels, quick)
		if err != nil {
			t.Fatal(err)
		}
		if after.Value > before.Value/3 {
			t.Errorf("%s: calibration error %.4f, before %.4f", s.ID(), after.Value, before.Value)
		}
	}
}

// TestProbabilitiesAreLogits: probabilities that are announced give what their logits give.
func TestProbabilitiesAreLogits(t *testing.T) {
	in := outputs(t, 3, 300, 3, 2)
	p := softmax(t, in)
	for _, s := range specs() {
		a, err := s.Fit(context.Background(), s.Config(), data.Bundle{"logits": in})
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := s.Configure(map[string]string{"probabilities": "true"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.Fit(context.Background(), cfg, data.Bundle{"logits": p})
		if err != nil {
			t.Fatal(err)
		}
		x, y := predict(t, a.(method.Predictor), in), predict(t, b.(method.Predictor), p)
		for i, v := range x.X() {
			// float32 keeps seven digits of a probability, and so of its odds but near one: 1e-3 leaves room for those.
			if math.Abs(float64(v-y.X()[i])) > 1e-3 {
				t.Errorf("%s: value %d: %g from logits, %g from probabilities", s.ID(), i, v, y.X()[i])
				break
			}
		}
	}
}

func TestWhatIsNoProbabilityIsRefused(t *testing.T) {
	for _, c := range []struct {
		row  []float32
		says string
	}{
		{[]float32{0.9, 0.3}, "add up to 1.2"},
		{[]float32{-0.1, 1.1}, "column 1 is -0.1"},
		{[]float32{0, 0}, "add up to 0"},
		{[]float32{7, -2}, "column 1 is 7"},
	} {
		in := labelled(t, append([]float32{0.4, 0.6}, c.row...), []int{0, 1}, 2)
		for _, s := range calibrate.Methods() {
			cfg, err := s.Configure(map[string]string{"probabilities": "true"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Fit(context.Background(), cfg, data.Bundle{"logits": in})
			if !errors.Is(err, method.ErrInput) || !strings.Contains(err.Error(), "row 2") || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s on %v: %v", s.ID(), c.row, err)
			}
		}
	}
}

func TestLabelsMustFitTheColumns(t *testing.T) {
	x := []float32{1, 0, 0, 0, 1, 0, 1, 0, 0}
	bare, err := data.NewTable(3, 3, x)
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := bare.WithLabels([]int{0, data.Unknown, 1}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := bare.WithLabels([]int{0, 1, 1}, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range calibrate.Methods() {
		for in, says := range map[*data.Table]string{bare: "labels needed", unknown: "row 2 has no class", two: "3 columns"} {
			_, err := s.Fit(context.Background(), s.Config(), data.Bundle{"logits": in})
			if !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %q", s.ID(), err, says)
			}
		}
	}
}
