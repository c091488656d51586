package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "classes told apart one feature at a time, each Gaussian with a variance shared by all classes",
	Paper: "zheng2023revisiting", Labels: "few",
}, moments.Classes, NaiveBayes.FitMoments, loadNaiveBayes))

// NaiveBayes classifies by Gaussian densities whose features are independent and whose variances all classes share.
//
// It is the generative head of Zheng et al. (2023) on frozen features, in closed form, O(N·D) worth of statistics to fit
// and O(K·D) a row to predict. It comes close to its own best with a number of labels that grows with log D only, where
// logistic regression needs one that grows with D. Prefer it for a handful of labels and columns in different units that
// hardly correlate; prefer [Ridge] for a network's features: a feature counts here as often as others repeat it, which
// costs accuracy and makes probabilities overconfident. `gimbal probe advise` estimates, for given rows, from how many on
// [Logistic] is better.
//
// Fits on: Table N×D with a label for every row, N ≥ 2. One row a class is enough.
// Predict: N×K posterior probabilities of the classes.
// Logits:  N×K, natural log of a class's joint density with the row, less that of one Gaussian of the same variances around the mean of all rows: linear in the row; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrDegenerate when all rows are equal; ErrShape on another width.
// Differs: Smoothing is a share of each feature's own variance where the paper's code adds 1e-9 to features scaled to [0, 1], so that answers do not change with a feature's unit.
// Source:  zheng2023revisiting, section 3.
// Claim:   claims/probe/naivebayes.go.
type NaiveBayes struct {
	// Smoothing is added to each feature's variance within classes, as a share of its variance over all rows. Only features that hardly vary within classes notice; raise it towards 1 to trust single features less.
	Smoothing float64 `default:"1e-9" range:"(0,1e6]" unit:"share of the feature's variance"`
	// Balanced takes all classes to be equally frequent, whatever their share of the training rows. Choose it when small classes matter as much as large ones.
	Balanced bool
}

// Fit learns class means and variances from a table or a stream, in one or two passes.
func (c NaiveBayes) Fit(ctx context.Context, train data.Source) (*NaiveBayesModel, error) {
	return method.FitMoments(ctx, moments.Classes, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c NaiveBayes) FitMoments(s *moments.State) (*NaiveBayesModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	within, err := s.PooledVariance()
	if err != nil {
		return nil, err
	}
	d, _ := s.Dims()
	classes, total := s.Classes(), s.Variance()
	k, varies := len(classes), false
	weights := s.Indicators() // D×K: share of the class × (class mean − overall mean)
	intercept := make([]float64, k)
	for l, name := range classes {
		share := float64(s.Count(name)) / float64(s.Rows())
		intercept[l] = math.Log(share)
		if c.Balanced {
			intercept[l] = -math.Log(float64(k))
		}
		for j := range d {
			if total[j] == 0 { // the same in all rows: it tells nothing
				continue
			}
			varies = true
			variance := within[j] + c.Smoothing*total[j]
			offset := weights[j*k+l] / share
			weights[j*k+l] = offset / variance
			intercept[l] -= offset / 2 * weights[j*k+l]
		}
	}
	if !varies {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, s.Rows())
	}
	return &NaiveBayesModel{newHead(classes, s.Mean(), weights, intercept)}, nil
}

// NaiveBayesModel is a fitted [NaiveBayes].
type NaiveBayesModel struct{ head *head }

// Predict returns each row's class probabilities, N×K.
func (m *NaiveBayesModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("naivebayes", in)
}

// Logits returns each row's log odds against the average row, N×K.
func (m *NaiveBayesModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("naivebayes", in)
}

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *NaiveBayesModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// State returns the model as tensors.
func (m *NaiveBayesModel) State() *data.Checkpoint { return m.head.state() }

func loadNaiveBayes(_ NaiveBayes, st *data.Checkpoint) (*NaiveBayesModel, error) {
	h, err := loadHead(st.Read())
	if err != nil {
		return nil, err
	}
	return &NaiveBayesModel{h}, nil
}
