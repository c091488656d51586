package probe

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a logistic head on rows cleaned of outliers and filled up from class Gaussians that lend to rare classes",
	Paper: "zhang2023noisy",
}, RCAL.Fit, loadRCAL))

// RCAL classifies by a logistic head that learned from cleaned rows and from rows drawn for rare classes, where labels are wrong now and then and classes are long-tailed.
//
// It is the distribution calibration of Zhang et al. (2023): rows that lie apart in their class by the local outlier factor
// are dropped; each class is a Gaussian; a rare class borrows mean and covariance from the frequent classes nearest to it, as
// far as its own rows leave them uncertain; and every class is filled up to the size of the largest by rows drawn from its
// Gaussian. O(N²·D + K·D³) and a logistic fit of K times the largest class's rows. Prefer it over [LogitAdjustment] when a tenth or more of
// the labels are wrong; with right labels [LogitAdjustment] is simpler
// and as good, and where most rows of a class are wrong its Gaussian is that of the wrong ones.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough, and classes without rows are left out. Columns should share a unit.
// Predict: N×K class probabilities where classes are equally frequent.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or the optimum is not reached.
// Differs: on features as they are: no contrastive encoder is trained, so nothing keeps an embedding near it, and rows are not mixed up. A rare class's mean moves by James and Stein's rule, and its covariance by rows against columns, where the paper has constants to tune.
// Source:  zhang2023noisy, the calibration of distributions; breunig2000lof.
// Claim:   claims/probe/rcal.go.
type RCAL struct {
	// Share is the part of a class's rows that each is compared with, at most 1,000. It should exceed the part that any one wrong class has in a class.
	Share float64 `default:"0.3" range:"(0,1]"`
	// Outlying is the local outlier factor beyond which a row is dropped. Rows inside a cluster have about 1; the more columns there are, the nearer to 1 stand all.
	Outlying float64 `default:"1.2" range:"(0,1e6]"`
	// Lenders is the most frequent classes that a rare one borrows from, the paper's q. A class is frequent with N/K rows or more.
	Lenders int `default:"3" range:"[1,1000]"`
	// NoBorrow leaves rare classes to their own rows.
	NoBorrow bool
	// Smoothing is added to the variances of what is drawn, the paper's α. Raise it when classes have few rows for their columns.
	Smoothing float64 `default:"0.05" range:"(0,100]" unit:"share of the mean variance"`
	// Ridge is the penalty on squared weights, as a share of the columns' mean variance.
	Ridge float64 `default:"1e-3" range:"[1e-9,1e6]" unit:"share of the mean variance"`
	// Seed starts the random numbers of the rows that are drawn.
	Seed uint64
}

const rcalNeighbors = 1000

// rcalClass is a class's Gaussian.
type rcalClass struct {
	rows      []int // that were kept
	mean, cov []float64
}

// Fit cleans, lends, draws and finds the weights.
func (c RCAL) Fit(ctx context.Context, train *data.Table) (*RCALModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	p, err := newLogisticProblem(ctx, train, false, false)
	if err != nil {
		return nil, err
	}
	d := p.D
	order := make([]int, p.N) // by class and values, so that nothing depends on the order of rows
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(p.Labels[a], p.Labels[b]), slices.Compare(p.X[a*d:(a+1)*d], p.X[b*d:(b+1)*d]))
	})
	classes := make([]rcalClass, p.K)
	for _, i := range order {
		classes[p.Labels[i]].rows = append(classes[p.Labels[i]].rows, i)
	}
	most, kept := 0, 0
	for l := range classes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.clean(&classes[l], p)
		most, kept = max(most, len(classes[l].rows)), kept+len(classes[l].rows)
	}
	m := &RCALModel{dropped: p.N - kept}
	if !c.NoBorrow {
		m.borrowed = c.lend(classes, p.N)
	}
	x, labels := make([]float32, 0, p.K*most*d), make([]int, 0, p.K*most)
	for l := range classes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for _, i := range classes[l].rows {
			x, labels = append(x, p.X[i*d:(i+1)*d]...), append(labels, l)
		}
		drawn, err := c.draw(classes[l], d, most-len(classes[l].rows), uint64(l))
		if err != nil {
			return nil, fmt.Errorf("class %q: %w", p.classes[l], err)
		}
		for _, row := range drawn {
			x, labels = append(x, row...), append(labels, l)
			m.drawn++
		}
	}
	p.N, p.X, p.Labels = len(labels), x, labels
	p.weigh()
	m.logisticFit, _, err = p.solve(ctx, c.Ridge, nil)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// clean drops a class's outliers and takes the mean and covariance of the rest.
func (c RCAL) clean(class *rcalClass, p *logisticProblem) {
	n, d := len(class.rows), p.D
	if n > 2 {
		x := make([]float32, 0, n*d)
		for _, i := range class.rows {
			x = append(x, p.X[i*d:(i+1)*d]...)
		}
		k := min(max(int(c.Share*float64(n)), 1), n-1, rcalNeighbors)
		var rows []int
		for r, v := range part.OutlierFactors(x, n, d, k) {
			if v <= c.Outlying {
				rows = append(rows, class.rows[r])
			}
		}
		if len(rows) > 0 { // a class of nothing but outliers has none
			class.rows = rows
		}
	}
	n = len(class.rows)
	class.mean, class.cov = make([]float64, d), make([]float64, d*d)
	off := make([]float64, n*d)
	for _, i := range class.rows {
		for j, v := range p.X[i*d : (i+1)*d] {
			class.mean[j] += float64(v) / float64(n)
		}
	}
	for r, i := range class.rows {
		for j, v := range p.X[i*d : (i+1)*d] {
			off[r*d+j] = float64(v) - class.mean[j]
		}
	}
	num.Gemm(true, false, d, d, n, 1/float64(n), off, d, off, d, 0, class.cov, d)
}

// lend gives classes of fewer than N/K rows a part of the statistics of the frequent ones nearest to them, and returns how
// many borrowed. All classes borrow from what frequent ones measured themselves.
func (c RCAL) lend(classes []rcalClass, n int) (borrowed int) {
	var rich []int
	for l, class := range classes {
		if len(class.rows)*len(classes) >= n {
			rich = append(rich, l)
		}
	}
	if len(rich) == 0 { // outliers took rows from all: the largest class lends
		most := 0
		for l, class := range classes {
			if len(class.rows) > len(classes[most].rows) {
				most = l
			}
		}
		rich = []int{most}
	}
	for t := range classes {
		if slices.Contains(rich, t) {
			continue
		}
		class := &classes[t]
		far := make([]float64, len(classes))
		for _, l := range rich {
			for j, v := range classes[l].mean {
				far[l] += (v - class.mean[j]) * (v - class.mean[j])
			}
		}
		lenders := slices.Clone(rich)
		slices.SortStableFunc(lenders, func(a, b int) int { return cmp.Compare(far[a], far[b]) })
		lenders = lenders[:min(c.Lenders, len(lenders))]
		weights, sum, near := make([]float64, len(lenders)), 0.0, far[lenders[0]]
		for r, l := range lenders {
			weights[r] = float64(len(classes[l].rows)) * math.Exp(-(far[l]-near)/max(near, math.SmallestNonzeroFloat64))
			sum += weights[r]
		}
		d := len(class.mean)
		mean, cov := make([]float64, d), make([]float64, d*d)
		for r, l := range lenders {
			for j, v := range classes[l].mean {
				mean[j] += weights[r] / sum * v
			}
			for j, v := range classes[l].cov {
				cov[j] += weights[r] / sum * v
			}
		}
		own, rows := 0.0, float64(len(class.rows))
		apart, doubt := 0.0, 0.0 // the squared distance to the borrowed mean, and how much of it chance explains
		for j := range d {
			apart += (class.mean[j] - mean[j]) * (class.mean[j] - mean[j])
			doubt += cov[j*d+j] / rows
		}
		if apart > 0 {
			own = max(0, 1-doubt/apart)
		}
		for j := range d {
			class.mean[j] = own*class.mean[j] + (1-own)*mean[j]
		}
		own = rows / (rows + float64(d))
		for j := range cov {
			class.cov[j] = own*class.cov[j] + (1-own)*cov[j]
		}
		borrowed++
	}
	return borrowed
}

// draw returns rows of a class's Gaussian.
func (c RCAL) draw(class rcalClass, d, rows int, number uint64) ([][]float32, error) {
	if rows == 0 {
		return nil, nil
	}
	cov := slices.Clone(class.cov)
	for j := range d {
		cov[j*d+j] += c.Smoothing // the columns' mean variance is about one here
	}
	chol, ok := num.NewChol(cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: its covariance is singular but for rounding; raise --smoothing above %g", method.ErrDegenerate, c.Smoothing)
	}
	root, r := chol.L(), rand.New(rand.NewPCG(c.Seed, part.Mix(number)))
	z, out := make([]float64, d), make([][]float32, rows)
	for i := range out {
		out[i] = make([]float32, d)
		for j := range z {
			z[j] = r.NormFloat64()
		}
		for j := range d {
			v := class.mean[j]
			for k := range j + 1 {
				v += root[j*d+k] * z[k]
			}
			out[i][j] = float32(v)
		}
	}
	return out, nil
}

// RCALModel is a fitted [RCAL].
type RCALModel struct {
	logisticFit
	dropped, borrowed, drawn int
}

// Predict returns each row's class probabilities, N×K.
func (m *RCALModel) Predict(in *data.Table) (*data.Table, error) { return m.head.predict("rcal", in) }

// Logits returns each row's logits, N×K.
func (m *RCALModel) Logits(in *data.Table) (*data.Table, error) { return m.head.logits("rcal", in) }

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *RCALModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// Report tells how many rows were dropped as outliers, how many classes borrowed, and how many rows were drawn.
func (m *RCALModel) Report() data.Numbers {
	return data.Numbers{"dropped_rows": float64(m.dropped), "borrowing_classes": float64(m.borrowed), "drawn_rows": float64(m.drawn), "gradient": m.residual}
}

// State returns the model as tensors.
func (m *RCALModel) State() *data.Checkpoint {
	st := m.logisticFit.state()
	st.Tensors["rows"] = data.Int64Tensor([]int64{int64(m.dropped), int64(m.borrowed), int64(m.drawn)}, 3)
	return st
}

func loadRCAL(_ RCAL, st *data.Checkpoint) (*RCALModel, error) {
	fit, err := loadLogisticFit(st)
	if err != nil {
		return nil, err
	}
	rows, _, err := st.Ints("rows", 3)
	if err != nil {
		return nil, err
	}
	return &RCALModel{fit, int(rows[0]), int(rows[1]), int(rows[2])}, nil
}
