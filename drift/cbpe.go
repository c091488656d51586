package drift

import (
	"context"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "accuracy of a window without labels, from calibrated confidence",
	Paper:  "guillory2021predicting",
	Exempt: map[string]string{"exchange": "the reference has labels and its accuracy, the window has none, section 4"},
}, CBPE.Fit, loadCBPE))

// CBPE estimates the accuracy of a classifier on a window without labels, by confidence-based performance estimation: the mean of its calibrated
// largest probabilities.
//
// The estimate is right exactly when probabilities are calibrated on the window, which one temperature, learned on the labelled
// reference, sees to there and no shift guarantees; read it beside the alarm, whose p-value needs no calibration. When classes
// look the same and only their frequencies change it holds well; for new kinds of rows it is too hopeful. Prefer [ATC] where
// confidence is known to be off.
//
// Fits on: Logits N×K with N ≥ 2 and K ≥ 2, all rows labelled.
// Test:    logits m×K with m ≥ 1, no labels. Statistic: estimated accuracy. Effect: its change against the reference's estimate. p-value: exact, of the same mean confidence.
// Errors:  ErrInput without logits; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and for an empty window.
// Differs: one temperature in place of isotonic calibration, so that few rows suffice.
// Source:  guillory2021predicting, average confidence; guo2017calibration, section 4.2; phipson2010permutation.
// Claim:   claims/drift/cbpe.go.
type CBPE struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Permutations is P, how many relabellings the change is ranked among.
	Permutations int `default:"999" range:"[19,1e7]"`
	// Temperature divides logits before the softmax; 0 learns it from the reference's labels.
	Temperature float64 `range:"[0,1e6]"`
	// Seed starts the drawing of relabellings.
	Seed uint64
}

// Fit keeps the confidence of the reference rows.
func (c CBPE) Fit(ctx context.Context, in LogitsInput) (*CBPEModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := in.read(ctx)
	if err != nil {
		return nil, err
	}
	m := c.model()
	m.k, m.accuracy, m.temperature = o.k, o.accuracy(), o.temperature(c.Temperature)
	for row := range slices.Chunk(o.logits, o.k) {
		m.reference = append(m.reference, largestProbability(row, m.temperature))
	}
	slices.Sort(m.reference)
	return m, nil
}

func (c CBPE) model() *CBPEModel {
	return &CBPEModel{confidence{name: "cbpe", level: c.Level, permutations: c.Permutations, seed: c.Seed}}
}

// CBPEModel is a fitted [CBPE].
type CBPEModel struct{ confidence }

// Test estimates the accuracy on a window and compares it with the reference's.
func (m *CBPEModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	return m.test(ctx, window, func(row []float64) float64 { return largestProbability(row, m.temperature) })
}

func loadCBPE(c CBPE, st *data.Checkpoint) (*CBPEModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m := c.model()
	return m, m.load(st)
}
