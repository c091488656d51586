package drift

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "class weights of a window without labels, and whether its mix of classes changed",
	Paper: "lipton2018detecting",
	Exempt: map[string]string{
		"exchange":      "the reference has labels and a confusion, the window has none, Algorithm 1",
		"planted-drift": "rows that favour no class leave the mix of predicted classes as it was; the method's own test plants a shift of labels",
	},
}, LabelShift.Fit, loadLabelShift))

// LabelShift estimates how much more or less frequent each class is in a window without labels than in the reference.
//
// It is black box shift estimation of Lipton et al. (2018): the classifier's confusion on the labelled reference is solved for the
// class weights that explain what it predicts on the window. It assumes that rows of one class look alike before and after,
// which a test by features, such as [MMD] on the rows of one predicted class, can question. The weights turn a head trained on the old mix into one for the new.
//
// Fits on: Logits N×K with N ≥ 2 and K ≥ 2, all rows labelled, rows of each class, and classes that the confusion can tell apart.
// Test:    logits m×K with m ≥ 1, no labels. Statistic: chi-square of predicted classes, whose permutation p-value is exact. Parts: classes, their weights w = p_window/p_reference with bootstrap intervals. Effect: half the summed change of class shares.
// Errors:  ErrInput without logits; ErrLabels without labels, when they do not match the columns, and for a class without rows; ErrDegenerate when the confusion is singular; ErrShape on another width and for an empty window.
// Differs: weights below zero become zero and the rest add up to a distribution; predictions are hard; a class's p-value is Fisher's, of its predicted share.
// Source:  lipton2018detecting, Algorithm 1 and section 5; phipson2010permutation.
// Claim:   claims/drift/labelshift.go.
type LabelShift struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Permutations is P, how many relabellings the statistic is ranked among.
	Permutations int `default:"999" range:"[19,1e7]"`
	// Seed starts the drawing of relabellings and of the intervals' resamples.
	Seed uint64
}

// Fit counts the confusion.
func (c LabelShift) Fit(ctx context.Context, in LogitsInput) (*LabelShiftModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	o, err := in.read(ctx)
	if err != nil {
		return nil, err
	}
	m := &LabelShiftModel{config: c, k: o.k, classes: o.classes, confusion: make([]int64, o.k*o.k)}
	for i, y := range o.labels {
		m.confusion[y*o.k+argmax(o.logits[i*o.k:(i+1)*o.k])]++
	}
	return m, m.check()
}

func (c *LabelShift) ready() error {
	if err := method.Ready(c); err != nil {
		return err
	}
	return enough(c.Level, c.Permutations)
}

// check says why weights cannot be had.
func (m *LabelShiftModel) check() error {
	for c := range m.k {
		sum := int64(0)
		for _, v := range m.confusion[c*m.k : (c+1)*m.k] {
			if v < 0 || v > 1<<40 {
				return fmt.Errorf("%w: a count of %d", data.ErrFormat, v)
			}
			sum += v
		}
		if sum == 0 {
			return fmt.Errorf("%w: class %q has no rows in the reference", data.ErrLabels, m.classes[c])
		}
	}
	if _, ok := m.weights(labelShiftFloats(m.confusion), make([]float64, m.k)); !ok {
		return fmt.Errorf("%w: the classifier's confusion is singular: some classes are never predicted apart", method.ErrDegenerate)
	}
	return nil
}

// LabelShiftModel is a fitted [LabelShift].
type LabelShiftModel struct {
	config    LabelShift
	k         int
	classes   []string
	confusion []int64 // K×K: rows of true class × predicted class
}

// weights solves Σ_y C[predicted, y]·w[y] = q[predicted], C joint shares.
func (m *LabelShiftModel) weights(confusion, q []float64) (w []float64, ok bool) {
	k := m.k
	n := 0.0
	for _, v := range confusion {
		n += v
	}
	a := make([]float64, k*k)
	share := make([]float64, k)
	for y := range k {
		for p := range k {
			a[p*k+y] = confusion[y*k+p] / n
			share[y] += confusion[y*k+p] / n
		}
	}
	w = slices.Clone(q)
	if !labelShiftSolve(a, w) {
		return nil, false
	}
	sum := 0.0
	for y := range w {
		w[y] = max(w[y], 0)
		sum += w[y] * share[y]
	}
	for y := range w {
		if sum > 0 {
			w[y] /= sum
		}
	}
	return w, true
}

// labelShiftSolve overwrites b with the solution of a·x = b, by elimination with pivots; false when a is singular.
func labelShiftSolve(a, b []float64) bool {
	k := len(b)
	top := 0.0
	for _, v := range a {
		top = max(top, math.Abs(v))
	}
	for c := range k {
		pivot := c
		for r := c + 1; r < k; r++ {
			if math.Abs(a[r*k+c]) > math.Abs(a[pivot*k+c]) {
				pivot = r
			}
		}
		if math.Abs(a[pivot*k+c]) <= 1e-12*top {
			return false
		}
		for j := range k {
			a[c*k+j], a[pivot*k+j] = a[pivot*k+j], a[c*k+j]
		}
		b[c], b[pivot] = b[pivot], b[c]
		for r := c + 1; r < k; r++ {
			f := a[r*k+c] / a[c*k+c]
			for j := c; j < k; j++ {
				a[r*k+j] -= f * a[c*k+j]
			}
			b[r] -= f * b[c]
		}
	}
	for c := k - 1; c >= 0; c-- {
		for j := c + 1; j < k; j++ {
			b[c] -= a[c*k+j] * b[j]
		}
		b[c] /= a[c*k+c]
	}
	return true
}

func labelShiftFloats(v []int64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

// labelShiftResamples is how many resamples an interval is taken from.
const labelShiftResamples = 400

// Test compares the classes that are predicted on a window with those on the reference.
func (m *LabelShiftModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := method.Width("labelshift", window, m.k); err != nil {
		return nil, err
	}
	n, _ := window.Dims()
	if n < 1 {
		return nil, fmt.Errorf("labelshift: %w: the window has no rows", data.ErrShape)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	x, now := wide(window), make([]float64, m.k)
	for row := range slices.Chunk(x, m.k) {
		now[argmax(row)]++
	}
	confusion, before := labelShiftFloats(m.confusion), make([]float64, m.k)
	for i, v := range confusion {
		before[i%m.k] += v
	}
	c, err := m.labelShiftTable(ctx, before, now)
	if err != nil {
		return nil, err
	}
	m.estimate(c, confusion, before, now, float64(n))
	return c, nil
}

// labelShiftTable is the exact test of predicted classes: rows of both samples are dealt out again, by their classes alone.
func (m *LabelShiftModel) labelShiftTable(ctx context.Context, before, now []float64) (*method.Comparison, error) {
	ends, all := make([]float64, m.k), 0.0
	drawn, other := 0.0, 0.0
	for p := range m.k {
		all += before[p] + now[p]
		ends[p] = all
		drawn += now[p]
		other += before[p]
	}
	few := min(drawn, other)
	chiSquare := func(counts []float64, drawn float64) (sum float64) {
		for p, v := range counts {
			if size := before[p] + now[p]; size > 0 {
				gap := v - size*drawn/all
				sum += gap * gap / size
			}
		}
		return sum * all * all / (drawn * (all - drawn))
	}
	random := rand.New(rand.NewPCG(m.config.Seed, 0x6c61626c))
	null := make([]float64, m.config.Permutations)
	counts := make([]float64, m.k)
	for i := range null {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		clear(counts)
		taken := make(map[int64]bool, int(few))
		for j := int64(all - few); j < int64(all); j++ { // Floyd's way to draw without replacement
			row := random.Int64N(j + 1)
			if taken[row] {
				row = j
			}
			taken[row] = true
			counts[sort.SearchFloat64s(ends, float64(row)+0.5)]++
		}
		null[i] = chiSquare(counts, few)
	}
	statistic := chiSquare(now, drawn)
	r := rank(statistic, null, m.config.Level, 1e-12)
	return &method.Comparison{Drift: r.p <= m.config.Level, PValue: r.p, Level: m.config.Level, Statistic: statistic, Name: "chi_square", Visible: r.visible + r.mean}, nil
}

// estimate fills in the classes' weights, the effect, and their intervals.
func (m *LabelShiftModel) estimate(c *method.Comparison, confusion, before, now []float64, n float64) {
	k := m.k
	total := 0.0
	for _, v := range before {
		total += v
	}
	moved := func(confusion, now []float64) (w []float64, change float64, ok bool) {
		q, drawn, total := make([]float64, k), 0.0, 0.0
		for _, v := range now {
			drawn += v
		}
		for _, v := range confusion {
			total += v
		}
		for p, v := range now {
			q[p] = v / max(drawn, 1)
		}
		if w, ok = m.weights(confusion, q); !ok {
			return nil, 0, false
		}
		for y := range k {
			share := 0.0
			for _, v := range confusion[y*k : (y+1)*k] {
				share += v / total
			}
			change += share * math.Abs(w[y]-1) / 2
		}
		return w, change, true
	}
	w, change, _ := moved(confusion, now)
	replicas, changes := make([][]float64, k), []float64{}
	random := rand.New(rand.NewPCG(m.config.Seed, 0x62627365))
	for range labelShiftResamples {
		again := labelShiftDraw(random, confusion)
		drawn := labelShiftDraw(random, now)
		v, d, ok := moved(again, drawn)
		if !ok { // a resample without one of the classes: the reference as it is
			v, d, _ = moved(confusion, drawn)
		}
		for y := range k {
			replicas[y] = append(replicas[y], v[y])
		}
		changes = append(changes, d)
	}
	c.Effect, c.Unit = labelShiftInterval(change, changes), "share of rows whose class changed"
	c.Parts = make([]method.Part, k)
	p := make([]float64, k)
	for y := range k {
		drawn, hits, marked := int(n), int(now[y]), int(now[y]+before[y])
		both := 2 * min(hypergeometricTail(hits, drawn, marked, int(total+n)), hypergeometricTail(drawn-hits, drawn, int(total+n)-marked, int(total+n)))
		p[y] = min(1, both)
		spread := math.Sqrt(float64(marked)/(total+n)*(1-float64(marked)/(total+n))*(1/n+1/total)) * total / max(before[y], 1)
		c.Parts[y] = method.Part{Name: m.classes[y], PValue: p[y], Statistic: w[y], Effect: labelShiftInterval(w[y], replicas[y]), Visible: (normalQuantile(1-c.Level/2) + powerQuantile) * spread}
	}
	for y, v := range correct(p, bonferroni) {
		c.Parts[y].Corrected, c.Parts[y].Drift = v, v <= c.Level
	}
}

// labelShiftDraw resamples counts, each by a Poisson variable of its own, so that no time depends on how many rows there were.
func labelShiftDraw(random *rand.Rand, counts []float64) []float64 {
	out := make([]float64, len(counts))
	for i, v := range counts {
		if v > 50 {
			out[i] = max(0, math.Round(v+math.Sqrt(v)*random.NormFloat64()))
			continue
		}
		limit, product := math.Exp(-v), random.Float64()
		for product > limit {
			product *= random.Float64()
			out[i]++
		}
	}
	return out
}

// labelShiftInterval is the percentile interval of resamples, stretched to hold the value.
func labelShiftInterval(value float64, replicas []float64) metric.Estimate {
	slices.Sort(replicas)
	n := float64(len(replicas))
	return metric.Estimate{Value: value, Low: min(value, replicas[int(0.025*n)]), High: max(value, replicas[int(0.975*n)]), Level: 0.95}
}

// State returns the confusion as a tensor.
func (m *LabelShiftModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{"confusion": data.Int64Tensor(m.confusion, m.k, m.k)}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadLabelShift(c LabelShift, st *data.Checkpoint) (*LabelShiftModel, error) {
	if err := c.ready(); err != nil {
		return nil, err
	}
	r := st.Read()
	m := &LabelShiftModel{config: c, classes: r.Strings("classes")}
	if err := r.Err(); err != nil {
		return nil, err
	}
	m.k = len(m.classes)
	var err error
	if m.confusion, _, err = st.Ints("confusion", m.k, m.k); err != nil {
		return nil, err
	}
	if m.k < 2 {
		return nil, fmt.Errorf("%w: %d classes", data.ErrShape, m.k)
	}
	sum := int64(0)
	for _, v := range m.confusion {
		if sum += v; v < 0 || sum > 1<<32 {
			return nil, fmt.Errorf("%w: impossible counts", data.ErrFormat)
		}
	}
	return m, m.check()
}
