package calibrate

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a sigmoid of each class's log odds",
	Paper: "platt1999probabilistic",
}, Platt.Fit, loadPlatt))

// Platt fits a sigmoid with slope and offset to the log odds of each class against the rest.
//
// It is Platt's (1999) method, one class against all others as Zadrozny and Elkan (2002) do for more than two: two numbers a
// class. Prefer [TemperatureScaling] when the logits are a network's own, [Beta] when the distortion differs near 0 and near 1.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities; all rows labelled. A class without rows keeps its probabilities, before they are divided by their sum.
// Predict: N×K probabilities. On the calibration rows their mean negative log-likelihood is never above the uncalibrated: where it would be, as many of those are mixed in as make the labels most likely.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: scores are log odds, so that a constant added to a row of logits changes nothing and slope 1 with offset 0 is the identity; the mixture is ours.
// Source:  platt1999probabilistic, section 2; zadrozny2002transforming for several classes.
// Claim:   none: it is here to be used and compared with; the paper's machines are not trained again.
type Platt struct {
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns a slope and an offset for each class.
func (c Platt) Fit(ctx context.Context, in LogitsInput) (*PlattModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := read(ctx, "platt", in, c.Probabilities)
	if err != nil {
		return nil, err
	}
	odds := make([]float64, o.n*o.k)
	for i := range o.n {
		logOdds(odds[i*o.k:(i+1)*o.k], o.row(i))
	}
	sigmoids := make([]float64, 0, 2*o.k)
	residual := 0.0
	for class, rows := range o.rows {
		method.Progress(ctx, class, o.k)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		line := []float64{1, 0}
		if rows > 0 {
			var left float64
			line, _, left = o.logistic(class, 2, func(i int, to []float64) { to[0], to[1] = odds[i*o.k+class], 1 })
			residual = max(residual, left)
		}
		sigmoids = append(sigmoids, line...)
	}
	m := newPlatt(oneVersusRest{calibrated: o.calibrated()}, sigmoids, residual)
	m.blend(&o)
	return m, nil
}

func newPlatt(base oneVersusRest, sigmoids []float64, residual float64) *PlattModel {
	base.mapped = func(c int, _, odds float64) float64 { return sigmoid(sigmoids[2*c]*odds + sigmoids[2*c+1]) }
	return &PlattModel{base, sigmoids, residual}
}

// PlattModel is a fitted [Platt].
type PlattModel struct {
	oneVersusRest
	sigmoids []float64 // K×2: slope, offset
	residual float64
}

// Sigmoid returns slope and offset of a class, by its column.
func (m *PlattModel) Sigmoid(class int) (slope, offset float64) {
	return m.sigmoids[2*class], m.sigmoids[2*class+1]
}

// Residual returns the largest slope of a loss that is left at the solution, relative to the largest log odds beyond 1 in size.
func (m *PlattModel) Residual() float64 { return m.residual }

// State returns the model as tensors.
func (m *PlattModel) State() *data.Checkpoint {
	return m.state(m.mixTensor(map[string]data.Tensor{
		"sigmoids": data.Float64Tensor(m.sigmoids, m.k, 2),
		"residual": data.Float64Tensor([]float64{m.residual}, 1),
	}))
}

func loadPlatt(c Platt, st *data.Checkpoint) (*PlattModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	base, err := loadOneVersusRest("platt", r, c.Probabilities)
	if err != nil {
		return nil, err
	}
	sigmoids, residual := r.Floats("sigmoids", base.k, 2), r.Floats("residual", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return newPlatt(base, sigmoids, residual[0]), nil
}
