package calibrate

import (
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "the frequency of each class in bins of its probability",
	Paper: "zadrozny2001obtaining",
}, Histogram.Fit, loadHistogram))

// Histogram replaces the probability of each class against the rest by the class's frequency in a bin of calibration rows.
//
// It is the binning of Zadrozny and Elkan (2001): bins of equally many rows, no assumption on the shape of the distortion, not
// even that it rises. Prefer [Isotonic], which needs no number of bins, when it does.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities; all rows labelled. A class without rows keeps its probabilities, before they are divided by their sum.
// Predict: N×K probabilities. On the calibration rows their mean negative log-likelihood is never above the uncalibrated: where it would be, as many of those are mixed in as make the labels most likely.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: rows with equal probabilities share a bin; several classes and the mixture are ours; a row that every class gives zero keeps its uncalibrated probabilities.
// Source:  zadrozny2001obtaining, section 3.
// Claim:   none: it is here to be used and compared with; the paper's study is not run again.
type Histogram struct {
	// Bins is the number of bins of equally many calibration rows, for each class.
	Bins int `default:"10" range:"[1,1000000]"`
	// Probabilities says that rows are probabilities instead of logits. A zero counts as float32's smallest number.
	Probabilities bool
}

// Fit counts each class's rows in bins.
func (c Histogram) Fit(ctx context.Context, in LogitsInput) (*HistogramModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	o, err := read(ctx, "histogram", in, c.Probabilities)
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
			x, share, weight := o.pieces(class)
			all.x[class], all.y[class] = histogramBins(x, share, weight, o.n, c.Bins)
		}
	}
	m := newHistogram(oneVersusRest{calibrated: o.calibrated()}, all)
	m.blend(&o)
	return m, nil
}

// histogramBins returns the largest probability and the frequency of each bin. Rows of one probability go where their middle one belongs.
func histogramBins(x, share, weight []float64, n, bins int) (edges, frequency []float64) {
	below, last, rows := 0.0, -1, 0.0
	for i := range x {
		bin := int((below + weight[i]/2) * float64(bins) / float64(n))
		if bin != last {
			edges, frequency, rows = append(edges, 0), append(frequency, 0), 0
			last = bin
		}
		at := len(edges) - 1
		rows += weight[i]
		edges[at] = x[i]
		frequency[at] += (share[i] - frequency[at]) * weight[i] / rows
		below += weight[i]
	}
	// An edge lies halfway between what it divides.
	for b := range len(edges) - 1 {
		next, _ := slices.BinarySearch(x, math.Nextafter(edges[b], 2))
		edges[b] += (x[next] - edges[b]) / 2
	}
	return edges, frequency
}

func newHistogram(base oneVersusRest, all *curves) *HistogramModel {
	base.mapped = func(c int, log, _ float64) float64 {
		p, edges := math.Exp(log), all.x[c]
		if len(edges) == 0 {
			return p
		}
		at, _ := slices.BinarySearch(edges[:len(edges)-1], p)
		return all.y[c][at]
	}
	return &HistogramModel{base, all}
}

// HistogramModel is a fitted [Histogram].
type HistogramModel struct {
	oneVersusRest
	curves *curves
}

// Frequencies returns a class's frequency in each of its bins, from the least probable up, by the class's column.
func (m *HistogramModel) Frequencies(class int) []float64 { return slices.Clone(m.curves.y[class]) }

// State returns the model as tensors.
func (m *HistogramModel) State() *data.Checkpoint { return m.state(m.mixTensor(m.curves.tensors())) }

func loadHistogram(c Histogram, st *data.Checkpoint) (*HistogramModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	base, err := loadOneVersusRest("histogram", r, c.Probabilities)
	if err != nil {
		return nil, err
	}
	all, err := loadCurves(st, r, base.k)
	if err != nil {
		return nil, err
	}
	return newHistogram(base, all), nil
}
