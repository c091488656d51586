package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "minus the largest of a classifier's logits",
	Paper:  "hendrycks2022scaling",
	Exempt: map[string]string{"far-from-zero": "how large the largest logit is is the score itself, section 3"},
}, MaxLogit.Fit, loadMaxLogit))

// MaxLogit scores how little evidence a classifier finds for its favourite class.
//
// It is the MaxLogit baseline of Hendrycks et al. (2022): nothing is learned but the number of classes, O(K) a row. Unlike
// [MaxSoftmax] it does not suffer when familiar inputs are torn between classes that are alike; [Energy] is nearly the same
// number and counts the runners-up as well. All three need logits whose size means something: not log probabilities.
//
// Fits on: Logits N×K with K ≥ 2; only their width is learned. Rows, where there are any, must not all have one largest logit.
// Score:   N values of any sign in the logits' unit (natural logs), higher = more unfamiliar. Adding a constant to a row of logits lowers its score by as much.
// Errors:  ErrInput without logits; ErrShape for fewer than two classes and on another width; ErrDegenerate when rows that differ all get one score.
// Differs: the sign is turned, so that higher means more unfamiliar.
// Source:  hendrycks2022scaling, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type MaxLogit struct{}

// Fit learns the number of classes.
func (c MaxLogit) Fit(ctx context.Context, in LogitsInput) (*MaxLogitModel, error) {
	k, err := fitLogits(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notCollapsed(c.model(k), in.Logits, "give raw logits, not ones that were normalised")
}

func (MaxLogit) model(k int) *MaxLogitModel {
	return &MaxLogitModel{logitScorer{"maxlogit", k, func(logits []float32) float64 {
		_, top := largest(logits)
		return -top
	}}}
}

// MaxLogitModel is a fitted [MaxLogit].
type MaxLogitModel struct{ logitScorer }

func loadMaxLogit(c MaxLogit, st *data.Checkpoint) (*MaxLogitModel, error) {
	k, err := loadLogits(&c, st)
	if err != nil {
		return nil, err
	}
	return c.model(k), nil
}
