package detect

import (
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "generalised entropy of a classifier's largest probabilities",
	Paper: "liu2023gen",
}, GEN.Fit, loadGEN))

// GEN scores how far a classifier's probabilities are from all on one class, small deviations weighing nearly as much as large ones.
//
// It is the generalised entropy of Liu et al. (2023): nothing is learned but the number of classes, O(K log K) a row. It needs
// probabilities alone, so it also works where [Energy] and [MaxLogit] have nothing to go by, and sees more of them than
// [MaxSoftmax] does; log probabilities are logits.
//
// Fits on: Logits N×K with K ≥ 2; only their width is learned. Rows, where there are any, must not all get one score.
// Score:   N values ≥ 0, Σ pᵞ(1−p)ᵞ over the largest probabilities, higher = more unfamiliar. Adding a constant to a row of logits changes nothing.
// Errors:  ErrInput without logits; ErrShape for fewer than two classes and on another width; ErrDegenerate when rows that differ all get one score.
// Differs: the sign is turned, so that higher means more unfamiliar. Probabilities are not clamped; 1−p of the largest is computed without cancellation.
// Source:  liu2023gen, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type GEN struct {
	// Exponent is the paper's γ, its choice 0.1: the smaller, the more do tiny probabilities of other classes count; towards 1 the score becomes Gini's impurity.
	Exponent float64 `default:"0.1" range:"(0,1]"`
	// Largest is how many classes count, the most probable first: the paper's M, 100 of ImageNet's 1000, against the noise of classes that are never meant. All count when there are no more.
	Largest int `default:"100" range:"[1,1e9]"`
}

// Fit learns the number of classes.
func (c GEN) Fit(ctx context.Context, in LogitsInput) (*GENModel, error) {
	k, err := fitLogits(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notCollapsed(c.model(k), in.Logits, "the logits are so large that all probabilities are 0 or 1")
}

func (c GEN) model(k int) *GENModel {
	return &GENModel{logitScorer{"gen", k, func(logits []float32) float64 {
		at, top := largest(logits)
		if c.Largest < k {
			logits = slices.Clone(logits)
			slices.SortFunc(logits, func(a, b float32) int { // descending
				switch {
				case a > b:
					return -1
				case a < b:
					return 1
				}
				return 0
			})
			at = 0
		}
		others := oddsAgainst(logits, at, top, 1)
		whole, sum := 1+others, 0.0
		for i, v := range logits[:min(c.Largest, k)] {
			p, rest := 1/whole, others/whole
			if i != at {
				odds := math.Exp(float64(v) - top)
				p = odds / whole
				rest = 1 - p // no less than a half
			}
			sum += math.Pow(p*rest, c.Exponent)
		}
		return sum
	}}}
}

// GENModel is a fitted [GEN].
type GENModel struct{ logitScorer }

func loadGEN(c GEN, st *data.Checkpoint) (*GENModel, error) {
	k, err := loadLogits(&c, st)
	if err != nil {
		return nil, err
	}
	return c.model(k), nil
}
