package detect

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "free energy of a classifier's outputs",
	Paper:  "liu2020energy",
	Exempt: map[string]string{"far-from-zero": "how large logits are is what the energy measures, eq. (4)"},
}, Energy.Fit, loadEnergy))

// Energy scores how little evidence a classifier finds for any of its classes together.
//
// It is the inference-time score of Liu et al. (2020): nothing is learned but the number of classes, O(K) a row. It keeps
// the size of logits, which [MaxSoftmax] divides away; prefer that one when only probabilities are at hand, whose energy
// is the same for all inputs, and [KNN] or [Mahalanobis] where features are.
//
// Fits on: Logits N×K with K ≥ 2; only their width is learned.
// Score:   N values of any sign in the logits' unit (natural logs), −T·log Σ exp(logit/T), higher = more unfamiliar. Adding a constant to a row of logits lowers its score by as much.
// Errors:  ErrInput without logits; ErrShape for fewer than two classes and on another width; ErrDegenerate when rows that differ all get one score, as those of log probabilities do.
// Differs: no fine-tuning of the network with an energy margin.
// Source:  liu2020energy, eq. (4).
// Claim:   claims/detect/energy.go.
type Energy struct {
	// Temperature divides the logits; the paper keeps T = 1. Towards zero the score becomes minus the largest logit.
	Temperature float64 `default:"1" range:"(0,1e6]"`
}

// Fit learns the number of classes.
func (c Energy) Fit(ctx context.Context, in LogitsInput) (*EnergyModel, error) {
	k, err := fitLogits(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	return notWithin(c.model(k), in.Logits, c.noise, "log probabilities have no energy: give raw logits, or take a detector on probabilities")
}

// noise is how much of a row's energy float32's rounding of logits can be: E moves with a logit by its probability.
func (c Energy) noise(logits []float32) float64 {
	p := make([]float64, len(logits))
	for j, v := range logits {
		p[j] = float64(v)
	}
	num.Softmax(p, p, c.Temperature)
	sum := 0.0
	for j, v := range logits {
		sum += p[j] * math.Abs(float64(v))
	}
	return 0x1p-22 * sum // four halves of float32's spacing
}

func (c Energy) model(k int) *EnergyModel {
	return &EnergyModel{logitScorer{"energy", k, func(logits []float32) float64 {
		return -logSumExp(logits, c.Temperature) // eq. (4)
	}}}
}

// EnergyModel is a fitted [Energy].
type EnergyModel struct{ logitScorer }

func loadEnergy(c Energy, st *data.Checkpoint) (*EnergyModel, error) {
	k, err := loadLogits(&c, st)
	if err != nil {
		return nil, err
	}
	return c.model(k), nil
}
