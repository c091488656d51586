package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "one minus the largest softmax probability of a classifier's outputs",
	Paper: "hendrycks2017baseline",
}, MaxSoftmax.Fit, loadMaxSoftmax))

// MaxSoftmax scores how unsure a classifier is of its favourite class.
//
// It is the baseline of Hendrycks and Gimpel (2017): nothing is learned but the number of classes, O(K) a row. It cannot
// see what the classifier has no word for: use [KNN] or [Mahalanobis] where features are at hand. Prefer [Energy] where
// the size of logits tells familiar from unfamiliar, which a softmax hides.
//
// Fits on: Logits N×K with K ≥ 2; only their width is learned.
// Score:   N values in [0, 1−1/K], one minus the largest probability, higher = more unfamiliar. Small ones are exact to float64's relative precision, not lost against one. Adding a constant to a row of logits changes nothing.
// Errors:  ErrInput without logits; ErrShape for fewer than two classes and on another width; ErrDegenerate when rows that differ all get one score.
// Differs: the sign is turned, so that higher means more unfamiliar; Temperature is ours (the paper's is 1).
// Source:  hendrycks2017baseline, section 2.
// Claim:   claims/detect/maxsoftmax.go.
type MaxSoftmax struct {
	// Temperature divides the logits, not the probabilities, before the softmax. Above 1 it weighs the other classes more; one that makes the classifier calibrated also orders inputs best as a rule.
	Temperature float64 `default:"1" range:"(0,1e6]"`
}

// Fit learns the number of classes.
func (c MaxSoftmax) Fit(ctx context.Context, in LogitsInput) (*MaxSoftmaxModel, error) {
	k, err := fitLogits(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notCollapsed(c.model(k), in.Logits, "the logits are so large that all probabilities are 0 or 1; raise --temperature")
}

func (c MaxSoftmax) model(k int) *MaxSoftmaxModel {
	return &MaxSoftmaxModel{logitScorer{"maxsoftmax", k, func(logits []float32) float64 {
		return notTopProbability(logits, c.Temperature)
	}}}
}

// MaxSoftmaxModel is a fitted [MaxSoftmax].
type MaxSoftmaxModel struct{ logitScorer }

func loadMaxSoftmax(c MaxSoftmax, st *data.Checkpoint) (*MaxSoftmaxModel, error) {
	k, err := loadLogits(&c, st)
	if err != nil {
		return nil, err
	}
	return c.model(k), nil
}
