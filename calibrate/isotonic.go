package calibrate

import (
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "the rising curve that fits each class's probability best",
	Paper: "zadrozny2002transforming",
}, Isotonic.Fit, loadIsotonic))

// Isotonic fits to the probability of each class against the rest the rising curve that is nearest to its calibration labels.
//
// It is the isotonic calibration of Zadrozny and Elkan (2002): pools of adjacent violators, exact, O(N·log N) a class; of all
// rising curves also the most likely one. Between pools it is a straight line, outside constant. Prefer [Platt] or [Beta] below
// some hundreds of rows a class: a curve this free learns their noise.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities; all rows labelled. A class without rows keeps its probabilities, before they are divided by their sum.
// Predict: N×K probabilities, zeros and ones among them where calibration rows left no doubt. On the calibration rows their mean negative log-likelihood is never above the uncalibrated: where it would be, which two classes rule out, as many of those are mixed in as make the labels most likely.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: the mixture is ours; a row that every class's curve gives zero keeps its uncalibrated probabilities.
// Source:  zadrozny2002transforming, sections 3 and 4.
// Claim:   none: it is here to be used and compared with; the paper's study is not run again.
type Isotonic struct {
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit learns a curve for each class.
func (c Isotonic) Fit(ctx context.Context, in LogitsInput) (*IsotonicModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := read(ctx, "isotonic", in, c.Probabilities)
	if err != nil {
		return nil, err
	}
	all := &curves{make([][]float64, o.k), make([][]float64, o.k)}
	for class, rows := range o.rows {
		method.Progress(ctx, class, o.k)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if rows > 0 {
			all.x[class], all.y[class] = isotonicPools(o.pieces(class))
		}
	}
	m := newIsotonic(oneVersusRest{calibrated: o.calibrated()}, all)
	m.blend(&o)
	return m, nil
}

// isotonicPools joins neighbours whose means fall until none do, and returns the first and the last point of each pool.
func isotonicPools(x, mean, weight []float64) (px, py []float64) {
	type pool struct {
		first, last  float64
		mean, weight float64
	}
	var pools []pool
	for i := range x {
		p := pool{x[i], x[i], mean[i], weight[i]}
		for len(pools) > 0 && pools[len(pools)-1].mean >= p.mean {
			q := pools[len(pools)-1]
			pools = pools[:len(pools)-1]
			p = pool{q.first, p.last, (q.mean*q.weight + p.mean*p.weight) / (q.weight + p.weight), q.weight + p.weight}
		}
		pools = append(pools, p)
	}
	for _, p := range pools {
		px, py = append(px, p.first), append(py, p.mean)
		if p.last > p.first {
			px, py = append(px, p.last), append(py, p.mean)
		}
	}
	return px, py
}

func newIsotonic(base oneVersusRest, all *curves) *IsotonicModel {
	base.mapped = func(c int, log, _ float64) float64 {
		p, x, y := math.Exp(log), all.x[c], all.y[c]
		if len(x) == 0 {
			return p
		}
		at, met := slices.BinarySearch(x, p)
		switch {
		case met || at == 0:
			return y[at]
		case at == len(x):
			return y[at-1]
		}
		share := (p - x[at-1]) / (x[at] - x[at-1])
		return y[at-1] + share*(y[at]-y[at-1])
	}
	return &IsotonicModel{base, all}
}

// IsotonicModel is a fitted [Isotonic].
type IsotonicModel struct {
	oneVersusRest
	curves *curves
}

// Curve returns the points of a class's curve, by its column.
func (m *IsotonicModel) Curve(class int) (x, y []float64) {
	return slices.Clone(m.curves.x[class]), slices.Clone(m.curves.y[class])
}

// State returns the model as tensors.
func (m *IsotonicModel) State() *data.Checkpoint { return m.state(m.mixTensor(m.curves.tensors())) }

func loadIsotonic(c Isotonic, st *data.Checkpoint) (*IsotonicModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	base, err := loadOneVersusRest("isotonic", r, c.Probabilities)
	if err != nil {
		return nil, err
	}
	all, err := loadCurves(st, r, base.k)
	if err != nil {
		return nil, err
	}
	return newIsotonic(base, all), nil
}
