package probe

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "multinomial logistic regression with a penalty on squared weights",
	Paper: "cox1958regression", Labels: "many",
}, Logistic.Fit, loadLogistic))

// Logistic classifies by a linear map whose softmax makes the training rows' labels most likely, less a penalty on its weights.
//
// It is multinomial logistic regression (Cox 1958), what libraries fit as a linear probe by default, solved to the optimum
// and not for a number of epochs: O(N·D·K) an evaluation, some tens of evaluations, O(K·D) a row to predict. It models the
// border between classes and nothing else, so it wins over [NaiveBayes] and [Ridge] with many labels; [Ridge] is hundreds
// of times faster and takes streams.
//
// The objective is the mean log loss plus Ridge/2 · (mean variance of the columns) · ‖weights‖². Rows that a plane separates
// have no finite optimum without a penalty; with one they do, and [LogisticModel.Separated] says that the penalty alone
// keeps the weights finite, so that probabilities tell more of Ridge than of the rows.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough, and classes without rows are left out. It holds a float32 copy of the rows.
// Predict: N×K class probabilities.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or when the largest derivative is still above 1e-6 after 2,000 evaluations.
// Differs: the penalty is in units of mean log loss and of the features' variance, so it depends neither on N nor on the scale of all features; scikit-learn's C is 1/(N·Ridge·mean variance). The intercepts are not penalised.
// Source:  cox1958regression; nocedal2006numerical, algorithms 7.4 and 3.1.
// Claim:   none: it is here to be compared with, and claims of other heads run it as their baseline.
type Logistic struct {
	// Ridge is the penalty on squared weights, as a share of the columns' mean variance. Raise it when N is near D, lower it towards 1e-5 when N > 100·D; Folds chooses it.
	Ridge float64 `default:"1e-3" range:"[1e-9,1e6]" unit:"share of the mean variance"`
	// Standardize takes Ridge of each column's own variance, for tables whose columns have different units.
	Standardize bool
	// Balanced weighs rows so that all classes count the same, whatever their share of the training rows.
	Balanced bool
	// Folds cuts the rows, when it is at least 2, into so many parts and takes, instead of Ridge, the one of 1, 1/√10, 1/10, … 1e-5 with the least log loss on the rows that were left out.
	Folds int `range:"[0,100]"`
}

// logisticFolded are the penalties that Folds chooses from, largest first.
func logisticFolded() (ridges []float64) {
	for e := range 11 {
		ridges = append(ridges, math.Pow(10, -float64(e)/2))
	}
	return ridges
}

// Fit finds the weights.
func (c Logistic) Fit(ctx context.Context, train *data.Table) (*LogisticModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	p, err := newLogisticProblem(ctx, train, c.Standardize, c.Balanced)
	if err != nil {
		return nil, err
	}
	if c.Folds >= 2 {
		if c.Ridge, err = p.folded(ctx, c.Folds, logisticFolded()); err != nil {
			return nil, err
		}
	}
	fit, _, err := p.solve(ctx, c.Ridge, nil)
	if err != nil {
		return nil, err
	}
	return &LogisticModel{fit}, nil
}

// Path fits one model for each penalty, in their place of Ridge and in their order. Each starts from the one before:
// give the penalties from large to small.
func (c Logistic) Path(ctx context.Context, train *data.Table, ridges []float64) ([]*LogisticModel, error) {
	p, err := newLogisticProblem(ctx, train, c.Standardize, c.Balanced)
	if err != nil {
		return nil, err
	}
	var out []*LogisticModel
	var theta []float64
	for _, ridge := range ridges {
		c.Ridge = ridge
		if err := method.Ready(&c); err != nil {
			return nil, err
		}
		fit, at, err := p.solve(ctx, ridge, theta)
		if err != nil {
			return nil, err
		}
		out, theta = append(out, &LogisticModel{fit}), at
	}
	return out, nil
}

// LogisticModel is a fitted [Logistic].
type LogisticModel struct{ logisticFit }

// Predict returns each row's class probabilities, N×K.
func (m *LogisticModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("logistic", in)
}

// Logits returns each row's logits, N×K.
func (m *LogisticModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("logistic", in)
}

// Ridge returns the penalty that was used: the given or the chosen one.
func (m *LogisticModel) Ridge() float64 { return m.ridge }

// Objective returns the mean log loss of the training rows plus the penalty, in nats.
func (m *LogisticModel) Objective() float64 { return m.objective }

// Residual returns the size of the objective's largest derivative, which is zero at the optimum: by the weight of a column
// divided by a power of two near its deviation (of all columns, unless Standardize), or by an intercept.
func (m *LogisticModel) Residual() float64 { return m.residual }

// Separated reports that the head gets every training row right, so that without a penalty there would be no finite optimum.
func (m *LogisticModel) Separated() bool { return m.separated }

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *LogisticModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// State returns the model as tensors.
func (m *LogisticModel) State() *data.Checkpoint {
	return m.logisticFit.state()
}

func loadLogistic(_ Logistic, st *data.Checkpoint) (*LogisticModel, error) {
	fit, err := loadLogisticFit(st)
	if err != nil {
		return nil, err
	}
	return &LogisticModel{fit}, nil
}
