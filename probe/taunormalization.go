package probe

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "logistic regression whose classes' weights are brought to one length",
	Paper: "kang2020decoupling",
}, TauNormalization.Fit, loadTauNormalization))

// TauNormalization classifies by a logistic head each of whose classes' weights is divided by a power of its length, measured from the mean of the class means, without intercepts.
//
// It is the τ-normalised classifier of Kang et al. (2020) for long tails: a head trained on many rows of one class and few of
// another gives the frequent one longer weights, which is taken back after training, without a second one. Prefer it over
// [LogitAdjustment] when the shares of classes in training are not to be trusted either; [LogitAdjustment] is the rule of
// least balanced error where the head's probabilities are right, and gained 9 points more in this one's claim, which came out open.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough, and classes without rows are left out. It holds a float32 copy of the rows.
// Predict: N×K class probabilities.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or the optimum is not reached.
// Differs: a linear head on frozen features that are centred at the mean of the class means, which stands for the intercepts, solved to its optimum, where the authors train networks; all lengths are then multiplied by one number, so that the mean length stays and probabilities keep their sharpness.
// Source:  kang2020decoupling, eq. (3).
// Claim:   claims/probe/taunormalization.go.
type TauNormalization struct {
	// Ridge is the penalty on squared weights, as a share of the columns' mean variance.
	Ridge float64 `default:"1e-3" range:"[1e-9,1e6]" unit:"share of the mean variance"`
	// Exponent is the paper's τ, the power of a length that is divided by: 1 makes all lengths equal; the paper chooses it on held-out rows.
	Exponent float64 `default:"1" range:"(0,10]"`
}

// Fit finds the weights and brings them to length.
func (c TauNormalization) Fit(ctx context.Context, train *data.Table) (*TauNormalizationModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	p, err := newLogisticProblem(ctx, train, false, false)
	if err != nil {
		return nil, err
	}
	fit, _, err := p.solve(ctx, c.Ridge, nil)
	if err != nil {
		return nil, err
	}
	d, k, w := p.D, p.K, fit.head.linear.Matrix
	lengths, before, after := make([]float64, k), 0.0, 0.0
	for i, v := range w {
		lengths[i%k] += v * v
	}
	for l, v := range lengths {
		lengths[l] = math.Sqrt(v)
		before += lengths[l]
		if v > 0 { // the only class of its table has no weights
			after += math.Pow(lengths[l], 1-c.Exponent)
		}
	}
	for i := range d * k {
		if own := lengths[i%k]; own > 0 {
			w[i] *= math.Pow(own, -c.Exponent) * before / after
		}
	}
	clear(fit.head.intercept)
	counts := make([]float64, k)
	for _, l := range p.Labels {
		counts[l]++
	}
	middle := make([]float64, d) // from the center
	for i, l := range p.Labels {
		for j, v := range train.Row(i) {
			middle[j] += (float64(v) - p.center[j]) / (counts[l] * float64(k))
		}
	}
	for j, v := range middle {
		fit.head.linear.Center[j] += v
	}
	return &TauNormalizationModel{fit}, nil
}

// TauNormalizationModel is a fitted [TauNormalization].
type TauNormalizationModel struct{ logisticFit }

// Predict returns each row's class probabilities, N×K.
func (m *TauNormalizationModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("taunormalization", in)
}

// Logits returns each row's logits, N×K.
func (m *TauNormalizationModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("taunormalization", in)
}

// Linear returns the head itself: logits = (x − center)·weights, with D, D×K and K values, the last of them zero. The caller must not change them.
func (m *TauNormalizationModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// State returns the model as tensors.
func (m *TauNormalizationModel) State() *data.Checkpoint { return m.logisticFit.state() }

func loadTauNormalization(_ TauNormalization, st *data.Checkpoint) (*TauNormalizationModel, error) {
	fit, err := loadLogisticFit(st)
	if err != nil {
		return nil, err
	}
	return &TauNormalizationModel{fit}, nil
}
