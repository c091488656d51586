package continual

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "linear discriminant analysis over a stream: a mean a class, one covariance for all",
	Paper: "hayes2020lifelong",
}, moments.Classes, StreamingLDA.FitMoments, loadStreamingLDA))

// StreamingLDA classifies by Gaussian densities that share a covariance, whatever the order in which rows and classes arrive.
//
// It is Deep SLDA of Hayes and Kanan (2020) on frozen features: running class means and one running covariance, shrunk a little
// and inverted; the paper learns row by row, here the sums are exact. O(N·D²+D³) to learn, O(K·D) a row to predict. Next to
// [Prototypes] it sees that columns correlate; next to [ACIL] it asks for no more rows in old classes than in new ones.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough.
// Predict: N×K probabilities of classes that are taken to be equally frequent.
// Logits:  N×K, natural log of the class's density over that of a Gaussian around the mean of all rows; their softmax is Predict.
// Update:  the model that has also seen the task's rows, of old or new classes; tasks in any order or pieces give the same bytes on one grid.
// Forget:  the model that never saw the rows, to the byte.
// Errors:  ErrLabels when a row has no label; ErrDegenerate when all rows are equal; ErrShape on another width, or for rows that were never learned.
// Differs: the pull is towards the mean variance, not 1, so the scale of features is nothing; the covariance is that within classes over all rows, not a running mix of estimates; Forget is ours.
// Source:  hayes2020lifelong, section 3.
// Claim:   claims/continual/streaminglda.go.
type StreamingLDA struct {
	// Shrinkage is the weight of a multiple of the identity in the covariance. Raise it towards 1 when rows are fewer than columns; at 1 only distances to class means count.
	Shrinkage float64 `default:"1e-4" range:"(0,1]"`
}

// Fit learns class means and the covariance from a table or a stream, in one or two passes.
func (c StreamingLDA) Fit(ctx context.Context, train data.Source) (*StreamingLDAModel, error) {
	return method.FitMoments(ctx, moments.Classes, train, c.FitMoments)
}

// streamingLDAFloor is the share of the variance over all rows that is added where classes have none of their own.
const streamingLDAFloor = 1e-6

// FitMoments learns the same from a moments state.
func (c StreamingLDA) FitMoments(s *moments.State) (*StreamingLDAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	cov, err := s.PooledCovariance()
	if err != nil {
		return nil, err
	}
	d, _ := s.Dims()
	moments.Shrink(cov, d, c.Shrinkage)
	total := 0.0
	for _, v := range s.Variance() {
		total += v / float64(d)
	}
	if !(total > 0) {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, s.Rows())
	}
	for j := range d {
		cov[j*d+j] += streamingLDAFloor * total
	}
	chol, ok := num.NewChol(cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: the covariance stays singular; raise --shrinkage above %g", method.ErrDegenerate, c.Shrinkage)
	}
	classes := s.Classes()
	k := len(classes)
	offsets := s.Indicators() // D×K: share of the class × (class mean − overall mean)
	for l, name := range classes {
		for j := range d {
			offsets[j*k+l] *= float64(s.Rows()) / float64(s.Count(name))
		}
	}
	weights, intercept := slices.Clone(offsets), make([]float64, k)
	chol.Solve(weights, k)
	for i, w := range weights { // −½·µᵀΛµ about the mean of all rows
		intercept[i%k] -= offsets[i] / 2 * w
	}
	fitted := &scores{classes, &part.Projection{D: d, R: k, Center: s.Mean(), Matrix: weights}, intercept, 1}
	return &StreamingLDAModel{remember("streaminglda", s, nil, c.FitMoments), fitted}, nil
}

// StreamingLDAModel is a fitted [StreamingLDA].
type StreamingLDAModel struct {
	memory
	fitted *scores
}

// Predict returns each row's class probabilities, N×K.
func (m *StreamingLDAModel) Predict(in *data.Table) (*data.Table, error) {
	return m.fitted.predict("streaminglda", in)
}

// Logits returns each row's log densities against the average row, N×K.
func (m *StreamingLDAModel) Logits(in *data.Table) (*data.Table, error) {
	return m.fitted.logits("streaminglda", in)
}

func loadStreamingLDA(c StreamingLDA, st *data.Checkpoint) (*StreamingLDAModel, error) {
	s, err := recall(st)
	if err != nil {
		return nil, err
	}
	if err := moments.Classes.Check(s); err != nil {
		return nil, err
	}
	return c.FitMoments(s)
}
