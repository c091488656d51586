package probe

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a logistic head on the few factors that rows without labels reveal",
	Paper: "ge2024provable",
}, UnsupGain.Fit, loadUnsupGain))

// UnsupGain classifies by a logistic head on the latent factors of a Gaussian factor model, which rows without a label help to find.
//
// It is the two-phase estimator of Ge et al. (2024) for linear factors: maximum likelihood of a latent-variable model on all
// rows, in closed form by probabilistic principal components (Tipping and Bishop 1999), then the least log loss on the labelled rows with
// the factors fixed. It reports how many unlabelled rows theory wants before this beats learning from labels alone.
// O(N·D²+D³). Prefer it over [Logistic] with fewer labels than columns and many more rows without; with
// labels in plenty, or classes that differ along directions of little variance, it loses what it leaves out.
//
// Fits on: Table N×D; rows without a class count as unlabelled. At least one row needs a label; classes without rows are left out.
// Predict: N×K class probabilities.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when no row has a label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or the optimum is not reached.
// Differs: factors are not scaled to deviation one, so that the head's penalty favours large ones; columns are measured in units of one common size; the rank is chosen by the Bayesian information criterion unless given. The terms of the bound have constants of one.
// Source:  ge2024provable, the factor model; tipping1999probabilistic, section 3.
// Claim:   claims/probe/unsupgain.go.
type UnsupGain struct {
	// Rank is the number of factors; 0 takes the one that the Bayesian information criterion prefers.
	Rank int `range:"[0,1e6]"`
	// Ridge is the penalty on squared weights of the factors, as a share of their mean variance.
	Ridge float64 `default:"1e-3" range:"[1e-9,1e6]" unit:"share of the mean variance"`
}

// Fit finds the factors and then the head.
func (c UnsupGain) Fit(ctx context.Context, train *data.Table) (*UnsupGainModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, d := train.Dims()
	if n == 0 || d == 0 {
		return nil, fmt.Errorf("%w: a table of %d rows and %d feature columns has nothing to learn from", data.ErrShape, n, d)
	}
	of, err := train.Labels()
	if err != nil {
		return nil, err
	}
	var rows []int
	for i, l := range of {
		if l >= 0 {
			rows = append(rows, i)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w: none of %d rows has one", data.ErrLabels, n)
	}
	center, variance := centred(train)
	mean := 0.0
	for _, v := range variance {
		mean += v / float64(d)
	}
	if mean == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, n)
	}
	scale := 1 / math.Sqrt(mean)
	x := make([]float64, n*d)
	for i := range n {
		for j, v := range train.Row(i) {
			x[i*d+j] = (float64(v) - center[j]) * scale
		}
	}
	cov := make([]float64, d*d)
	num.Gemm(true, false, d, d, n, 1/float64(n), x, d, x, d, 0, cov, d)
	values, vectors, full, ok := part.Spectrum(cov, d)
	if !ok || full == 0 {
		return nil, fmt.Errorf("%w: the covariance of %d rows has no eigenvalues", method.ErrDegenerate, n)
	}
	rank := min(c.Rank, full)
	if rank == 0 {
		rank = unsupGainRank(values[:full], n)
	}
	noise := 0.0 // variance beside the factors: the mean of the eigenvalues that are left out
	for _, v := range values[rank:] {
		noise += max(v, 0) / float64(d-rank)
	}
	// The posterior mean of a row less its noise, along a factor, is its projection shrunk by (λ−σ²)/λ: factors keep the
	// deviation that they have among the columns, so that the penalty holds small ones against large ones.
	load := make([]float64, d*rank)
	for r := range rank {
		by := max(values[r]-noise, values[r]*1e-12) / values[r]
		top := 0
		for j := range d { // the sign in which its largest element is positive
			if math.Abs(vectors[j*d+r]) > math.Abs(vectors[top*d+r]) {
				top = j
			}
		}
		by = math.Copysign(by, vectors[top*d+r])
		for j := range d {
			load[j*rank+r] = by * vectors[j*d+r]
		}
	}
	z := make([]float64, n*rank)
	num.Gemm(false, false, n, rank, d, 1, x, d, load, rank, 0, z, rank)
	factors := make([]float32, 0, len(rows)*rank)
	for _, i := range rows {
		for _, v := range z[i*rank : (i+1)*rank] {
			factors = append(factors, float32(v))
		}
	}
	latent, err := data.NewTable(len(rows), rank, factors)
	if err != nil {
		return nil, err
	}
	labels := make([]int, len(rows))
	for r, i := range rows {
		labels[r] = of[i]
	}
	if latent, err = latent.WithLabels(labels, train.Classes()); err != nil {
		return nil, err
	}
	problem, err := newLogisticProblem(ctx, latent, false, false)
	if err != nil {
		return nil, err
	}
	inner, _, err := problem.solve(ctx, c.Ridge, nil)
	if err != nil {
		return nil, err
	}
	k := len(inner.head.classes)
	weights, intercept := make([]float64, d*k), slices.Clone(inner.head.intercept)
	num.Gemm(false, false, d, k, rank, scale, load, rank, inner.head.linear.Matrix, k, 0, weights, k)
	for r, v := range inner.head.linear.Center {
		for l := range k {
			intercept[l] -= v * inner.head.linear.Matrix[r*k+l]
		}
	}
	return &UnsupGainModel{newHead(inner.head.classes, center, weights, intercept), []float64{float64(n), float64(len(rows)), float64(rank), noise / scale / scale}}, nil
}

// unsupGainRank is the number of factors with the best Bayesian information criterion, of the eigenvalues that are not zero.
func unsupGainRank(values []float64, n int) int {
	d := len(values)
	best, least := 1, math.Inf(1)
	logs := 0.0
	for r := 1; r < d; r++ {
		logs += math.Log(values[r-1])
		rest := 0.0
		for _, v := range values[r:] {
			rest += v / float64(d-r)
		}
		parameters := float64(d*r) - float64(r*(r-1))/2 + 1
		if v := float64(n)*(logs+float64(d-r)*math.Log(rest)) + parameters*math.Log(float64(n)); v < least {
			best, least = r, v
		}
	}
	return best
}

// UnsupGainModel is a fitted [UnsupGain].
type UnsupGainModel struct {
	head *head
	fit  []float64 // rows, labelled rows, rank, noise
}

// Predict returns each row's class probabilities, N×K.
func (m *UnsupGainModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("unsupgain", in)
}

// Logits returns each row's logits, N×K.
func (m *UnsupGainModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("unsupgain", in)
}

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *UnsupGainModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// Crossover is the number of rows from which theory expects the two phases to be ahead of learning from labels alone:
// where D·R/rows + R·K/labels falls below D·K/labels, constants being one; +Inf when the rank leaves nothing to gain.
func (m *UnsupGainModel) Crossover() float64 {
	d, k, labels, rank := float64(m.head.linear.D), float64(len(m.head.classes)), m.fit[1], m.fit[2]
	if rank >= d {
		return math.Inf(1)
	}
	return d * rank * labels / (k * (d - rank))
}

// Report tells the rows, those with labels, the factors, the variance beside them, the two terms of the bound on the excess
// error and that of labels alone, and from how many rows on the sum is below it, where it ever is.
func (m *UnsupGainModel) Report() data.Numbers {
	d, k, rows, labels, rank := float64(m.head.linear.D), float64(len(m.head.classes)), m.fit[0], m.fit[1], m.fit[2]
	report := data.Numbers{
		"rows": rows, "labelled_rows": labels, "rank": rank, "noise_variance": m.fit[3],
		"factor_term": d * rank / rows, "head_term": rank * k / labels, "labels_alone_term": d * k / labels,
	}
	if at := m.Crossover(); !math.IsInf(at, 1) {
		report["crossover_rows"] = math.Ceil(at)
	}
	return report
}

// State returns the model as tensors.
func (m *UnsupGainModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["fit"] = data.Float64Tensor(m.fit, 4)
	return st
}

func loadUnsupGain(_ UnsupGain, st *data.Checkpoint) (*UnsupGainModel, error) {
	r := st.Read()
	fit := r.Floats("fit", 4)
	h, err := loadHead(r)
	if err != nil {
		return nil, err
	}
	if !(fit[0] >= fit[1] && fit[1] >= 1 && fit[2] >= 1) {
		return nil, fmt.Errorf("%w: %g rows, %g labels, rank %g", data.ErrFormat, fit[0], fit[1], fit[2])
	}
	return &UnsupGainModel{h, fit}, nil
}
