package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "ordered classes by cumulative log odds whose weights hardly differ from one threshold to the next",
	Paper: "faletto2023predicting",
}, PRESTO.Fit, loadPRESTO))

// PRESTO classifies into ordered classes by one logistic threshold between neighbouring classes, whose weights are drawn to those of the threshold before it.
//
// It is the estimator of Faletto and Bien (2023): log odds P(class ≤ k) = a_k + b_k·x for each threshold k, with a penalty on
// the first threshold's weights and on how each threshold's differ from those of the one before. A rare last class borrows from the
// thresholds that have many rows, as far as the rows allow; columns of the same effect at all thresholds come out exactly
// so. In the limit of a large Fusion with FusionOnly it is the proportional-odds model of McCullagh (1980), with a small one
// a logistic regression for each threshold. O(K·N·D²+K³·D³) a step, some tens of steps, O(K·D) a row to predict. Prefer it over [Logistic] when classes have
// an order and the last is rare, and compare with proportional odds: in its claim's run it estimates a rare class better than
// either where thresholds differ now and then, as in the paper's simulation, and on people's ratings proportional odds did better.
//
// Fits on: Table N×D with a label for every row, N ≥ 2, better N > D; classes without rows are left out. It holds a float64 copy of the rows.
// Predict: N×K class probabilities, the columns in the classes' order.
// Errors:  ErrLabels when a row has no label, or one that Order lacks; ErrConfig when Order names a class twice; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or a condition of optimality stays off by more than 1e-6; 1e-10 is aimed at, and reached unless thresholds nearly touch.
// Differs: penalties are for columns of deviation one, in units of mean log loss. Ridge, small, is ours: with it there is one optimum and it is finite, also where planes separate the classes. A millionth of every training row's weight is spread over all classes, which keeps thresholds from crossing there; at a new row where they do cross, neighbouring log odds are averaged until they do not. Solved to the optimum by penalised Newton steps instead of coordinate descent.
// Source:  faletto2023predicting, the estimator of its section on methods; mccullagh1980regression, section 2.
// Claim:   claims/probe/presto.go.
type PRESTO struct {
	// Fusion is the penalty on the differences between weights of neighbouring thresholds, and on those of the first, the paper's λ. Folds chooses it; from about 1 on no weights are left.
	Fusion float64 `default:"1e-2" range:"(0,1e6]" unit:"mean log loss"`
	// FusionOnly leaves the first threshold's weights free, so that a large Fusion leads to proportional odds instead of no weights at all.
	FusionOnly bool
	// Ridge is added as a penalty on all squared weights. It matters where rows are fewer than columns, or planes separate the classes.
	Ridge float64 `default:"1e-6" range:"[1e-9,1e6]" unit:"mean log loss"`
	// Order lists the classes from first to last, separated by commas. Without it whole numbers go by value and before words, and words by the alphabet.
	Order string
	// Folds cuts the rows, when it is at least 2, into so many parts and takes, instead of Fusion, the one of 0.1, 0.1·10^−¼, … 1e-4 with the least log loss on the rows that were left out.
	Folds int `range:"[0,100]"`
}

const (
	prestoSmall      = 1e-10 // by how much the conditions of optimality may be off
	prestoLarge      = 1e-6  // beyond which a fit is refused
	prestoSmoothing  = 1e-6
	prestoImpossible = 1e-12 // counts for less when folds are compared
)

// prestoFusions are the penalties that Folds chooses from, largest first.
func prestoFusions() (fusions []float64) {
	for e := range 13 {
		fusions = append(fusions, math.Pow(10, -1-float64(e)/4))
	}
	return fusions
}

// Fit finds the thresholds.
func (c PRESTO) Fit(ctx context.Context, train *data.Table) (*PRESTOModel, error) {
	models, err := c.path(ctx, train, nil)
	if err != nil {
		return nil, err
	}
	return models[0], nil
}

// Path fits one model for each penalty, in their place of Fusion and in their order. Each starts from the one before: give
// the penalties from large to small.
func (c PRESTO) Path(ctx context.Context, train *data.Table, fusions []float64) ([]*PRESTOModel, error) {
	return c.path(ctx, train, fusions)
}

func (c PRESTO) path(ctx context.Context, train *data.Table, fusions []float64) ([]*PRESTOModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	classes, labels, err := c.ordered(train)
	if err != nil {
		return nil, err
	}
	n, d := train.Dims()
	center, variance := centred(train)
	if slices.Max(variance) == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, n)
	}
	deviation := make([]float64, d)
	for j, v := range variance {
		deviation[j] = 1 // of a column that does not vary: its weights are zero anyway
		if v > 0 {
			deviation[j] = math.Sqrt(v)
		}
	}
	x := make([]float64, n*d)
	for i := range n {
		for j, v := range train.Row(i) {
			x[i*d+j] = (float64(v) - center[j]) / deviation[j]
		}
	}
	p := &part.Ordinal{N: n, D: d, K: len(classes), X: x, Labels: labels, Ridge: c.Ridge, Smoothing: prestoSmoothing}
	if fusions == nil {
		if c.Folds >= 2 {
			if c.Fusion, err = c.folded(ctx, p); err != nil {
				return nil, err
			}
		}
		fusions = []float64{c.Fusion}
	}
	var out []*PRESTOModel
	var theta []float64
	for _, fusion := range fusions {
		if c.Fusion = fusion; !(fusion > 0 && fusion <= 1e6) {
			return nil, fmt.Errorf("%w: a fusion of %g lies outside (0,1e6]", method.ErrConfig, fusion)
		}
		m := &PRESTOModel{classes: classes, fusion: fusion}
		if m.objective, m.residual, theta, err = c.solve(ctx, p, theta, prestoSmall); err != nil {
			return nil, err
		}
		m.set(center, deviation, theta)
		out = append(out, m)
	}
	return out, nil
}

// ordered returns the classes that have rows, in their order, and each row's place among them.
func (c PRESTO) ordered(train *data.Table) (classes []string, labels []int, err error) {
	classes, labels, err = labelled(train)
	if err != nil || c.Order == "" {
		return classes, labels, err
	}
	order := strings.Split(c.Order, ",")
	place, declared := make([]int, len(classes)), []string{}
	for i, name := range order {
		order[i] = strings.TrimSpace(name)
		if slices.Contains(order[:i], order[i]) {
			return nil, nil, fmt.Errorf("%w: --order names %q twice", method.ErrConfig, order[i])
		}
		if l := slices.Index(classes, order[i]); l >= 0 {
			place[l] = len(declared)
			declared = append(declared, order[i])
		}
	}
	for i, l := range labels {
		if !slices.Contains(order, classes[l]) {
			return nil, nil, fmt.Errorf("%w: row %d is of class %q, which --order %s does not name", data.ErrLabels, i+1, classes[l], strings.Join(order, ","))
		}
		labels[i] = place[l]
	}
	return declared, labels, nil
}

// solve starts from theta, or from no weights, and returns where it came as well.
func (c PRESTO) solve(ctx context.Context, p *part.Ordinal, theta []float64, small float64) (objective, residual float64, at []float64, err error) {
	p.Fusion, p.First = c.Fusion, c.Fusion
	if c.FusionOnly {
		p.First = 0
	}
	at, p.Near = slices.Clone(theta), theta != nil
	if !p.Near {
		at = p.Start()
	}
	if p.K == 1 {
		return 0, 0, at, ctx.Err()
	}
	objective, residual, err = p.Solve(ctx, at, small)
	if err == nil && p.Near && !(residual <= prestoLarge) { // from a start that was not near after all
		at, p.Near = p.Start(), false
		objective, residual, err = p.Solve(ctx, at, small)
	}
	if err != nil {
		return 0, 0, nil, err
	}
	if !(residual <= prestoLarge) {
		return 0, 0, nil, fmt.Errorf("%w: a condition of optimality is still off by %.2g, wanted %g; raise --ridge above %g", method.ErrDegenerate, residual, prestoLarge, c.Ridge)
	}
	return objective, residual, at, nil
}

// folded returns the penalty with the least mean log loss over rows that were left out, every Folds-th of its class in turn.
func (c PRESTO) folded(ctx context.Context, p *part.Ordinal) (float64, error) {
	turn, fold := make([]int, p.K), make([]int, p.N)
	for i, l := range p.Labels {
		fold[i] = turn[l] % c.Folds
		turn[l]++
	}
	if least := slices.Min(turn); least < c.Folds {
		return 0, fmt.Errorf("%w: a class has %d rows, so it cannot be cut into %d folds; lower --folds", method.ErrDegenerate, least, c.Folds)
	}
	fusions := prestoFusions()
	losses := make([]float64, len(fusions))
	for f := range c.Folds {
		in := *p
		in.X, in.Labels = nil, nil
		for i, l := range p.Labels {
			if fold[i] != f {
				in.X, in.Labels = append(in.X, p.X[i*p.D:(i+1)*p.D]...), append(in.Labels, l)
			}
		}
		in.N = len(in.Labels)
		var theta []float64
		for at, fusion := range fusions {
			method.Progress(ctx, f*len(fusions)+at, c.Folds*len(fusions))
			c.Fusion = fusion
			var err error
			if _, _, theta, err = c.solve(ctx, &in, theta, prestoLarge); err != nil {
				return 0, err
			}
			ones := slices.Repeat([]float64{1}, p.D)
			m := &PRESTOModel{classes: make([]string, p.K)}
			m.set(make([]float64, p.D), ones, theta)
			row := make([]float64, p.K)
			for i, l := range p.Labels {
				if fold[i] != f {
					continue
				}
				for k := range p.K - 1 {
					row[k] = 0
					for j := range p.D {
						row[k] += p.X[i*p.D+j] * m.linear.Matrix[j*(p.K-1)+k]
					}
				}
				m.probabilities(row)
				losses[at] -= math.Log(max(row[l], prestoImpossible))
			}
		}
	}
	best := 0
	for at, v := range losses {
		if v < losses[best] {
			best = at
		}
	}
	return fusions[best], nil
}

// PRESTOModel is a fitted [PRESTO].
type PRESTOModel struct {
	classes                     []string         // K, in order
	linear                      *part.Projection // D×(K−1)
	intercept                   []float64        // K−1
	fusion, objective, residual float64
}

// set turns intercepts and differences of weights for columns of deviation one into thresholds for the columns as they are.
func (m *PRESTOModel) set(center, deviation, theta []float64) {
	d, t := len(center), len(m.classes)-1
	m.linear = &part.Projection{D: d, R: t, Center: center, Matrix: make([]float64, d*t)}
	m.intercept = make([]float64, t)
	for k := range t {
		m.intercept[k] = theta[k*(d+1)]
	}
	for j := range d {
		sum := 0.0
		for k := range t {
			sum += theta[k*(d+1)+1+j]
			m.linear.Matrix[j*t+k] = sum / deviation[j]
		}
	}
}

// probabilities turns K−1 log odds without intercepts at the front of row into the K classes' probabilities.
func (m *PRESTOModel) probabilities(row []float64) {
	t := len(m.intercept)
	odds, size := make([]float64, 0, t), make([]int, 0, t) // runs of thresholds that were averaged
	for k, v := range row[:t] {
		odds, size = append(odds, v+m.intercept[k]), append(size, 1)
		for last := len(odds) - 1; last > 0 && odds[last] < odds[last-1]; last-- { // they cross: pool them
			all := size[last-1] + size[last]
			odds[last-1] += (odds[last] - odds[last-1]) * float64(size[last]) / float64(all)
			odds, size[last-1], size = odds[:last], all, size[:last]
		}
	}
	at, before := 0, math.Inf(-1)
	for run, o := range odds {
		for range size[run] {
			row[at] = prestoBetween(before, o)
			before = o
			at++
		}
	}
	row[at] = prestoBetween(before, math.Inf(1))
}

// prestoBetween is σ(high) − σ(low) for low ≤ high, without losing digits in the tails.
func prestoBetween(low, high float64) float64 {
	if low == high {
		return 0
	}
	return -math.Expm1(low-high) / ((1 + math.Exp(-high)) * (1 + math.Exp(low)))
}

// Predict returns each row's class probabilities, N×K, the classes in their order.
func (m *PRESTOModel) Predict(in *data.Table) (*data.Table, error) {
	if err := method.Width("presto", in, m.linear.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := len(m.classes)
	out := make([]float32, n*k)
	m.linear.Each(in.X(), n, func(lo, hi int, z []float64) {
		row := make([]float64, k)
		for i := lo; i < hi; i++ {
			copy(row, z[(i-lo)*(k-1):(i-lo+1)*(k-1)])
			m.probabilities(row)
			for c, v := range row {
				out[i*k+c] = float32(v)
			}
		}
	})
	return data.NewNamed(n, m.classes, out)
}

// Thresholds returns what the model is: log odds P(class ≤ k) = (x − center)·weights + intercept for the first K−1 classes,
// with D, D×(K−1) and K−1 values. The caller must not change them.
func (m *PRESTOModel) Thresholds() (center, weights, intercept []float64) {
	return m.linear.Center, m.linear.Matrix, m.intercept
}

// Fusion returns the penalty that was used: the given or the chosen one.
func (m *PRESTOModel) Fusion() float64 { return m.fusion }

// Proportional is the share of columns whose weight is the same at all thresholds.
func (m *PRESTOModel) Proportional() float64 {
	d, t, same := m.linear.D, m.linear.R, 0
	for j := range d {
		row := m.linear.Matrix[j*t : (j+1)*t]
		if !slices.ContainsFunc(row, func(v float64) bool { return v != row[0] }) {
			same++
		}
	}
	return float64(same) / float64(d)
}

// Report tells the penalty that was used, the objective and by how much the worst condition of its optimum is off, and the
// share of columns with the same weight at all thresholds.
func (m *PRESTOModel) Report() data.Numbers {
	return data.Numbers{"fusion": m.fusion, "objective": m.objective, "kkt_residual": m.residual, "proportional_share": m.Proportional()}
}

// State returns the model as tensors.
func (m *PRESTOModel) State() *data.Checkpoint {
	d, t := m.linear.D, m.linear.R
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":    data.Float64Tensor(m.linear.Center, d),
		"weights":   data.Float64Tensor(m.linear.Matrix, d, t),
		"intercept": data.Float64Tensor(m.intercept, t),
		"fit":       data.Float64Tensor([]float64{m.fusion, m.objective, m.residual}, 3),
	}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadPRESTO(_ PRESTO, st *data.Checkpoint) (*PRESTOModel, error) {
	r := st.Read()
	m := &PRESTOModel{classes: r.Strings("classes")}
	center, t := r.Floats("center", -1), max(len(m.classes)-1, 0)
	m.linear = &part.Projection{D: len(center), R: t, Center: center, Matrix: r.Floats("weights", len(center), t)}
	m.intercept = r.Floats("intercept", t)
	fit := r.Floats("fit", 3)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(center) == 0 || len(m.classes) == 0 {
		return nil, fmt.Errorf("%w: thresholds of %d columns and %d classes", data.ErrShape, len(center), len(m.classes))
	}
	m.fusion, m.objective, m.residual = fit[0], fit[1], fit[2]
	return m, nil
}
