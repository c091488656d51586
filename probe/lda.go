package probe

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "linear discriminant analysis: Gaussian classes with one covariance",
	Paper: "fisher1936use",
}, moments.Classes, LDA.FitMoments, loadLDA))

// LDA classifies by Gaussian densities that share a covariance.
//
// It is Fisher's linear discriminant (1936) with the shares of classes as priors: in closed form, one pass, O(N·D²+D³) to fit,
// O(K·D) a row to predict. Its border is linear and best when classes are ellipsoids of one shape; unlike [NaiveBayes] it
// sees correlations. Prefer [QDA] where classes spread differently and have many rows each, [Ridge] where N is near D.
//
// Fits on: Table N×D with a label for every row, N ≥ 2. One row a class is enough: then it is the nearest mean.
// Predict: N×K posterior probabilities of the classes.
// Logits:  N×K, natural log of a class's joint density with the row, less that of one Gaussian around the mean of all rows: linear in the row; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrDegenerate when all rows are equal; ErrShape on another width.
// Differs: the covariance is shrunk by the oracle-approximating estimate of Chen et al. (2010), which takes rows to be Gaussian as the method does; Ridge, of the variance over all rows, makes it regular where classes have no spread at all.
// Source:  fisher1936use; chen2010shrinkage, eq. (23).
// Claim:   none: it is a standard head to compare others with.
type LDA struct {
	// Shrinkage moves the covariance towards a multiple of the identity, as far as the oracle-approximating estimate says for N − K rows; or not at all, which makes answers invariant to linear maps and needs many more rows than columns.
	Shrinkage string `default:"oas" enum:"oas,none"`
	// Ridge is added to the covariance's diagonal, as a share of the mean variance over all rows. It only matters where Shrinkage leaves directions without variance.
	Ridge float64 `default:"1e-6" range:"(0,1e6]" unit:"share of the mean variance"`
	// Balanced takes all classes to be equally frequent, whatever their share of the training rows.
	Balanced bool
}

// Fit learns class means and the covariance from a table or a stream, in one or two passes.
func (c LDA) Fit(ctx context.Context, train data.Source) (*LDAModel, error) {
	return method.FitMoments(ctx, moments.Classes, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c LDA) FitMoments(s *moments.State) (*LDAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	cov, err := s.PooledCovariance()
	if err != nil {
		return nil, err
	}
	classes := s.Classes()
	d, _ := s.Dims()
	k := len(classes)
	if c.Shrinkage == "oas" {
		moments.OAS(cov, d, max(s.Rows()-k, 1))
	}
	total, err := meanVariance(s)
	if err != nil {
		return nil, err
	}
	for j := range d {
		cov[j*d+j] += c.Ridge * total
	}
	chol, ok := num.NewChol(cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: the covariance stays singular after a ridge of %g; raise --ridge", method.ErrDegenerate, c.Ridge)
	}
	intercept := make([]float64, k)
	offsets := s.Indicators() // D×K: share of the class × (class mean − overall mean)
	for l, name := range classes {
		share := float64(s.Count(name)) / float64(s.Rows())
		for j := range d {
			offsets[j*k+l] /= share
		}
		intercept[l] = math.Log(share)
		if c.Balanced {
			intercept[l] = -math.Log(float64(k))
		}
	}
	weights := slices.Clone(offsets)
	chol.Solve(weights, k)
	for i, w := range weights {
		intercept[i%k] -= offsets[i] / 2 * w
	}
	return &LDAModel{newHead(classes, s.Mean(), weights, intercept)}, nil
}

// LDAModel is a fitted [LDA].
type LDAModel struct{ head *head }

// Predict returns each row's class probabilities, N×K.
func (m *LDAModel) Predict(in *data.Table) (*data.Table, error) { return m.head.predict("lda", in) }

// Logits returns each row's log odds against the average row, N×K.
func (m *LDAModel) Logits(in *data.Table) (*data.Table, error) { return m.head.logits("lda", in) }

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *LDAModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// State returns the model as tensors.
func (m *LDAModel) State() *data.Checkpoint { return m.head.state() }

func loadLDA(_ LDA, st *data.Checkpoint) (*LDAModel, error) {
	h, err := loadHead(st.Read())
	if err != nil {
		return nil, err
	}
	return &LDAModel{h}, nil
}
