package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a blend of a pre-trained network and ones tuned from it, its curve, and where it is right when both are wrong",
	Paper: "lin2024spurious",
}, BANG.Apply))

// BANG blends a pre-trained checkpoint with ones tuned from it, scores the line between them, and counts the rows that it gets right
// although both ends are wrong.
//
// The blend is WiSE-FT's; what makes it BANG is how the tuned network came about: tuned by [Mixup], with mixtures or softened labels, so
// that it is no surer of itself than the pre-trained one and does not outvote it. The report's confidences show whether that worked.
// Under a shift of the data a blend is often better than both ends, for their mistakes rest on different spurious features.
//
// Takes:   in, the pre-trained checkpoint and then one or more tuned from it, of the same tensors; evaluate, optional, an evaluator.
// Apply:   a checkpoint of the same tensors: (1 − a)·pre-trained + a·mean of the tuned, in float64, rounded once; at a = 1 of one tuned checkpoint its bits. Metadata: bang.share, the a of the blend; with an evaluator bang.curve, a line "a score" each; with held-out rows bang.blend and bang.ensemble, for the blend and for logits averaged alike, the share of rows right where both ends are wrong (false-false-true) and wrong where both are right (true-true-false), and bang.confidence, the mean largest probability of the pre-trained and the tuned ends.
// Errors:  ErrInput with fewer than two checkpoints, or with strategy best without an evaluator; ErrShape listing how the checkpoints differ.
// Differs: several tuned checkpoints are averaged first. The paper's balance comes from tuning, here a command of its own.
// Source:  lin2024spurious, sections 3 and 5; the blend from Wortsman et al. (2022), WiSE-FT, section 3.
// Claim:   claims/weights/bang.go.
type BANG struct {
	// Share is the weight of the tuned networks, a.
	Share float64 `default:"0.5" range:"(0,1]"`
	// Strategy takes Share as it is (fixed), or the best score on the curve, the smallest share of equal ones (best).
	Strategy string `default:"fixed" enum:"fixed,best"`
	// Steps is how many parts the curve has.
	Steps int `default:"10" range:"[1,1000]" unit:"evaluations"`
}

// BANGInput is what is blended.
type BANGInput struct {
	// In are the pre-trained checkpoint and the tuned ones.
	In data.Checkpoints
	// Evaluate scores a checkpoint, higher = better.
	Evaluate data.Evaluator `optional:"true"`
}

// Apply blends.
func (c BANG) Apply(ctx context.Context, in BANGInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(in.In) < 2 {
		return nil, fmt.Errorf("%w: %d checkpoints, want the pre-trained one and at least one tuned from it", method.ErrInput, len(in.In))
	}
	if c.Strategy == "best" && in.Evaluate == nil {
		return nil, fmt.Errorf("%w: strategy best needs held-out rows or a command that score a checkpoint (--evaluate, --evaluate-command)", method.ErrInput)
	}
	blend := func(a float64) (*data.Checkpoint, error) {
		weights := []float64{1 - a}
		for range in.In[1:] {
			weights = append(weights, a/float64(len(in.In)-1))
		}
		return between(in.In, weights...)
	}
	var curve []string
	if in.Evaluate != nil {
		best := math.Inf(-1)
		for i := range c.Steps + 1 {
			method.Progress(ctx, i, c.Steps+1)
			a := float64(i) / float64(c.Steps)
			mixed, err := blend(a)
			if err != nil {
				return nil, err
			}
			v, err := score(ctx, in.Evaluate, mixed, fmt.Sprintf("share %.3g", a))
			if err != nil {
				return nil, err
			}
			if curve = append(curve, brief(a)+" "+digits(v)); v > best && c.Strategy == "best" {
				best, c.Share = v, a
			}
		}
	}
	out, err := blend(c.Share)
	if err != nil {
		return nil, err
	}
	out = copied(out, "bang.")
	out.Meta["bang.share"] = brief(c.Share)
	if in.Evaluate != nil {
		out.SetStrings("bang.curve", curve)
	}
	if rows, ok := in.Evaluate.(data.RowEvaluator); ok {
		before, err := rows.Outputs(ctx, in.In[0])
		if err != nil {
			return nil, fmt.Errorf("checkpoint 1: %w", err)
		}
		tuned, err := blend(1)
		if err != nil {
			return nil, err
		}
		after, err := rows.Outputs(ctx, tuned)
		if err != nil {
			return nil, fmt.Errorf("the tuned checkpoints: %w", err)
		}
		both, err := rows.Outputs(ctx, out)
		if err != nil {
			return nil, fmt.Errorf("the blend: %w", err)
		}
		if err := bangDiagnose(out, before, after, both, c.Share); err != nil {
			return nil, err
		}
	}
	method.Progress(ctx, c.Steps+1, c.Steps+1)
	return out, nil
}

// bangDiagnose counts rows by who is right about them.
func bangDiagnose(out *data.Checkpoint, before, after, both *data.Table, a float64) error {
	n, k := before.Dims()
	mean := make([]float32, n*k) // the ensemble in the space of outputs
	for i, v := range before.X() {
		mean[i] = float32((1-a)*float64(v) + a*float64(after.X()[i]))
	}
	ensemble, err := data.NewTable(n, k, mean)
	if err != nil {
		return err
	}
	labels, err := before.Labels()
	if err != nil {
		return err
	}
	if ensemble, err = ensemble.WithLabels(labels, before.Classes()); err != nil {
		return err
	}
	var right [4][]bool
	for i, z := range []*data.Table{before, after, both, ensemble} {
		if right[i], err = hits(z); err != nil {
			return err
		}
	}
	for i, name := range []string{"bang.blend", "bang.ensemble"} {
		gained, lost := 0, 0
		for row, ok := range right[2+i] {
			switch a, b := right[0][row], right[1][row]; {
			case !a && !b && ok:
				gained++
			case a && b && !ok:
				lost++
			}
		}
		out.Meta[name] = fmt.Sprintf("right %s, false-false-true %s, true-true-false %s", brief(mean01(right[2+i])), brief(float64(gained)/float64(n)), brief(float64(lost)/float64(n)))
	}
	out.SetStrings("bang.confidence", []string{brief(bangConfidence(before)), brief(bangConfidence(after))})
	return nil
}

// bangConfidence is the mean over rows of the largest probability.
func bangConfidence(z *data.Table) float64 {
	n, _ := z.Dims()
	sum := 0.0
	for i := range n {
		row := averageLogits(z, nil, i)
		most := math.Inf(-1)
		for _, v := range row {
			most = max(most, v)
		}
		sum += math.Exp(most - logSum(row))
	}
	return sum / float64(max(n, 1))
}
