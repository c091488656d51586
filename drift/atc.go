package drift

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "accuracy of a window without labels, as the share of rows above a learned confidence",
	Paper:  "garg2022leveraging",
	Exempt: map[string]string{"exchange": "the threshold is learned from the labelled reference, section 4"},
}, ATC.Fit, loadATC))

// ATC estimates the accuracy of a classifier on a window without labels, as the share of rows whose confidence is above a threshold: the one above
// which the reference has as many rows as it has right answers (average thresholded confidence).
//
// It is the estimator of Garg et al. (2022). Confidence may be off by any increasing function; what it must do is rank rows
// alike before and after. Prefer [CBPE] when probabilities are calibrated and the shift is one of class frequencies.
//
// Fits on: Logits N×K with N ≥ 2 and K ≥ 2, all rows labelled.
// Test:    logits m×K with m ≥ 1, no labels. Statistic: estimated accuracy. Effect: its change against the reference's estimate. p-value: exact, of the same share above the threshold.
// Errors:  ErrInput without logits; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and for an empty window.
// Differs: rows that tie with the threshold count as above it.
// Source:  garg2022leveraging, section 4; phipson2010permutation.
// Claim:   claims/drift/atc.go.
type ATC struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Permutations is P, how many relabellings the change is ranked among.
	Permutations int `default:"999" range:"[19,1e7]"`
	// Strategy says what a row's confidence is: the negative entropy of its probabilities, the paper's choice, or the largest of them.
	Strategy string `default:"entropy" enum:"entropy,maximum"`
	// Temperature divides logits before the softmax; 0 learns it from the reference's labels.
	Temperature float64 `range:"[0,1e6]"`
	// Seed starts the drawing of relabellings.
	Seed uint64
}

// Fit finds the threshold.
func (c ATC) Fit(ctx context.Context, in LogitsInput) (*ATCModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := in.read(ctx)
	if err != nil {
		return nil, err
	}
	m := c.model()
	m.k, m.accuracy, m.temperature = o.k, o.accuracy(), o.temperature(c.Temperature)
	var scores []float64
	for row := range slices.Chunk(o.logits, o.k) {
		scores = append(scores, m.score(row))
	}
	slices.Sort(scores)
	right := int(math.Round(m.accuracy * float64(o.n)))
	m.threshold = 1 // above every confidence
	if right > 0 {
		m.threshold = scores[o.n-right]
	}
	for row := range slices.Chunk(o.logits, o.k) {
		m.reference = append(m.reference, m.above(row))
	}
	slices.Sort(m.reference)
	return m, nil
}

func (c ATC) model() *ATCModel {
	return &ATCModel{confidence: confidence{name: "atc", level: c.Level, permutations: c.Permutations, seed: c.Seed}, strategy: c.Strategy}
}

// ATCModel is a fitted [ATC].
type ATCModel struct {
	confidence
	strategy  string
	threshold float64 // of the confidence
}

// score is a row's confidence: minus the entropy of its probabilities, or the largest of them less one, both at most zero.
func (m *ATCModel) score(row []float64) float64 {
	p := make([]float64, len(row))
	num.Softmax(p, row, m.temperature)
	if m.strategy == "maximum" {
		return slices.Max(p) - 1
	}
	sum := 0.0
	for _, v := range p {
		if v > 0 {
			sum += v * math.Log(v)
		}
	}
	return sum
}

func (m *ATCModel) above(row []float64) float64 {
	if m.score(row) >= m.threshold {
		return 1
	}
	return 0
}

// Test estimates the accuracy on a window and compares it with the reference's.
func (m *ATCModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	return m.test(ctx, window, m.above)
}

// State returns the model as tensors.
func (m *ATCModel) State() *data.Checkpoint {
	st := m.confidence.State()
	st.Tensors["threshold"] = data.Float64Tensor([]float64{m.threshold}, 1)
	return st
}

func loadATC(c ATC, st *data.Checkpoint) (*ATCModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m := c.model()
	r := st.Read()
	threshold := r.Floats("threshold", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if m.threshold = threshold[0]; m.threshold > 1 {
		return nil, fmt.Errorf("%w: a confidence of %v", data.ErrFormat, m.threshold)
	}
	return m, m.load(st)
}
