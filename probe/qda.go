package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "quadratic discriminant analysis: Gaussian classes, each with a covariance drawn towards the common one",
	Paper: "friedman1989regularized",
}, moments.Classes|moments.ClassScatter, QDA.FitMoments, loadQDA))

// QDA classifies by Gaussian densities, each class with a covariance of its own.
//
// It is the regularised discriminant analysis of Friedman (1989): a class's covariance is drawn towards the one that all
// classes share and both towards a multiple of the identity. In closed form, one pass, O(N·D²+K·D³) to fit, O(K·D²) a row
// to predict, K·D² values to keep. Prefer it over [LDA] where classes spread differently and each has more rows than columns.
//
// Fits on: Table N×D with a label for every row, N ≥ 2. One row a class is enough: its covariance is then the common one.
// Predict: N×K posterior probabilities of the classes.
// Logits:  N×K, natural log of a class's joint density with the row, without −D/2·log 2π: quadratic in the row; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrDegenerate when all rows are equal; ErrShape on another width, or from a state without per-class scatters.
// Differs: Friedman chooses both shares by cross-validation; here Share is a knob and Ridge, of the variance over all rows, a small one.
// Source:  friedman1989regularized, eq. (16)-(18).
// Claim:   none: it is a standard head to compare others with.
type QDA struct {
	// Share is how much of every class's covariance is the one that all classes share, Friedman's λ: 1 makes borders linear, near 0 trusts each class's own rows, of which it then needs many times D.
	Share float64 `default:"0.1" range:"(0,1]"`
	// Ridge is added to each covariance's diagonal, as a share of the mean variance over all rows.
	Ridge float64 `default:"1e-3" range:"(0,1e6]" unit:"share of the mean variance"`
	// Balanced takes all classes to be equally frequent, whatever their share of the training rows.
	Balanced bool
}

// Fit learns class means and covariances from a table or a stream, in one or two passes.
func (c QDA) Fit(ctx context.Context, train data.Source) (*QDAModel, error) {
	return method.FitMoments(ctx, moments.Classes|moments.ClassScatter, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c QDA) FitMoments(s *moments.State) (*QDAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	pooled, err := s.PooledCovariance()
	if err != nil {
		return nil, err
	}
	total, err := meanVariance(s)
	if err != nil {
		return nil, err
	}
	m := &QDAModel{classes: s.Classes()}
	d, _ := s.Dims()
	k := len(m.classes)
	means := s.ClassMeans()
	for l, name := range m.classes {
		cov, err := s.ClassCovariance(name)
		if err != nil {
			return nil, err
		}
		for i, v := range cov {
			cov[i] = (1-c.Share)*v + c.Share*pooled[i]
		}
		for j := range d {
			cov[j*d+j] += c.Ridge * total
		}
		chol, ok := num.NewChol(cov, d)
		if !ok {
			return nil, fmt.Errorf("%w: the covariance of class %q stays singular after a ridge of %g; raise --ridge", method.ErrDegenerate, name, c.Ridge)
		}
		share := float64(s.Count(name)) / float64(s.Rows())
		if c.Balanced {
			share = 1 / float64(k)
		}
		m.white = append(m.white, &part.Projection{D: d, R: d, Center: means[l*d : (l+1)*d], Matrix: chol.Whitener()})
		m.intercept = append(m.intercept, math.Log(share)-chol.LogDet()/2)
	}
	return m, nil
}

// QDAModel is a fitted [QDA].
type QDAModel struct {
	classes   []string
	white     []*part.Projection // K, each D×D: to a row in which the class has variance one in all directions
	intercept []float64          // K
}

func (m *QDAModel) table(in *data.Table, link func(logits []float64)) (*data.Table, error) {
	n, d := in.Dims()
	if d != m.white[0].D {
		return nil, fmt.Errorf("qda: %w: table has %d columns, fitted on %d", data.ErrShape, d, m.white[0].D)
	}
	k := len(m.classes)
	logits := make([]float64, n*k)
	for c, w := range m.white {
		w.Each(in.X(), n, func(lo, hi int, z []float64) {
			for i := lo; i < hi; i++ {
				logits[i*k+c] = m.intercept[c] - num.SquaredNorm(z[(i-lo)*d:(i-lo+1)*d])/2
			}
		})
	}
	out := make([]float32, n*k)
	for i := range n {
		row := logits[i*k : (i+1)*k]
		link(row)
		for c, v := range row { // what float32 cannot hold becomes its largest number
			out[i*k+c] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
		}
	}
	return data.NewNamed(n, m.classes, out)
}

// Predict returns each row's class probabilities, N×K.
func (m *QDAModel) Predict(in *data.Table) (*data.Table, error) {
	return m.table(in, func(logits []float64) { num.Softmax(logits, logits, 1) })
}

// Logits returns each row's log joint densities, N×K.
func (m *QDAModel) Logits(in *data.Table) (*data.Table, error) {
	return m.table(in, func([]float64) {})
}

// State returns the model as tensors.
func (m *QDAModel) State() *data.Checkpoint {
	k, d := len(m.classes), m.white[0].D
	var means, white []float64
	for _, w := range m.white {
		means, white = append(means, w.Center...), append(white, w.Matrix...)
	}
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"means":     data.Float64Tensor(means, k, d),
		"whiteners": data.Float64Tensor(white, k, d, d),
		"intercept": data.Float64Tensor(m.intercept, k),
	}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadQDA(_ QDA, st *data.Checkpoint) (*QDAModel, error) {
	r := st.Read()
	m := &QDAModel{classes: r.Strings("classes")}
	k := len(m.classes)
	means := r.Floats("means", k, -1)
	d := len(means) / max(k, 1)
	white := r.Floats("whiteners", k, d, d)
	m.intercept = r.Floats("intercept", k)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if k == 0 || d == 0 {
		return nil, fmt.Errorf("%w: %d classes of %d columns", data.ErrShape, k, d)
	}
	for c := range k {
		m.white = append(m.white, &part.Projection{D: d, R: d, Center: means[c*d : (c+1)*d], Matrix: white[c*d*d : (c+1)*d*d]})
	}
	return m, nil
}
