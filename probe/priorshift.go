package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "logistic regression corrected for the shares that classes have in unlabelled target rows",
	Paper: "saerens2002adjusting",
}, PriorShift.Fit, loadPriorShift))

// PriorShift classifies by a logistic head whose class shares are those of unlabelled rows from where it is to be used.
//
// It is the correction of Saerens et al. (2002): rows of one class look alike here and there, but classes are more or less
// frequent. Expectation maximisation finds the shares under which the target rows are most likely, given the head's
// probabilities, and the head's intercepts take them up. O(N·D·K) an evaluation of the head, O(m·K) a round for m target rows.
// Prefer it over [LogitAdjustment] when target rows are at hand, which need not be balanced; drift/labelshift tells whether
// shares changed at all.
//
// Fits on: Train N×D with a label for every row, N ≥ 2; Unlabelled, optional, m×D from where the head is to be used, whose labels are ignored. Without it the shares of Train stay.
// Predict: N×K class probabilities under the target's shares.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a training row has no label; ErrShape without rows or columns, when Unlabelled is of another width or empty, and on another width; ErrDegenerate when all training rows are equal, or the optimum is not reached.
// Differs: no share is taken to be below 1e-9; rounds end when none changes by 1e-10, or after 10,000.
// Source:  saerens2002adjusting, eq. (2.4) and (2.9).
// Claim:   claims/probe/priorshift.go.
type PriorShift struct {
	// Ridge is the penalty on squared weights, as a share of the columns' mean variance. The head's probabilities must be honest for shares to be right: rather high than low.
	Ridge float64 `default:"1e-3" range:"[1e-9,1e6]" unit:"share of the mean variance"`
}

const (
	priorshiftLeast  = 1e-9
	priorshiftChange = 1e-10
	priorshiftRounds = 10000
)

// PriorShiftInput is what is learned from.
type PriorShiftInput struct {
	// Train are the labelled rows, N×D.
	Train *data.Table
	// Unlabelled are rows from where the head is to be used, D columns.
	Unlabelled *data.Table `optional:"true"`
}

// Fit finds the weights and the shares.
func (c PriorShift) Fit(ctx context.Context, in PriorShiftInput) (*PriorShiftModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if in.Train == nil {
		return nil, fmt.Errorf("%w: no rows", method.ErrInput)
	}
	p, err := newLogisticProblem(ctx, in.Train, false, false)
	if err != nil {
		return nil, err
	}
	if in.Unlabelled != nil {
		if m, d := in.Unlabelled.Dims(); m == 0 || d != p.D {
			return nil, fmt.Errorf("%w: unlabelled are %d rows of %d columns, the training rows have %d columns", data.ErrShape, m, d, p.D)
		}
	}
	fit, _, err := p.solve(ctx, c.Ridge, nil)
	if err != nil {
		return nil, err
	}
	_, before := classWeights(p.Labels, p.K, false)
	m := &PriorShiftModel{fit, before}
	if in.Unlabelled == nil {
		return m, nil
	}
	probabilities, err := fit.head.predict("priorshift", in.Unlabelled)
	if err != nil {
		return nil, err
	}
	if m.shares, err = priorshiftShares(ctx, probabilities, before); err != nil {
		return nil, err
	}
	for l, v := range m.shares {
		fit.head.intercept[l] += math.Log(v / before[l])
	}
	return m, nil
}

// priorshiftShares is expectation maximisation, eq. (2.9).
func priorshiftShares(ctx context.Context, probabilities *data.Table, before []float64) ([]float64, error) {
	n, k := probabilities.Dims()
	shares := append([]float64(nil), before...)
	row, sum := make([]float64, k), make([]float64, k)
	for range priorshiftRounds {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		clear(sum)
		for i := range n {
			total := 0.0
			for c, v := range probabilities.Row(i) {
				row[c] = float64(v) * shares[c] / before[c]
				total += row[c]
			}
			for c, v := range row {
				if total > 0 { // a row for which every class's probability is rounded to zero says nothing
					sum[c] += v / total
				}
			}
		}
		change, total := 0.0, 0.0
		for c, v := range sum {
			sum[c] = max(v/float64(n), priorshiftLeast)
			total += sum[c]
		}
		for c := range sum {
			sum[c] /= total
			change = max(change, math.Abs(sum[c]-shares[c]))
			shares[c] = sum[c]
		}
		if change < priorshiftChange {
			break
		}
	}
	return shares, nil
}

// PriorShiftModel is a fitted [PriorShift].
type PriorShiftModel struct {
	logisticFit
	shares []float64 // K
}

// Predict returns each row's class probabilities, N×K.
func (m *PriorShiftModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("priorshift", in)
}

// Logits returns each row's logits, N×K.
func (m *PriorShiftModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("priorshift", in)
}

// Shares returns the K class shares that the model assumes, in the order of its classes. The caller must not change them.
func (m *PriorShiftModel) Shares() []float64 { return m.shares }

// Report returns the assumed share of every class, under share_ and its name.
func (m *PriorShiftModel) Report() data.Numbers {
	out := data.Numbers{}
	for c, name := range m.head.classes {
		out["share_"+name] = m.shares[c]
	}
	return out
}

// State returns the model as tensors.
func (m *PriorShiftModel) State() *data.Checkpoint {
	st := m.logisticFit.state()
	st.Tensors["shares"] = data.Float64Tensor(m.shares, len(m.shares))
	return st
}

func loadPriorShift(_ PriorShift, st *data.Checkpoint) (*PriorShiftModel, error) {
	fit, err := loadLogisticFit(st)
	if err != nil {
		return nil, err
	}
	r := st.Read()
	m := &PriorShiftModel{fit, r.Floats("shares", len(fit.head.classes))}
	return m, r.Err()
}
