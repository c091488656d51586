package calibrate

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:   "one number that divides all logits",
	Paper:   "guo2017calibration",
	Default: true,
}, TemperatureScaling.Fit, loadTemperatureScaling))

// TemperatureScaling divides all logits by the one number under which the calibration labels are most likely.
//
// It is the temperature scaling of Guo et al. (2017): one parameter, so tens of rows suffice; the order of a row's classes, and
// so every prediction, stays. Prefer [VectorScaling] when some classes are overrated and others underrated.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities; all rows labelled. Classes may lack rows. The likelihood is convex in 1/T; its slope is brought to zero as far as rounding lets it.
// Predict: N×K probabilities. On the calibration rows their mean negative log-likelihood is never above the uncalibrated.
// Logits:  N×K, natural logarithms of the probabilities.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: T is kept between 1e-3 and 1e3 (times the largest difference of a row's logits, where that exceeds 1); rows that leave nothing to doubt would drive it to 0.
// Source:  guo2017calibration, section 4.2.
// Claim:   none: it is here to be used and compared with; the paper's networks are not trained again.
type TemperatureScaling struct {
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns the temperature.
func (c TemperatureScaling) Fit(ctx context.Context, in LogitsInput) (*TemperatureScalingModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := read(ctx, "temperaturescaling", in, c.Probabilities)
	if err != nil {
		return nil, err
	}
	m := &TemperatureScalingModel{}
	m.scaled, m.temperature = o.uniformScale()
	return m, nil
}

// TemperatureScalingModel is a fitted [TemperatureScaling].
type TemperatureScalingModel struct {
	scaled
	temperature float64
}

// Temperature returns what logits are divided by.
func (m *TemperatureScalingModel) Temperature() float64 { return m.temperature }

// State returns the model as tensors.
func (m *TemperatureScalingModel) State() *data.Checkpoint {
	return m.state(map[string]data.Tensor{"temperature": data.Float64Tensor([]float64{m.temperature}, 1)})
}

func loadTemperatureScaling(c TemperatureScaling, st *data.Checkpoint) (*TemperatureScalingModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	base, err := load("temperaturescaling", r, c.Probabilities)
	t := r.Floats("temperature", 1)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return nil, err
	}
	if !(t[0] > 0) {
		return nil, fmt.Errorf("%w: a temperature of %g", data.ErrFormat, t[0])
	}
	m := &TemperatureScalingModel{scaled{calibrated: base}, t[0]}
	for range m.k {
		m.weights, m.offsets = append(m.weights, 1/t[0]), append(m.offsets, 0)
	}
	return m, nil
}
