package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func codyra() claim.Claim {
	return claim.Claim{
		ID:        "continual/codyra",
		Paper:     "lu2024adaptive",
		Statement: "Over all domains and stages, those not yet taught included, changes whose rank each task chooses are ahead of changes that keep all the directions that it starts from.",
		ScaleDown: "a model of pictures of shapes and bags of words that the claim trains itself, and one linear map over each kind of its embeddings instead of every layer of CLIP's towers; five domains instead of ten; accuracy among a domain's own names. Of rates 0.003 and 0.01 for every arm, and for codyra of pulls 0.001, 0.002, 0.005, 0.01 and 0.02, each has those with the best average on one seed that is not among these. The fixed ranks are the same code with next to no pull; zscl stands beside it as its own claim has it, with a reference set. That the chosen rank beats every fixed one, as the paper has it, is not seen: ranks 4 and 1 end as high.",
		Arms:      []string{"codyra", "rank 16", "rank 4", "rank 1", "zscl", "zero-shot"},
		Data:      "drawn pictures, 6 shapes × 5 colours × 3 textures × 2 sizes; 5 domains, 400 rows to learn from and 500 to test on each",
		Metric:    "mean accuracy over all domains after all stages",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Run:       codyraRun,
		Facts:     claim.Means,
	}
}

func codyraRun(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	w, err := pictureWorld(ctx, seed)
	if err != nil {
		return o, err
	}
	gated := continual.CoDyRA{Temperature: pictureTemperature, Rate: 0.003, Steps: 300, Sparsity: 0.002, Seed: seed}
	fixed := func(rank int) continual.CoDyRA {
		c := gated
		c.Rank, c.Sparsity = rank, off
		return c
	}
	held := continual.ZSCL{Temperature: pictureTemperature, Rate: 0.01, Steps: 300, Period: 20, Distillation: 0.1, Anchor: 0.1, Seed: seed}
	still := held
	still.Rate, still.Steps = 1e-12, 1
	tuned := func(c continual.CoDyRA) learner {
		return func(task *data.Table) (method.Model, error) {
			return c.Fit(ctx, continual.CoDyRAInput{Train: task, Names: w.names})
		}
	}
	for _, arm := range []struct {
		name string
		fit  learner
	}{
		{"codyra", tuned(gated)}, {"rank 16", tuned(fixed(16))}, {"rank 4", tuned(fixed(4))}, {"rank 1", tuned(fixed(1))},
		{"zscl", w.zscl(ctx, held, true)}, {"zero-shot", w.zscl(ctx, still, false)},
	} {
		last, err := w.measure(ctx, arm.name, arm.fit, nil, &o)
		if err != nil {
			return o, err
		}
		if m, ok := last.(*continual.CoDyRAModel); ok && arm.name == "codyra" {
			for task, ranks := range m.Ranks() {
				o.Extra["codyra, rank of the change of images by task "+claim.Numbers(10)[task+1]] = float64(ranks[0])
				o.Extra["codyra, rank of the change of names by task "+claim.Numbers(10)[task+1]] = float64(ranks[1])
			}
		}
	}
	return o, nil
}
