package probe

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "logistic regression with the training shares of classes taken out of its logits",
	Paper: "menon2021long",
}, LogitAdjustment.Fit, loadLogitAdjustment))

// LogitAdjustment classifies as if all classes were equally frequent, by a logistic head from which their training shares are taken.
//
// It is the logit adjustment of Menon et al. (2021): the head is fitted to the rows as they are, and Exponent · log share is
// subtracted from a class's logit. With Exponent 1 that is the rule with the least balanced error, where the head is right.
// A head that ends in free intercepts comes out the same when the shares enter the loss instead, as in their adjusted loss
// and in the balanced softmax of Ren et al. (2020): the intercepts take them up. Prefer it over [Logistic] with Balanced for
// long tails: no row of a rare class is counted a hundredfold, so few odd ones do no harm.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough, and classes without rows are left out. It holds a float32 copy of the rows.
// Predict: N×K class probabilities where classes are equally frequent (with Exponent 1).
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or the optimum is not reached.
// Differs: a linear head on frozen features, solved to its optimum, where the authors train networks; the penalty is ours.
// Source:  menon2021long, eq. (9)-(10); ren2020balanced, eq. (4).
// Claim:   claims/probe/logitadjustment.go.
type LogitAdjustment struct {
	// Ridge is the penalty on squared weights, as a share of the columns' mean variance.
	Ridge float64 `default:"1e-3" range:"[1e-9,1e6]" unit:"share of the mean variance"`
	// Exponent is the paper's τ: the power of the shares that is taken out. 1 is right for a head that estimates probabilities well; more favours rare classes further.
	Exponent float64 `default:"1" range:"(0,10]"`
}

// Fit finds the weights.
func (c LogitAdjustment) Fit(ctx context.Context, train *data.Table) (*LogitAdjustmentModel, error) {
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
	_, share := classWeights(p.Labels, p.K, false)
	for l, v := range share {
		fit.head.intercept[l] -= c.Exponent * math.Log(v)
	}
	return &LogitAdjustmentModel{fit}, nil
}

// LogitAdjustmentModel is a fitted [LogitAdjustment].
type LogitAdjustmentModel struct{ logisticFit }

// Predict returns each row's class probabilities, N×K.
func (m *LogitAdjustmentModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("logitadjustment", in)
}

// Logits returns each row's adjusted logits, N×K.
func (m *LogitAdjustmentModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("logitadjustment", in)
}

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *LogitAdjustmentModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// State returns the model as tensors.
func (m *LogitAdjustmentModel) State() *data.Checkpoint { return m.logisticFit.state() }

func loadLogitAdjustment(_ LogitAdjustment, st *data.Checkpoint) (*LogitAdjustmentModel, error) {
	fit, err := loadLogisticFit(st)
	if err != nil {
		return nil, err
	}
	return &LogitAdjustmentModel{fit}, nil
}
