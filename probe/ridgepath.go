package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "least squares on class indicators, its penalty chosen of a hundred by leaving out each row in turn",
	Paper: "golub1979generalized",
}, RidgePath.Fit, loadRidgePath))

// RidgePath classifies as ridge regression on class indicators does, and chooses the penalty that predicts best rows which were left out.
//
// A hundred penalties from 1e-5 to 1e3 of the features' mean variance are tried, twelve a decade. One eigendecomposition
// of the covariance serves all of them, and what a fit without a row would have said of it follows in closed form (Allen's
// PRESS; Golub et al. 1979), so no row is ever refitted: O(N·D² + D³ + 100·N·D·K), O(K·D) a row to predict. With fewer rows
// than columns the rows' N×N products stand in for the covariance. Prefer it over [Ridge] when the rows fit into memory and
// N is near D or far above it, where the right penalty is orders of magnitude from one that suits most tables.
//
// Predict takes the softmax of the fitted values over the temperature that is best for the left-out rows' values, each row
// taken to be of another class with probability 1/(N+2): where all left-out rows are named rightly, N of them cannot show less.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough, and classes without rows are left out.
// Predict: N×K probabilities of the classes.
// Logits:  N×K, fitted values over the temperature; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: the authors choose by generalised cross-validation, which puts the average leverage for each row's own; the intercept is not penalised; the temperature is ours.
// Source:  golub1979generalized, eq. (1.2)-(1.4); hoerl1970ridge.
// Claim:   none: it is the choice of a penalty that claims about ridge can be compared with.
type RidgePath struct {
	// Balanced weighs rows so that all classes count the same, in the fit and in the choice.
	Balanced bool
}

const (
	ridgePathPenalties = 100
	ridgePathRows      = 256  // rows that are multiplied at a time
	ridgePathColumns   = 4096 // fitted values of a row that are computed at a time
	ridgePathLittle    = 1e8  // N·D² up to which all is in float64
)

// Fit chooses the penalty and learns the weights.
func (c RidgePath) Fit(ctx context.Context, train *data.Table) (*RidgePathModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	return ridgePathFit(ctx, train, c.Balanced)
}

func ridgePathFit(ctx context.Context, train *data.Table, balanced bool) (*RidgePathModel, error) {
	p, err := newRidgePathProblem(ctx, train, balanced)
	if err != nil {
		return nil, err
	}
	mean := 0.0
	for _, v := range p.values {
		mean += v / float64(p.d)
	}
	if !(mean > 0) {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, p.n)
	}
	m := &RidgePathModel{ridges: make([]float64, ridgePathPenalties)}
	penalties := make([]float64, ridgePathPenalties)
	for l := range penalties {
		m.ridges[l] = math.Pow(10, 3-8*float64(l)/(ridgePathPenalties-1))
		penalties[l] = m.ridges[l] * mean
	}
	if m.errors, err = p.errors(ctx, penalties); err != nil {
		return nil, err
	}
	for l, v := range m.errors {
		if v < m.errors[m.chosen] {
			m.chosen = l
		}
	}
	weights, left := p.solve(penalties[m.chosen])
	temperature := part.Temperature(left, p.labels, len(p.classes), 1/float64(p.n+2))
	intercept := make([]float64, len(p.classes))
	for l, share := range p.share {
		intercept[l] = share / temperature
	}
	for i := range weights {
		weights[i] /= temperature
	}
	m.temperature, m.head = temperature, newHead(p.classes, p.center, weights, intercept)
	return m, nil
}

// ridgePathProblem is least squares in the coordinates of the covariance's eigenvectors.
type ridgePathProblem struct {
	n, d, r int
	x       []float32 // N×D
	classes []string
	labels  []int
	weight  []float64 // K, of each row of a class; they add up to one over all rows
	share   []float64 // K
	center  []float64 // D
	values  []float64 // R, variances
	vectors []float64 // D×R
	cross   []float64 // R×K: covariance of the coordinates and the indicators
}

func newRidgePathProblem(ctx context.Context, train *data.Table, balanced bool) (*ridgePathProblem, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	classes, labels, err := labelled(train)
	if err != nil {
		return nil, err
	}
	n, d := train.Dims()
	k := len(classes)
	p := &ridgePathProblem{n: n, d: d, r: min(n, d), x: train.X(), classes: classes, labels: labels}
	p.weight, p.share = classWeights(labels, k, balanced)
	first := train.Row(0)
	p.center = make([]float64, d)
	for i, l := range labels { // from the first row on: nothing is lost far from zero
		for j, v := range train.Row(i) {
			p.center[j] += p.weight[l] * (float64(v) - float64(first[j]))
		}
	}
	for j, v := range first {
		p.center[j] += float64(v)
	}
	// Products of rows, or of columns, whichever are fewer: of rows times the root of their weight.
	a := make([]float64, p.r*p.r)
	if n < d {
		rows := make([]float64, n*d)
		p.rows(rows, 0, n)
		num.Syrk(false, n, d, 1, rows, d, 0, a, n)
	} else {
		rows := make([]float64, 4*ridgePathRows*d)
		for lo := 0; lo < n; lo += 4 * ridgePathRows {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			hi := min(lo+4*ridgePathRows, n)
			p.rows(rows, lo, hi)
			num.Syrk(true, d, hi-lo, 1, rows, d, 1, a, d)
		}
	}
	values, vectors, ok := num.SymEigen(a, p.r)
	if !ok {
		return nil, fmt.Errorf("%w: the covariance of the rows has no eigenvectors in float64", method.ErrDegenerate)
	}
	top := values[p.r-1]
	for j, v := range values {
		values[j] = max(v, 0)
	}
	p.values, p.vectors = values, vectors
	if n < d { // from eigenvectors of the rows' products to those of the covariance: XᵀQ/√value
		rows := make([]float64, n*d)
		p.rows(rows, 0, n)
		p.vectors = make([]float64, d*n)
		num.Gemm(true, false, d, n, n, 1, rows, d, vectors, n, 0, p.vectors, n)
		for i := range p.vectors {
			if v := values[i%n]; v > 1e-12*top {
				p.vectors[i] /= math.Sqrt(v)
			} else {
				p.vectors[i] = 0
			}
		}
	}
	cross := make([]float64, d*k) // D×K
	for i, l := range labels {
		for j, v := range train.Row(i) {
			cross[j*k+l] += p.weight[l] * (float64(v) - p.center[j])
		}
	}
	p.cross = make([]float64, p.r*k)
	num.Gemm(true, false, p.r, k, d, 1, p.vectors, p.r, cross, k, 0, p.cross, k)
	return p, nil
}

// rows writes rows lo to hi−1, less the center, times the root of their weight.
func (p *ridgePathProblem) rows(dst []float64, lo, hi int) {
	for i := lo; i < hi; i++ {
		root := math.Sqrt(p.weight[p.labels[i]])
		for j, v := range p.x[i*p.d : (i+1)*p.d] {
			dst[(i-lo)*p.d+j] = root * (float64(v) - p.center[j])
		}
	}
}

// errors returns, for each penalty, the weighted mean squared error of left-out rows' fitted values.
func (p *ridgePathProblem) errors(ctx context.Context, penalties []float64) ([]float64, error) {
	k := len(p.classes)
	group := max(1, ridgePathColumns/k)
	var out []float64
	for lo := 0; lo < len(penalties); lo += group {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		method.Progress(ctx, lo, len(penalties))
		some := penalties[lo:min(lo+group, len(penalties))]
		sums := make([]float64, len(some))
		blocks := make([][]float64, (p.n+ridgePathRows-1)/ridgePathRows)
		p.leave(some, func(block, row int, left []float64) {
			if blocks[block] == nil {
				blocks[block] = make([]float64, len(some))
			}
			own := p.labels[row]
			for l := range some {
				e := 0.0
				for c, v := range left[l*k : (l+1)*k] {
					if c == own {
						v--
					}
					e += v * v
				}
				blocks[block][l] += p.weight[own] * e
			}
		})
		for _, b := range blocks { // in order, whoever summed them up
			for l, v := range b {
				sums[l] += v
			}
		}
		out = append(out, sums...)
	}
	return out, nil
}

// solve returns the weights (D×K) for a penalty and the left-out rows' fitted values (N×K).
func (p *ridgePathProblem) solve(penalty float64) (weights, left []float64) {
	k := len(p.classes)
	turned := make([]float64, p.r*k)
	for i, v := range p.cross {
		turned[i] = v / (p.values[i/k] + penalty)
	}
	weights, left = make([]float64, p.d*k), make([]float64, p.n*k)
	num.Gemm(false, false, p.d, k, p.r, 1, p.vectors, p.r, turned, k, 0, weights, k)
	p.leave([]float64{penalty}, func(_, row int, values []float64) { copy(left[row*k:], values) })
	return weights, left
}

// leave calls f with each row's fitted values when it is left out, penalties × K. Several goroutines do, one a block of rows.
func (p *ridgePathProblem) leave(penalties []float64, f func(block, row int, left []float64)) {
	if float64(p.n)*float64(p.d)*float64(p.d) <= ridgePathLittle {
		ridgePathLeave[float64](p, penalties, f)
		return
	}
	ridgePathLeave[float32](p, penalties, f)
}

func ridgePathLeave[T num.Float](p *ridgePathProblem, penalties []float64, f func(block, row int, left []float64)) {
	k, l := len(p.classes), len(penalties)
	vectors, shrink, turned := make([]T, p.d*p.r), make([]T, p.r*l), make([]T, p.r*l*k)
	for i, v := range p.vectors {
		vectors[i] = T(v)
	}
	for j, v := range p.values {
		for i, penalty := range penalties {
			shrink[j*l+i] = T(1 / (v + penalty))
			for c := range k {
				turned[(j*l+i)*k+c] = T(p.cross[j*k+c] / (v + penalty))
			}
		}
	}
	num.Parallel((p.n+ridgePathRows-1)/ridgePathRows, 1, func(first, last int) {
		rows, z := make([]T, ridgePathRows*p.d), make([]T, ridgePathRows*p.r)
		fitted, reach := make([]T, ridgePathRows*l*k), make([]T, ridgePathRows*l)
		left := make([]float64, l*k)
		for block := first; block < last; block++ {
			lo, hi := block*ridgePathRows, min((block+1)*ridgePathRows, p.n)
			m := hi - lo
			for i := lo; i < hi; i++ {
				for j, v := range p.x[i*p.d : (i+1)*p.d] {
					rows[(i-lo)*p.d+j] = T(float64(v) - p.center[j])
				}
			}
			num.Gemm(false, false, m, p.r, p.d, 1, rows, p.d, vectors, p.r, 0, z, p.r)
			num.Gemm(false, false, m, l*k, p.r, 1, z, p.r, turned, l*k, 0, fitted, l*k)
			for i, v := range z[:m*p.r] {
				z[i] = v * v
			}
			num.Gemm(false, false, m, l, p.r, 1, z, p.r, shrink, l, 0, reach, l)
			for i := range m {
				own := p.labels[lo+i]
				for at := range l {
					// A row's own indicator y enters its fitted value with the leverage h: left out, (value − h·y)/(1 − h).
					h := min(p.weight[own]*(1+float64(reach[i*l+at])), 1-1e-9)
					for c := range k {
						v := p.share[c] + float64(fitted[(i*l+at)*k+c])
						if c == own {
							v -= h
						}
						left[at*k+c] = v / (1 - h)
					}
				}
				f(block, lo+i, left)
			}
		}
	})
}

// RidgePathModel is a fitted [RidgePath].
type RidgePathModel struct {
	head           *head
	temperature    float64
	ridges, errors []float64
	chosen         int
}

// Predict returns each row's class probabilities, N×K.
func (m *RidgePathModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("ridgepath", in)
}

// Logits returns each row's fitted values over the temperature, N×K.
func (m *RidgePathModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("ridgepath", in)
}

// Ridge returns the penalty that was chosen, as a share of the features' mean variance.
func (m *RidgePathModel) Ridge() float64 { return m.ridges[m.chosen] }

// Path returns the penalties that were tried, from large to small, and with each the mean squared error of left-out rows, summed over classes.
// The caller must not change them.
func (m *RidgePathModel) Path() (ridges, errors []float64) { return m.ridges, m.errors }

// Temperature returns what the fitted values are divided by; logits times temperature are the plain least-squares estimates.
func (m *RidgePathModel) Temperature() float64 { return m.temperature }

// State returns the model as tensors.
func (m *RidgePathModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["temperature"] = data.Float64Tensor([]float64{m.temperature}, 1)
	st.Tensors["ridges"] = data.Float64Tensor(m.ridges, len(m.ridges))
	st.Tensors["errors"] = data.Float64Tensor(m.errors, len(m.errors))
	return st
}

func loadRidgePath(_ RidgePath, st *data.Checkpoint) (*RidgePathModel, error) {
	r := st.Read()
	temperature, ridges := r.Floats("temperature", 1), r.Floats("ridges", -1)
	m := &RidgePathModel{ridges: ridges, errors: r.Floats("errors", len(ridges))}
	var err error
	if m.head, err = loadHead(r); err != nil {
		return nil, err
	}
	if len(ridges) == 0 || temperature[0] <= 0 {
		return nil, fmt.Errorf("%w: %d penalties and the temperature %g", data.ErrFormat, len(ridges), temperature[0])
	}
	m.temperature = temperature[0]
	for l, v := range m.errors {
		if v < m.errors[m.chosen] {
			m.chosen = l
		}
	}
	return m, nil
}
