package detect

import (
	"context"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "free energy by the few weights of the head that matter on familiar rows",
	Paper:  "sun2022dice",
	Exempt: map[string]string{"far-from-zero": "a weight's contribution is measured from zero, where a silent unit is, section 3"},
}, DICE.Fit, loadDICE))

// DICE scores a row by the energy that the head gives it with only those of its weights that contribute most on average in training.
//
// It is the directed sparsification of Sun and Li (2022): units that say nothing of a class in familiar rows add noise in
// unfamiliar ones. O(N·D + K·D·log(K·D)) to fit, O(K·D) a row to score. Prefer it to [Energy] for heads with many more weights
// than their classes need.
//
// Fits on: Train N×D of features with N ≥ 1 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored.
// Score:   N values of any sign in the logits' unit (natural logs), −log Σ exp(logit), higher = more unfamiliar.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when rows that differ all get one score.
// Differs: nothing; a contribution is a weight times its unit's mean activation, over all weights of the head together, and one that equals the quantile is dropped, as in the paper's code.
// Source:  sun2022dice, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type DICE struct {
	// Quantile of the weights' mean contributions up to which they are set to zero: the paper's p of 90 per cent.
	Quantile float64 `default:"0.9" range:"(0,1)"`
}

// Fit learns which weights matter.
func (c DICE) Fit(ctx context.Context, in HeadInput) (*DICEModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	mean := columnMeans(in.Train)
	contribution := make([]float64, len(h.weight))
	for i, w := range h.weight {
		contribution[i] = w * mean[i%h.d]
	}
	sorted := slices.Sorted(slices.Values(contribution))
	at := c.Quantile * float64(len(sorted)-1)
	low := int(at)
	limit := sorted[low]
	if share := at - float64(low); share > 0 {
		limit = limit*(1-share) + sorted[low+1]*share
	}
	for i, v := range contribution {
		if !(v > limit) {
			h.weight[i] = 0
		}
	}
	return notCollapsed(newDICE(h), in.Train, "the weights that are left do not tell rows apart; lower --quantile")
}

func newDICE(h *linearHead) *DICEModel { return &DICEModel{headScorer{"dice", h, nil, headEnergy}} }

// DICEModel is a fitted [DICE].
type DICEModel struct{ headScorer }

func loadDICE(c DICE, st *data.Checkpoint) (*DICEModel, error) {
	h, _, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	return newDICE(h), nil
}
