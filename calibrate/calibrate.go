// Package calibrate answers: how sure may one be of a classifier's outputs, and what else could a row be?
//
//	which one?              gives            from calibration rows        when
//	[TemperatureScaling]    probabilities    tens                         one factor for all: the default; keeps the order of classes
//	[VectorScaling]         probabilities    tens a class                 classes are over- or underrated one by one
//	[Platt]                 probabilities    tens a class                 few rows, scores of any size; a sigmoid for each class
//	[Beta]                  probabilities    a hundred a class            as Platt, for probabilities that are skewed
//	[Isotonic]              probabilities    hundreds a class             the distortion has any rising shape
//	[Histogram]             probabilities    hundreds a class             no shape at all; what is promised is the frequency of a bin
//	[SplitConformal]        sets of classes  1/level                      the smallest sets that keep the level over all rows
//	[Mondrian]              sets of classes  1/level a class              the level must hold within every class
//	[APS], [RAPS]           sets of classes  1/level                      hard rows shall get larger sets; the second keeps them short
//
// All take logits, or with Probabilities set probabilities, and labels, of rows that the classifier was not trained on.
package calibrate

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "calibrate", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }

// LogitsInput is what calibration learns from.
type LogitsInput struct {
	// Logits are N×K raw outputs before any softmax, or probabilities where the method is told so, a column for each class, of
	// labelled rows that the classifier has not learned from. Columns that bear the classes' names are found by them; without
	// such names the classes, in their order, are the columns.
	Logits *data.Table
}

// outputs are a classifier's labelled outputs, checked.
type outputs struct {
	outputReader
	n       int
	logs    []float64 // n×k log-probabilities
	labels  []int     // n, columns
	rows    []int     // k, of each class
	classes []string  // k
}

// outputReader turns rows of a table into log-probabilities.
type outputReader struct {
	name          string // of the method, for messages
	k             int
	probabilities bool
}

// read checks labelled outputs. Errors: ErrInput without logits and for probabilities that are none; ErrLabels without labels,
// for a row without one and for a class that no column stands for; ErrShape for fewer than two columns and no rows.
func read(ctx context.Context, name string, in LogitsInput, probabilities bool) (o outputs, err error) {
	if err := ctx.Err(); err != nil {
		return o, err
	}
	if in.Logits == nil {
		return o, fmt.Errorf("%w: no logits", method.ErrInput)
	}
	n, k := in.Logits.Dims()
	if k < 2 {
		return o, fmt.Errorf("%w: logits have %d columns, want one for each of at least 2 classes", data.ErrShape, k)
	}
	if n < 1 {
		return o, fmt.Errorf("%w: no calibration rows", data.ErrShape)
	}
	o.n, o.outputReader = n, outputReader{name, k, probabilities}
	labels, classes, err := in.Logits.ColumnLabels()
	if err != nil {
		return o, err
	}
	logs, err := o.read(in.Logits)
	if err != nil {
		return o, err
	}
	o.classes = classes
	// Rows in an order of their own: sums then do not depend on how they came.
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	row := func(i int) []float64 { return logs[i*k : (i+1)*k] }
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(slices.Compare(row(a), row(b)), cmp.Compare(labels[a], labels[b]))
	})
	o.logs, o.labels, o.rows = make([]float64, 0, n*k), make([]int, 0, n), make([]int, k)
	for _, i := range order {
		o.logs, o.labels = append(o.logs, row(i)...), append(o.labels, labels[i])
		o.rows[labels[i]]++
	}
	return o, ctx.Err()
}

func (o *outputs) row(i int) []float64 { return o.logs[i*o.k : (i+1)*o.k] }

// read returns the n×k log-probabilities of a table. Errors: ErrShape on another width; ErrInput, with the row, for
// probabilities that are none.
func (r outputReader) read(in *data.Table) ([]float64, error) {
	n, k := in.Dims()
	if k != r.k {
		return nil, fmt.Errorf("%s: %w: table has %d columns, fitted on %d", r.name, data.ErrShape, k, r.k)
	}
	logs := make([]float64, n*k)
	num.Parallel(n, 512, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			to := logs[i*k : (i+1)*k]
			for c, v := range in.Row(i) {
				to[c] = float64(v)
			}
			if r.probabilities {
				if !logProbabilities(to) {
					to[0] = math.NaN() // told below, for the first such row
				}
				continue
			}
			logSoftmax(to)
		}
	})
	for i := 0; r.probabilities && i < n; i++ {
		if math.IsNaN(logs[i*k]) {
			return nil, fmt.Errorf("%s: %w: row %d is no probabilities: %s; without --probabilities rows are read as logits", r.name, method.ErrInput, i+1, whyNot(in.Row(i)))
		}
	}
	return logs, nil
}

// sumSlack is how far probabilities may be from adding up to one; they are divided by their sum.
const sumSlack = 0.01

// leastProbability stands for a probability of zero: the smallest normal float32.
const leastProbability = 0x1p-126

func logProbabilities(p []float64) bool {
	sum := 0.0
	for _, v := range p {
		if v < 0 || v > 1+sumSlack {
			return false
		}
		sum += v
	}
	if math.Abs(sum-1) > sumSlack {
		return false
	}
	for c, v := range p {
		p[c] = math.Log(max(v, leastProbability))
	}
	logSoftmax(p)
	return true
}

func whyNot(row []float32) string {
	sum := 0.0
	for c, v := range row {
		if v < 0 || v > 1+sumSlack {
			return fmt.Sprintf("column %d is %g, want 0 to 1", c+1, v)
		}
		sum += float64(v)
	}
	return fmt.Sprintf("they add up to %.6g, want 1 within %g", sum, sumSlack)
}

// logSoftmax subtracts the largest value first, so that a constant added to a row loses nothing.
func logSoftmax(z []float64) {
	top := slices.Max(z)
	for c := range z {
		z[c] -= top
	}
	l := num.LogSumExp(z)
	for c := range z {
		z[c] -= l
	}
}

// logOdds writes log p − log(1−p) of each class, exact also where p is nearly one.
func logOdds(dst, logs []float64) {
	at := 0
	for c, l := range logs {
		if l > logs[at] {
			at = c
		}
	}
	for c, l := range logs {
		if c != at {
			dst[c] = l - math.Log1p(-math.Exp(l))
		}
	}
	top, sum := math.Inf(-1), 0.0 // of the others
	for c, l := range logs {
		if c != at {
			top = max(top, l)
		}
	}
	for c, l := range logs {
		if c != at {
			sum += math.Exp(l - top)
		}
	}
	dst[at] = logs[at] - top - math.Log(sum)
}

// calibrated is a fitted calibrator: it turns each row's log-probabilities into better ones.
type calibrated struct {
	outputReader
	classes []string
}

func (o *outputs) calibrated() calibrated { return calibrated{o.outputReader, o.classes} }

// table makes each row's log-probabilities into what link writes in their place.
func (m *calibrated) table(in *data.Table, link func(logs []float64)) (*data.Table, error) {
	logs, err := m.read(in)
	if err != nil {
		return nil, err
	}
	n, k := in.Dims()
	out := make([]float32, n*k)
	num.Parallel(n, 256, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := logs[i*k : (i+1)*k]
			link(row)
			for c, v := range row { // what float32 cannot hold becomes its largest number
				out[i*k+c] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
			}
		}
	})
	return data.NewNamed(n, m.classes, out)
}

// state begins a state with the classes.
func (m *calibrated) state(tensors map[string]data.Tensor) *data.Checkpoint {
	st := &data.Checkpoint{Tensors: tensors}
	st.SetStrings("classes", m.classes)
	return st
}

// load reads the classes. Errors: those of the reader; ErrShape for fewer than two.
func load(name string, r *data.Reader, probabilities bool) (calibrated, error) {
	m := calibrated{classes: r.Strings("classes")}
	if err := r.Err(); err != nil {
		return m, err
	}
	if len(m.classes) < 2 {
		return m, fmt.Errorf("%w: %d classes", data.ErrShape, len(m.classes))
	}
	m.outputReader = outputReader{name, len(m.classes), probabilities}
	return m, nil
}

// scaled is a calibrator that multiplies log-probabilities by a factor and adds an offset, each one for all classes or one a class.
type scaled struct {
	calibrated
	weights, offsets []float64 // K
}

func (m *scaled) link(logs []float64) {
	for c := range logs {
		logs[c] = m.weights[c]*logs[c] + m.offsets[c]
	}
	logSoftmax(logs)
}

// Logits returns N×K calibrated log-probabilities: logits of which nothing needs to be added or divided any more.
func (m *scaled) Logits(in *data.Table) (*data.Table, error) { return m.table(in, m.link) }

// Predict returns N×K calibrated probabilities.
func (m *scaled) Predict(in *data.Table) (*data.Table, error) {
	return m.table(in, func(logs []float64) {
		m.link(logs)
		for c, l := range logs {
			logs[c] = math.Exp(l)
		}
	})
}

// uniformScale is the identity divided by the best temperature.
func (o *outputs) uniformScale() (scaled, float64) {
	t := part.Temperature(o.logs, o.labels, o.k, 0)
	return scaled{o.calibrated(), slices.Repeat([]float64{1 / t}, o.k), make([]float64, o.k)}, t
}
