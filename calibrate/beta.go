package calibrate

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a curve of three numbers for each class's probability",
	Paper: "kull2017beta",
}, Beta.Fit, loadBeta))

// Beta fits to the probability p of each class against the rest the odds p^a / (1−p)^b · exp(c), with a and b not negative.
//
// It is the beta calibration of Kull, Silva Filho and Flach (2017): unlike [Platt]'s sigmoid it holds the identity, and bends
// differently near 0 and near 1. Three numbers a class; prefer [Isotonic] when there are hundreds of rows a class.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities; all rows labelled. A class without rows keeps its probabilities, before they are divided by their sum.
// Predict: N×K probabilities. On the calibration rows their mean negative log-likelihood is never above the uncalibrated: where it would be, as many of those are mixed in as make the labels most likely.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: Platt's targets instead of 0 and 1, so that there is a finite optimum always; all four sets of a = 0, b = 0 are solved and the best that keeps the signs is taken, which is the exact optimum; several classes and the mixture are ours.
// Source:  kull2017beta, section 4; platt1999probabilistic, section 2, for the targets.
// Claim:   none: it is here to be used and compared with; the paper's study is not run again.
type Beta struct {
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns three numbers for each class.
func (c Beta) Fit(ctx context.Context, in LogitsInput) (*BetaModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := read(ctx, "beta", in, c.Probabilities)
	if err != nil {
		return nil, err
	}
	odds := make([]float64, o.n*o.k)
	for i := range o.n {
		logOdds(odds[i*o.k:(i+1)*o.k], o.row(i))
	}
	parameters := make([]float64, 0, 3*o.k)
	residual := 0.0
	for class, rows := range o.rows {
		method.Progress(ctx, class, o.k)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		curve := [3]float64{1, 1, 0}
		if rows > 0 {
			var left float64
			curve, left = o.betaCurve(class, odds)
			residual = max(residual, left)
		}
		parameters = append(parameters, curve[:]...)
	}
	m := newBeta(oneVersusRest{calibrated: o.calibrated()}, parameters, residual)
	m.blend(&o)
	return m, nil
}

// betaCurve is the best curve of a class. The problem is convex and has two bounds: its optimum is that of one of the four
// problems in which some of the bounded numbers are zero, the best one among those that keep the bounds.
func (o *outputs) betaCurve(class int, odds []float64) (best [3]float64, residual float64) {
	lowest, found := 0.0, false
	for zeros := range 4 {
		var free []int
		for j := range 3 {
			if zeros>>j&1 == 0 {
				free = append(free, j)
			}
		}
		x, value, left := o.logistic(class, len(free), func(i int, to []float64) {
			l, z := o.row(i)[class], odds[i*o.k+class]
			for j, which := range free {
				to[j] = [3]float64{l, z - l, 1}[which] // log p, −log(1−p)
			}
		})
		var curve [3]float64
		for j, which := range free {
			curve[which] = x[j]
		}
		if curve[0] >= 0 && curve[1] >= 0 && (!found || value < lowest) {
			best, lowest, residual, found = curve, value, left, true
		}
	}
	return best, residual
}

func newBeta(base oneVersusRest, parameters []float64, residual float64) *BetaModel {
	base.mapped = func(c int, log, odds float64) float64 {
		return sigmoid(parameters[3*c]*log + parameters[3*c+1]*(odds-log) + parameters[3*c+2])
	}
	return &BetaModel{base, parameters, residual}
}

// BetaModel is a fitted [Beta].
type BetaModel struct {
	oneVersusRest
	parameters []float64 // K×3
	residual   float64
}

// Curve returns the exponents of p and of 1/(1−p) and the logarithm of the factor, of a class by its column.
func (m *BetaModel) Curve(class int) (a, b, c float64) {
	p := m.parameters[3*class:]
	return p[0], p[1], p[2]
}

// Residual returns the largest slope of a loss in a number off its bound that is left at the solution, relative to the largest logarithm beyond 1 in size.
func (m *BetaModel) Residual() float64 { return m.residual }

// State returns the model as tensors.
func (m *BetaModel) State() *data.Checkpoint {
	return m.state(m.mixTensor(map[string]data.Tensor{
		"parameters": data.Float64Tensor(m.parameters, m.k, 3),
		"residual":   data.Float64Tensor([]float64{m.residual}, 1),
	}))
}

func loadBeta(c Beta, st *data.Checkpoint) (*BetaModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	base, err := loadOneVersusRest("beta", r, c.Probabilities)
	if err != nil {
		return nil, err
	}
	parameters, residual := r.Floats("parameters", base.k, 3), r.Floats("residual", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return newBeta(base, parameters, residual[0]), nil
}
