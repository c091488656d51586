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

const (
	logisticSmall       = 1e-6 // the largest derivative at the optimum, by weights of columns of unit size
	logisticSmaller     = 1e-9 // where an evaluation costs little
	logisticLittle      = 1e7  // N·D·K up to which it does
	logisticEvaluations = 2000
)

// logisticProblem is a problem without its penalty's size.
type logisticProblem struct {
	part.Logistic
	balanced bool
	classes  []string
	center   []float64 // D
	scale    []float64 // D, powers of two: X = (row − center)·scale
	unit     []float64 // D, of the penalty
}

func newLogisticProblem(ctx context.Context, train *data.Table, standardize, balanced bool) (*logisticProblem, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	classes, labels, err := labelled(train)
	if err != nil {
		return nil, err
	}
	n, d := train.Dims()
	p := &logisticProblem{Logistic: part.Logistic{N: n, D: d, K: len(classes), Labels: labels}, balanced: balanced, classes: classes}
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
		if !standardize || v == 0 { // the weights of a column that does not vary are zero anyway
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
func (p *logisticProblem) solve(ctx context.Context, ridge float64, theta []float64) (logisticFit, []float64, error) {
	p.Penalty = make([]float64, p.D)
	for j, v := range p.unit {
		p.Penalty[j] = ridge * v
	}
	if theta == nil {
		theta = p.start()
	}
	theta = slices.Clone(theta)
	m := logisticFit{ridge: ridge}
	var made int
	var err error
	small := logisticSmall
	if float64(p.N)*float64(p.D)*float64(p.K) <= logisticLittle {
		small = logisticSmaller
	}
	if m.objective, m.residual, made, err = p.Solve(ctx, theta, small, logisticEvaluations); err != nil {
		return m, nil, err
	}
	if !(m.residual <= logisticSmall) {
		return m, nil, fmt.Errorf("%w: the largest derivative is still %.2g after %d evaluations, wanted %g; raise --ridge above %g", method.ErrDegenerate, m.residual, made, logisticSmall, ridge)
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

// logisticFit is a head and how it was found.
type logisticFit struct {
	head                       *head
	ridge, objective, residual float64
	separated                  bool
}

func (f logisticFit) state() *data.Checkpoint {
	st := f.head.state()
	separated := 0.0
	if f.separated {
		separated = 1
	}
	st.Tensors["fit"] = data.Float64Tensor([]float64{f.ridge, f.objective, f.residual, separated}, 4)
	return st
}

func loadLogisticFit(st *data.Checkpoint) (logisticFit, error) {
	r := st.Read()
	fit := r.Floats("fit", 4)
	h, err := loadHead(r)
	if err != nil {
		return logisticFit{}, err
	}
	return logisticFit{h, fit[0], fit[1], fit[2], fit[3] != 0}, nil
}
