package drift

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// LogitsInput is what a method on a classifier's outputs learns from.
type LogitsInput struct {
	// Logits are N×K raw outputs before any softmax, a column for each class, of labelled rows. Columns that bear the classes' names
	// are found by them; without such names the classes, in their order, are the columns.
	Logits *data.Table
}

// outputs are a classifier's labelled outputs, checked.
type outputs struct {
	n, k    int
	logits  []float64 // n×k
	labels  []int     // n, columns
	classes []string  // k
}

// read checks labelled outputs. Errors: ErrInput without logits; ErrLabels without labels, for a row without one and for a class that no column stands for;
// ErrShape for fewer than two columns or one row.
func (in LogitsInput) read(ctx context.Context) (o outputs, err error) {
	if err := ctx.Err(); err != nil {
		return o, err
	}
	if in.Logits == nil {
		return o, fmt.Errorf("%w: no logits", method.ErrInput)
	}
	o.n, o.k = in.Logits.Dims()
	if o.k < 2 {
		return o, fmt.Errorf("%w: logits have %d columns, want one for each of at least 2 classes", data.ErrShape, o.k)
	}
	if o.n < 2 {
		return o, fmt.Errorf("%w: %d rows, want at least 2", data.ErrShape, o.n)
	}
	if o.labels, o.classes, err = in.Logits.ColumnLabels(); err != nil {
		return o, err
	}
	o.logits = wide(in.Logits)
	o.sort()
	return o, nil
}

// sort puts rows in an order of their own, so that sums do not depend on how they came.
func (o *outputs) sort() {
	order := make([]int, o.n)
	for i := range order {
		order[i] = i
	}
	row := func(i int) []float64 { return o.logits[i*o.k : (i+1)*o.k] }
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(slices.Compare(row(a), row(b)), cmp.Compare(o.labels[a], o.labels[b]))
	})
	logits, labels := make([]float64, 0, len(o.logits)), make([]int, 0, o.n)
	for _, i := range order {
		logits, labels = append(logits, row(i)...), append(labels, o.labels[i])
	}
	o.logits, o.labels = logits, labels
}

func wide(in *data.Table) []float64 {
	out := make([]float64, len(in.X()))
	for i, v := range in.X() {
		out[i] = float64(v)
	}
	return out
}

// argmax is the first of the largest values.
func argmax(row []float64) (best int) {
	for c, v := range row {
		if v > row[best] {
			best = c
		}
	}
	return best
}

// accuracy is the share of rows whose largest logit is their class's.
func (o outputs) accuracy() float64 {
	right := 0
	for i, y := range o.labels {
		if argmax(o.logits[i*o.k:(i+1)*o.k]) == y {
			right++
		}
	}
	return float64(right) / float64(o.n)
}

// temperature is the knob's value, or the one under which the labels are most likely.
func (o outputs) temperature(knob float64) float64 {
	if knob > 0 {
		return knob
	}
	return part.Temperature(o.logits, o.labels, o.k, 0)
}

// confidence is a number a row that estimates whether it is classified right; what a model of estimated accuracy keeps of the reference.
type confidence struct {
	name         string
	k            int
	temperature  float64
	accuracy     float64   // of the reference
	reference    []float64 // estimates of the reference rows, ascending
	level        float64
	permutations int
	seed         uint64
}

// test compares the mean estimate of the window with the reference's. Relabelling makes the p-value exact.
func (m *confidence) test(ctx context.Context, window *data.Table, of func(row []float64) float64) (*method.Comparison, error) {
	if err := method.Width(m.name, window, m.k); err != nil {
		return nil, err
	}
	n, _ := window.Dims()
	if n < 1 {
		return nil, fmt.Errorf("%s: %w: the window has no rows", m.name, data.ErrShape)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x := wide(window)
	now := make([]float64, n)
	for i := range now {
		now[i] = of(x[i*m.k : (i+1)*m.k])
	}
	slices.Sort(now) // sums then do not depend on the order of rows
	a, spreadA := moments(now)
	b, spreadB := moments(m.reference)
	if n == 1 {
		spreadA = spreadB
	}
	before, err := single(m.reference)
	if err != nil {
		return nil, err
	}
	after, err := single(now)
	if err != nil {
		return nil, err
	}
	c, err := newPool(before, after).testColumns(ctx, after, columnTest{name: "estimated_accuracy", statistic: meanGap, permutations: m.permutations, seed: m.seed}, m.level, bonferroni)
	if err != nil {
		return nil, err
	}
	c.Statistic, c.Parts = a, nil
	c.Effect = normalInterval(a-b, math.Sqrt(spreadA*spreadA/float64(n)+spreadB*spreadB/float64(len(m.reference))))
	c.Effect.Low, c.Effect.High = max(c.Effect.Low, -1), min(c.Effect.High, 1)
	c.Unit = fmt.Sprintf("change of the estimated accuracy; the reference's, with labels, is %.4f", m.accuracy)
	return c, nil
}

// single is a table of one column.
func single(v []float64) (*data.Table, error) {
	x := make([]float32, len(v))
	for i, s := range v {
		x[i] = float32(s)
	}
	return data.NewTable(len(v), 1, x)
}

// meanGap is the difference of the two samples' means.
func meanGap(c *column, counts []float64) float64 {
	gap := 0.0
	for g, size := range c.sizes {
		gap += c.values[g] * (counts[g]/c.few - (size-counts[g])/c.other)
	}
	return math.Abs(gap)
}

func moments(v []float64) (mean, spread float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	for _, x := range v {
		spread += (x - mean) * (x - mean) / float64(len(v))
	}
	return mean, math.Sqrt(spread)
}

// State returns the estimates of the reference as tensors.
func (m *confidence) State() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"estimates": data.Float64Tensor(m.reference, len(m.reference)),
		"numbers":   data.Float64Tensor([]float64{float64(m.k), m.temperature, m.accuracy}, 3),
	}}
}

// load reads what State wrote into m.
func (m *confidence) load(st *data.Checkpoint) error {
	r := st.Read()
	m.reference = r.Floats("estimates", -1)
	numbers := r.Floats("numbers", 3)
	if err := r.Err(); err != nil {
		return err
	}
	m.k, m.temperature, m.accuracy = int(numbers[0]), numbers[1], numbers[2]
	bad := func(v float64) bool { return !(v >= 0 && v <= 1) }
	if m.k < 2 || m.k > math.MaxInt32 || len(m.reference) < 1 || m.temperature <= 0 || bad(m.accuracy) || slices.ContainsFunc(m.reference, bad) {
		return fmt.Errorf("%w: %d estimates of a classifier with %d classes", data.ErrFormat, len(m.reference), m.k)
	}
	return nil
}

// largestProbability is the largest of softmax(logits/temperature).
func largestProbability(row []float64, temperature float64) float64 {
	p := make([]float64, len(row))
	num.Softmax(p, row, temperature)
	return slices.Max(p)
}
