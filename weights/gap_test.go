package weights_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/weights"
)

func TestGapOfLinearModelsIsNone(t *testing.T) {
	rows, held := blobs(1, 200, 6, 3), holdout(t, blobs(2, 300, 6, 3))
	_, all := sweep(t, net.New(1, 6, 3), rows, 3)
	gaps, err := weights.Gaps(t.Context(), all, held)
	if err != nil || len(gaps) != 3 {
		t.Fatalf("%v: %v", gaps, err)
	}
	for _, g := range gaps { // float32 logits over 0.1² leave 1e-5
		if math.Abs(g.Measured) > 1e-6 || math.Abs(g.Predicted) > 1e-4 {
			t.Errorf("%+v", g)
		}
	}
}

func TestGapIsPredicted(t *testing.T) {
	rows, held := blobs(3, 300, 8, 4), holdout(t, blobs(4, 400, 8, 4))
	start := train(t, net.New(5, 8, 32, 4), rows, net.Train{Epochs: 2, Batch: 32, Rate: 0.05})
	_, all := sweep(t, start, rows, 4)
	gaps, err := weights.Gaps(t.Context(), all, held)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gaps { // of second order in the distance of the two: the sign and the size
		if g.Predicted < g.Measured/2 || g.Predicted > 2*g.Measured {
			t.Errorf("%+v", g)
		}
	}
	// By hand for the first pair: losses of the average, and of the mean logits.
	half, err := weights.Soup{Gaps: true}.Apply(t.Context(), weights.SoupInput{In: all[:2], Evaluate: held})
	if err != nil {
		t.Fatal(err)
	}
	loss, _, _, err := held.Loss(t.Context(), half, 1)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := held.Outputs(t.Context(), all[0])
	b, _ := held.Outputs(t.Context(), all[1])
	labels, _ := a.Labels()
	ensemble := 0.0
	for i, label := range labels {
		sum, own := 0.0, 0.0
		for k := range a.Row(i) {
			z := (float64(a.Row(i)[k]) + float64(b.Row(i)[k])) / 2
			sum += math.Exp(z)
			if k == label {
				own = z
			}
		}
		ensemble += (math.Log(sum) - own) / float64(len(labels))
	}
	if math.Abs(loss-ensemble-gaps[0].Measured) > 1e-5 {
		t.Errorf("measured %g, by hand %g", gaps[0].Measured, loss-ensemble)
	}
	if lines := words(t, half, "soup.gaps"); len(lines) != 1 {
		t.Errorf("gaps of two checkpoints: %v", lines)
	}
	if _, err := (weights.Soup{Gaps: true}).Apply(t.Context(), weights.SoupInput{In: all, Evaluate: table(func(w float64) float64 { return w })}); !errors.Is(err, method.ErrInput) {
		t.Errorf("an evaluator without rows: %v", err)
	}
	if _, err := weights.Gaps(t.Context(), data.Checkpoints{all[0], checkpoint(net.New(1, 8, 16, 4))}, held); !errors.Is(err, data.ErrShape) {
		t.Errorf("two architectures: %v", err)
	}
}

// curve has logits 0 and w² + x·w of its one weight w for rows x.
type curve []float64

func (curve) Kind() data.Kind { return data.KindEvaluator }

func (curve) Evaluate(context.Context, *data.Checkpoint) (float64, error) { return 0, nil }

func (c curve) Outputs(_ context.Context, in *data.Checkpoint) (*data.Table, error) {
	w, _, err := in.Floats("w", 1)
	if err != nil {
		return nil, err
	}
	z, labels := make([]float32, 2*len(c)), make([]int, len(c))
	for i, x := range c {
		z[2*i+1] = float32(w[0]*w[0] + x*w[0])
		labels[i] = i % 2
	}
	t, err := data.NewTable(len(c), 2, z)
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, []string{"0", "1"})
}

func TestGapOfASmoothCurve(t *testing.T) {
	var rows curve
	for i := range 200 {
		rows = append(rows, math.Sin(float64(i)))
	}
	// With Δw = 0.4 the average of logits lies 0.04 above the logit of the average: the gap is 0.04·E[p − y] to first order, and
	// what is left out of the prediction is of fourth order.
	gaps, err := weights.Gaps(t.Context(), numbers(0.3, 0.7), rows)
	if err != nil {
		t.Fatal(err)
	}
	mean := 0.0
	for i, x := range rows {
		z := 0.25 + 0.5*x + 0.02
		mean += (1/(1+math.Exp(-z)) - float64(i%2)) / float64(len(rows))
	}
	if want := -0.04 * mean; math.Abs(gaps[0].Measured-want) > 0.02*math.Abs(want) || math.Abs(gaps[0].Predicted-want) > 0.1*math.Abs(want) {
		t.Errorf("%+v, want %g", gaps[0], want)
	}
}
