package probe

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "least squares on class indicators, with probabilities calibrated without held-out rows",
	Paper: "hoerl1970ridge", Default: true,
}, moments.Classes, Ridge.FitMoments, loadRidge))

// Ridge classifies by a linear map fitted to class indicators with least squares and a penalty on its weights.
//
// It is the ridge regression of Hoerl and Kennard (1970) as a head on frozen features, in closed form: no steps, no
// learning rate, one pass, O(N·D²+D³) to fit, O(K·D) a row to predict. It sees through correlated features, which
// [NaiveBayes] counts twice, so prefer it on a network's features.
//
// The fitted values estimate the probability of each class but leave [0, 1], so Predict takes their softmax after dividing
// by a temperature. That is the one with the least log loss expected on left-out rows, whose scores are taken to be
// Gaussian in each class: a row counts as left out by subtracting the average row's pull on its own score. Neither needs
// the rows again. The most probable class is always the one with the largest fitted value.
//
// Fits on: Table N×D with a label for every row, N ≥ 2.
// Predict: N×K probabilities of the classes.
// Logits:  N×K, fitted values over the temperature; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrDegenerate when all rows are equal, or the covariance stays singular after Ridge; ErrShape on another width.
// Differs: the penalty is in units of variance, so it does not depend on N or on the scale of all features; the intercept is not penalised; Standardize, Balanced and the temperature are ours.
// Source:  hoerl1970ridge.
// Claim:   claims/probe/ridge.go.
type Ridge struct {
	// Ridge is added to the covariance's diagonal, as a share of its mean variance. A tenth loses under a point of accuracy with plenty of rows and gains ten and more when N is near D, where a small penalty fits noise; lower it when N > 100·D.
	Ridge float64 `default:"0.1" range:"(0,1e6]" unit:"share of the mean variance"`
	// Standardize takes Ridge of each column's own variance, for tables whose columns have different units; a network's features do better without, because their weakest columns hold mostly noise.
	Standardize bool
	// Balanced takes all classes to be equally frequent, and spread alike. Choose it when small classes matter as much as large ones.
	Balanced bool
}

// Fit learns the weights from a table or a stream, in one or two passes.
func (c Ridge) Fit(ctx context.Context, train data.Source) (*RidgeModel, error) {
	return method.FitMoments(ctx, moments.Classes, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c Ridge) FitMoments(s *moments.State) (*RidgeModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	d, _ := s.Dims()
	p, err := c.problem(s)
	if err != nil {
		return nil, err
	}
	penalty, ok := c.penalty(p.cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, s.Rows())
	}
	for j, v := range penalty {
		p.cov[j*d+j] += v
	}
	chol, ok := num.NewChol(p.cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: the covariance stays singular after a ridge of %g; raise --ridge", method.ErrDegenerate, c.Ridge)
	}
	k := len(p.share)
	weights := slices.Clone(p.cross)
	chol.Solve(weights, k)
	m := &RidgeModel{temperature: p.temperature(weights, penalty, chol)}
	intercept := slices.Clone(p.share)
	for i := range intercept {
		intercept[i] /= m.temperature
	}
	for i := range weights {
		weights[i] /= m.temperature
	}
	m.head = newHead(s.Classes(), p.center, weights, intercept)
	return m, nil
}

// ridgeProblem is what least squares on class indicators needs to know of the rows.
type ridgeProblem struct {
	rows   float64   // N, or as many rows of equally frequent classes as would say as much
	share  []float64 // K, of the rows that each class has or is taken to have
	center []float64 // D
	cov    []float64 // D×D, C
	cross  []float64 // D×K, G: the covariance of features and indicators, share × (class mean − center)
}

func (c Ridge) problem(s *moments.State) (ridgeProblem, error) {
	n, classes := float64(s.Rows()), s.Classes()
	k := len(classes)
	p := ridgeProblem{rows: n, share: make([]float64, k), center: s.Mean(), cross: s.Indicators()}
	for l, name := range classes {
		p.share[l] = float64(s.Count(name)) / n
	}
	if !c.Balanced {
		p.cov = s.Covariance()
		return p, nil
	}
	var err error
	if p.cov, err = s.PooledCovariance(); err != nil {
		return p, err
	}
	inverse := 0.0 // Σ share²/rows of the class: one over the rows that count
	for j := range p.center {
		row, shift := p.cross[j*k:(j+1)*k], 0.0
		for l := range row {
			row[l] /= p.share[l]
			shift += row[l] / float64(k)
		}
		p.center[j] += shift
		for l := range row {
			row[l] = (row[l] - shift) / float64(k)
		}
	}
	for l, share := range p.share {
		inverse += 1 / (share * n * float64(k*k))
		p.share[l] = 1 / float64(k)
	}
	p.rows = 1 / inverse
	d := len(p.center)
	num.Syrk(false, d, k, float64(k), p.cross, k, 1, p.cov, d) // and between the classes
	return p, nil
}

// penalty returns the diagonal matrix Λ that is added to a d×d covariance. It reports false when no column varies.
func (c Ridge) penalty(cov []float64, d int) ([]float64, bool) {
	mean := 0.0
	for j := range d {
		mean += cov[j*d+j] / float64(d)
	}
	p := slices.Repeat([]float64{c.Ridge * mean}, d)
	for j := range p {
		if v := cov[j*d+j]; c.Standardize && v > 0 { // the weights of a column that does not vary are zero anyway
			p[j] = c.Ridge * v
		}
	}
	return p, mean > 0
}

// temperature is chosen on the scores of left-out rows, as far as moments tell them. With (C+Λ)W = G the scores of class c
// have the mean π + GᵀW/π_c, and all scores the covariance WᵀCW = GᵀW − WᵀΛW.
func (p ridgeProblem) temperature(weights, penalty []float64, chol *num.Chol) float64 {
	d, k := len(penalty), len(p.share)
	// A row's own label pulls its fitted value by 1/N and (x−µ)ᵀ(C+Λ)⁻¹(x−µ)/N: on average by the share of the N rows
	// that the fit's D − tr (C+Λ)⁻¹Λ + 1 degrees of freedom are.
	freedom, root := float64(d)+1, chol.Whitener()
	penalised := make([]float64, d*k)
	for j, v := range penalty {
		freedom -= v * num.SquaredNorm(root[j*d:(j+1)*d])
		for l := range k {
			penalised[j*k+l] = v * weights[j*k+l]
		}
	}
	pull := min(freedom/p.rows, 1-1e-9)
	explained, squares := make([]float64, k*k), make([]float64, k*k)
	num.Gemm(true, false, k, k, d, 1, p.cross, k, weights, k, 0, explained, k) // GᵀW
	num.Gemm(true, false, k, k, d, 1, weights, k, penalised, k, 0, squares, k) // WᵀΛW

	means, cov := make([]float64, k*k), make([]float64, k*k)
	apart := 0.0 // how far a row's own class is above the others, for the rows that were fitted
	// The fitted value s of a row becomes (s − pull·y)/(1 − pull) when it is left out.
	left := 1 / (1 - pull)
	for a := range k {
		for b := range k {
			v := (explained[a*k+b] + explained[b*k+a] - squares[a*k+b] - squares[b*k+a]) / 2
			for l, share := range p.share { // less the covariance between classes
				v -= explained[l*k+a] * explained[l*k+b] / share
			}
			cov[a*k+b] = v * left * left
			mean := p.share[b] + explained[a*k+b]/p.share[a]
			if b == a {
				apart += p.share[a] * mean
				mean -= pull
			} else {
				apart -= p.share[a] * mean / float64(k-1)
			}
			means[a*k+b] = mean * left
		}
		cov[a*k+a] = max(cov[a*k+a], 0)
	}
	if !(apart > 0) {
		return 1 // one class, or classes with one mean: all scores are the same
	}
	// Laplace's rule of succession: after N rows without a mistake, one is expected with probability 1/(N+2).
	return part.SoftmaxTemperature(means, cov, p.share, k, 1/(p.rows+2), apart)
}

// RidgeModel is a fitted [Ridge].
type RidgeModel struct {
	head        *head
	temperature float64
}

// Predict returns each row's class probabilities, N×K.
func (m *RidgeModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("ridge", in)
}

// Logits returns each row's fitted values over the temperature, N×K.
func (m *RidgeModel) Logits(in *data.Table) (*data.Table, error) { return m.head.logits("ridge", in) }

// Temperature returns what the fitted values are divided by; logits times temperature are the plain least-squares estimates.
func (m *RidgeModel) Temperature() float64 { return m.temperature }

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *RidgeModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// State returns the model as tensors.
func (m *RidgeModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["temperature"] = data.Float64Tensor([]float64{m.temperature}, 1)
	return st
}

func loadRidge(_ Ridge, st *data.Checkpoint) (*RidgeModel, error) {
	r := st.Read()
	temperature := r.Floats("temperature", 1)
	h, err := loadHead(r)
	if err != nil {
		return nil, err
	}
	if temperature[0] <= 0 {
		return nil, fmt.Errorf("%w: temperature %g", data.ErrFormat, temperature[0])
	}
	return &RidgeModel{h, temperature[0]}, nil
}
