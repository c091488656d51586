package calibrate

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
	Title: "a factor and an offset for each class's logit",
	Paper: "guo2017calibration",
}, VectorScaling.Fit, loadVectorScaling))

// VectorScaling multiplies each class's log-probability by a factor of its own and adds an offset.
//
// It is the vector scaling of Guo et al. (2017): 2·K parameters, a convex problem that Newton's method solves to where rounding
// ends. Prefer [TemperatureScaling] below some tens of rows a class.
//
// Fits on: Logits N×K with K ≥ 2, or probabilities; all rows labelled, every class with at least one row.
// Predict: N×K probabilities. On the calibration rows their mean negative log-likelihood is never above the uncalibrated: the penalty is zero there, and descent only goes down.
// Logits:  N×K, natural logarithms of the probabilities.
// Errors:  ErrDegenerate when a class has no calibration row: nothing would stop its offset; ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: it acts on log-probabilities, so that a constant added to a row of logits changes nothing; Ridge is ours, for rows that leave no doubt have no finite optimum.
// Source:  guo2017calibration, section 4.2.
// Claim:   none: it is here to be used and compared with; the paper's networks are not trained again.
type VectorScaling struct {
	// Ridge is the penalty on squared differences from factor one and offset zero, half of it beside the mean loss.
	Ridge float64 `default:"1e-6" range:"(0,1e6]" unit:"natural logs"`
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns factors and offsets.
func (c VectorScaling) Fit(ctx context.Context, in LogitsInput) (*VectorScalingModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := read(ctx, "vectorscaling", in, c.Probabilities)
	if err != nil {
		return nil, err
	}
	if missing := slices.Index(o.rows, 0); missing >= 0 {
		return nil, fmt.Errorf("%w: class %q has no calibration row, so nothing would stop its offset; give rows of it, or fit a method that needs none, such as temperature scaling", method.ErrDegenerate, o.classes[missing])
	}
	p := vectorScalingProblem{&o, c.Ridge}
	start, _ := o.uniformScale()
	x := slices.Concat(start.weights, start.offsets)
	identity := slices.Concat(slices.Repeat([]float64{1}, o.k), make([]float64, o.k))
	if p.at(identity, nil, nil) <= p.at(x, nil, nil) {
		x = identity
	}
	part.Newton(x, p.at)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	gradient := make([]float64, len(x))
	p.at(x, gradient, nil)
	m := &VectorScalingModel{scaled{o.calibrated(), x[:o.k:o.k], x[o.k:]}, 0}
	for _, g := range gradient {
		m.residual = max(m.residual, math.Abs(g))
	}
	unit := 1.0
	for _, l := range o.logs {
		unit = max(unit, -l)
	}
	m.residual /= unit
	return m, nil
}

// vectorScalingProblem is mean loss and penalty of factors (the first K variables) and offsets.
type vectorScalingProblem struct {
	*outputs
	ridge float64
}

func (p vectorScalingProblem) at(x, gradient, hessian []float64) float64 {
	n, k := p.n, p.k
	losses := make([]float64, n)
	var weighed []float64 // n×2k: probability × log-probability, probability
	if gradient != nil {
		weighed = make([]float64, n*2*k)
	}
	num.Parallel(n, 64, func(lo, hi int) {
		row := make([]float64, k)
		for i := lo; i < hi; i++ {
			logs := p.row(i)
			for c := range row {
				row[c] = x[c]*logs[c] + x[k+c]
			}
			logSoftmax(row)
			losses[i] = -row[p.labels[i]]
			if gradient != nil {
				to := weighed[i*2*k:]
				for c, l := range row {
					to[k+c] = math.Exp(l)
					to[c] = to[k+c] * logs[c]
				}
			}
		}
	})
	value := 0.0
	for _, l := range losses {
		value += l / float64(n)
	}
	for j, v := range x {
		if j < k {
			v--
		}
		value += p.ridge / 2 * v * v
	}
	if gradient != nil {
		p.slope(x, weighed, gradient)
	}
	if hessian != nil {
		p.curvature(weighed, hessian)
	}
	return value
}

func (p vectorScalingProblem) slope(x, weighed, gradient []float64) {
	k := p.k
	for j, v := range x {
		if j < k {
			v--
		}
		gradient[j] = p.ridge * v
	}
	for i, y := range p.labels {
		for j, v := range weighed[i*2*k : (i+1)*2*k] {
			gradient[j] += v / float64(p.n)
		}
		gradient[y] -= p.row(i)[y] / float64(p.n)
		gradient[k+y] -= 1 / float64(p.n)
	}
}

func (p vectorScalingProblem) curvature(weighed, hessian []float64) {
	n, k := p.n, p.k
	num.Gemm(true, false, 2*k, 2*k, n, -1/float64(n), weighed, 2*k, weighed, 2*k, 0, hessian, 2*k)
	for i := range n {
		logs := p.row(i)
		for c := range k {
			w := weighed[i*2*k+c] / float64(n)
			hessian[c*2*k+c] += w * logs[c]
			hessian[(k+c)*2*k+c] += w
			hessian[c*2*k+k+c] += w
			hessian[(k+c)*2*k+k+c] += weighed[i*2*k+k+c] / float64(n)
		}
	}
	for j := range 2 * k {
		hessian[j*2*k+j] += p.ridge
	}
}

// VectorScalingModel is a fitted [VectorScaling].
type VectorScalingModel struct {
	scaled
	residual float64
}

// Scale returns the K factors and offsets.
func (m *VectorScalingModel) Scale() (factors, offsets []float64) {
	return slices.Clone(m.weights), slices.Clone(m.offsets)
}

// Residual returns the largest slope that is left at the solution, relative to the largest log-probability beyond 1 in size.
func (m *VectorScalingModel) Residual() float64 { return m.residual }

// State returns the model as tensors.
func (m *VectorScalingModel) State() *data.Checkpoint {
	return m.state(map[string]data.Tensor{
		"weights":  data.Float64Tensor(m.weights, m.k),
		"offsets":  data.Float64Tensor(m.offsets, m.k),
		"residual": data.Float64Tensor([]float64{m.residual}, 1),
	})
}

func loadVectorScaling(c VectorScaling, st *data.Checkpoint) (*VectorScalingModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	base, err := load("vectorscaling", r, c.Probabilities)
	if err != nil {
		return nil, err
	}
	m := &VectorScalingModel{scaled: scaled{base, r.Floats("weights", base.k), r.Floats("offsets", base.k)}}
	residual := r.Floats("residual", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m.residual = residual[0]
	return m, nil
}
