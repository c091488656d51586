package probe

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "multinomial logistic regression with a penalty on squared weights",
	Paper: "cox1958regression",
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

const (
	logisticSmall       = 1e-6 // the largest derivative at the optimum, by weights of columns of unit size
	logisticSmaller     = 1e-9 // where an evaluation costs little
	logisticLittle      = 1e7  // N·D·K up to which it does
	logisticEvaluations = 2000
)

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
	p, err := c.problem(ctx, train)
	if err != nil {
		return nil, err
	}
	if c.Folds >= 2 {
		if c.Ridge, err = p.folded(ctx, c.Folds, logisticFolded()); err != nil {
			return nil, err
		}
	}
	m, _, err := p.solve(ctx, c.Ridge, nil)
	return m, err
}

// Path fits one model for each penalty, in their place of Ridge and in their order. Each starts from the one before:
// give the penalties from large to small.
func (c Logistic) Path(ctx context.Context, train *data.Table, ridges []float64) ([]*LogisticModel, error) {
	p, err := c.problem(ctx, train)
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
		m, at, err := p.solve(ctx, ridge, theta)
		if err != nil {
			return nil, err
		}
		out, theta = append(out, m), at
	}
	return out, nil
}

// logisticProblem is a problem without its penalty's size.
type logisticProblem struct {
	part.Logistic
	balanced bool
	classes  []string
	center   []float64 // D
	scale    []float64 // D, powers of two: X = (row − center)·scale
	unit     []float64 // D, of the penalty
}

func (c Logistic) problem(ctx context.Context, train *data.Table) (*logisticProblem, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	classes, labels, err := labelled(train)
	if err != nil {
		return nil, err
	}
	n, d := train.Dims()
	p := &logisticProblem{Logistic: part.Logistic{N: n, D: d, K: len(classes), Labels: labels}, balanced: c.Balanced, classes: classes}
	var variance []float64
	p.center, variance = centred(train)
	mean := 0.0
	for _, v := range variance {
		mean += v / float64(d)
	}
	if mean == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, n)
	}
	p.scale, p.unit = make([]float64, d), make([]float64, d)
	for j, v := range variance {
		if !c.Standardize || v == 0 { // the weights of a column that does not vary are zero anyway
			v = mean
		}
		_, e := math.Frexp(v)
		p.scale[j] = math.Ldexp(1, -e/2)
		p.unit[j] = v * p.scale[j] * p.scale[j]
		p.center[j] = float64(float32(p.center[j])) // from which most differences are exact in float32
	}
	p.X = make([]float32, n*d)
	for i := range n {
		to := p.X[i*d : (i+1)*d]
		for j, v := range train.Row(i) {
			to[j] = float32((float64(v) - p.center[j]) * p.scale[j])
		}
	}
	p.weigh()
	return p, nil
}

// weigh sets the classes' weights by their rows.
func (p *logisticProblem) weigh() { p.Weights, _ = classWeights(p.Labels, p.K, p.balanced) }

// solve starts from theta, or from zero, and returns where it came as well.
func (p *logisticProblem) solve(ctx context.Context, ridge float64, theta []float64) (*LogisticModel, []float64, error) {
	p.Penalty = make([]float64, p.D)
	for j, v := range p.unit {
		p.Penalty[j] = ridge * v
	}
	if theta == nil {
		theta = p.start()
	}
	theta = slices.Clone(theta)
	m := &LogisticModel{ridge: ridge}
	var made int
	var err error
	small := logisticSmall
	if float64(p.N)*float64(p.D)*float64(p.K) <= logisticLittle {
		small = logisticSmaller
	}
	if m.objective, m.residual, made, err = p.Solve(ctx, theta, small, logisticEvaluations); err != nil {
		return nil, nil, err
	}
	if !(m.residual <= logisticSmall) {
		return nil, nil, fmt.Errorf("%w: the largest derivative is still %.2g after %d evaluations, wanted %g; raise --ridge above %g", method.ErrDegenerate, m.residual, made, logisticSmall, ridge)
	}
	weights, intercept := slices.Clone(theta[:p.D*p.K]), slices.Clone(theta[p.D*p.K:])
	for i := range weights {
		weights[i] *= p.scale[i/p.K]
	}
	mean := 0.0
	for _, v := range intercept { // softmax does not notice what is added to all
		mean += v / float64(p.K)
	}
	for c := range intercept {
		intercept[c] -= mean
	}
	m.head = newHead(p.classes, p.center, weights, intercept)
	m.separated = p.separated(m.head, theta)
	return m, theta, nil
}

// start is the solution for an infinite penalty: intercepts alone.
func (p *logisticProblem) start() []float64 {
	theta := make([]float64, p.D*p.K+p.K)
	share := theta[p.D*p.K:]
	for _, l := range p.Labels {
		share[l] += p.Weights[l]
	}
	for c, v := range share {
		share[c] = math.Log(max(v, 1e-9)) // a fold may lack a class
	}
	return theta
}

// separated reports whether every training row's own class has the largest logit by itself.
func (p *logisticProblem) separated(h *head, theta []float64) bool {
	plain := newHead(h.classes, make([]float64, p.D), theta[:p.D*p.K], theta[p.D*p.K:])
	var right = make([]bool, p.N)
	plain.linear.Each(p.X, p.N, func(lo, hi int, z []float64) {
		for i := lo; i < hi; i++ {
			row := z[(i-lo)*p.K : (i-lo+1)*p.K]
			right[i] = true
			for c, v := range row {
				own := p.Labels[i]
				right[i] = right[i] && (c == own || v+plain.intercept[c] < row[own]+plain.intercept[own])
			}
		}
	})
	return !slices.Contains(right, false)
}

// folded returns the penalty with the least mean log loss over rows that were left out, every folds-th of its class in turn.
func (p *logisticProblem) folded(ctx context.Context, folds int, ridges []float64) (float64, error) {
	turn, fold := make([]int, p.K), make([]int, p.N)
	for i, l := range p.Labels {
		fold[i] = turn[l] % folds
		turn[l]++
	}
	if slices.Max(turn) < folds {
		return 0, fmt.Errorf("%w: no class has %d rows, so they cannot be cut into as many folds; lower --folds", method.ErrDegenerate, folds)
	}
	losses := make([]float64, len(ridges))
	for f := range folds {
		in := *p
		in.X, in.Labels = nil, nil
		out := in
		for i, l := range p.Labels {
			to := &in
			if fold[i] == f {
				to = &out
			}
			to.X, to.Labels = append(to.X, p.X[i*p.D:(i+1)*p.D]...), append(to.Labels, l)
		}
		in.N, out.N = len(in.Labels), len(out.Labels)
		in.weigh()
		if out.N == 0 {
			continue
		}
		var theta []float64
		for r, ridge := range ridges {
			method.Progress(ctx, f*len(ridges)+r, folds*len(ridges))
			var err error
			if _, theta, err = in.solve(ctx, ridge, theta); err != nil {
				return 0, err
			}
			out.Penalty, out.Weights = make([]float64, p.D), p.Weights
			losses[r] += out.Loss(theta)
		}
	}
	best := 0
	for r, v := range losses {
		if v < losses[best] {
			best = r
		}
	}
	return ridges[best], nil
}

// LogisticModel is a fitted [Logistic].
type LogisticModel struct {
	head                       *head
	ridge, objective, residual float64
	separated                  bool
}

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
	st := m.head.state()
	separated := 0.0
	if m.separated {
		separated = 1
	}
	st.Tensors["fit"] = data.Float64Tensor([]float64{m.ridge, m.objective, m.residual, separated}, 4)
	return st
}

func loadLogistic(_ Logistic, st *data.Checkpoint) (*LogisticModel, error) {
	r := st.Read()
	fit := r.Floats("fit", 4)
	h, err := loadHead(r)
	if err != nil {
		return nil, err
	}
	return &LogisticModel{h, fit[0], fit[1], fit[2], fit[3] != 0}, nil
}
