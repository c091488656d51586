package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "one minus the largest softmax probability at a very high temperature",
	Paper: "liang2018enhancing",
}, ODIN.Fit, loadODIN))

// ODIN scores how little a classifier's favourite class stands out from the others, its softmax flattened by a large temperature.
//
// It is the temperature part of Liang et al. (2018): nothing is learned but the number of classes, O(K) a row. At T = 1000 the
// softmax is all but linear: the order of rows is that of the largest logit less the mean of all logits. So it keeps the size
// of logits, which [MaxSoftmax], the same formula at T = 1, saturates, and does not depend on a constant added to a row, on
// which [MaxLogit] and [Energy] do.
//
// Fits on: Logits N×K with K ≥ 2; only their width is learned. Rows, where there are any, must not all get one score.
// Score:   N values in [0, 1−1/K], one minus the largest probability, higher = more unfamiliar; at a large temperature all lie near 1−1/K.
// Errors:  ErrInput without logits; ErrShape for fewer than two classes and on another width; ErrDegenerate when rows that differ all get one score.
// Differs: no perturbation of the input, which needs a network and its gradients; the sign is turned, so that higher means more unfamiliar.
// Source:  liang2018enhancing, eq. (1).
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type ODIN struct {
	// Temperature divides the logits. The paper chooses among 1 to 1000 on unfamiliar rows and mostly takes 1000.
	Temperature float64 `default:"1000" range:"(0,1e6]"`
}

// Fit learns the number of classes.
func (c ODIN) Fit(ctx context.Context, in LogitsInput) (*ODINModel, error) {
	k, err := fitLogits(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notCollapsed(c.model(k), in.Logits, "the logits are too large or too small for this --temperature")
}

func (c ODIN) model(k int) *ODINModel {
	return &ODINModel{logitScorer{"odin", k, func(logits []float32) float64 {
		return notTopProbability(logits, c.Temperature) // eq. (1)
	}}}
}

// ODINModel is a fitted [ODIN].
type ODINModel struct{ logitScorer }

func loadODIN(c ODIN, st *data.Checkpoint) (*ODINModel, error) {
	k, err := loadLogits(&c, st)
	if err != nil {
		return nil, err
	}
	return c.model(k), nil
}
