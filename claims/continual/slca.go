package continual

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/protocol"
)

func slca() claim.Claim {
	return claim.Claim{
		ID:        "continual/slca",
		Paper:     "zhang2023slca",
		Statement: "A head aligned on Gaussian draws of every class so far ends far ahead of tuning on one task after the other, with no old row kept.",
		ScaleDown: "features of a perceptron pre-trained on digits instead of a ViT: in the verdict only the alignment is at stake. The slow learner stands beside it: a layer of 256 before the head, at a hundredth of the head's rate and at the same rate. It starts from random weights, where the paper's encoder is pre-trained.",
		Arms:      []string{"slca", "finetune", "streaminglda", "joint"},
		Data:      "features of Fashion-MNIST, 256 columns, 5 tasks of 2 classes: 4,000 rows to learn from, 2,000 of the test part",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0.15,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       slcaRun,
		Facts: func(outcomes []claim.Outcome) []claim.Fact {
			return append(claim.Means(outcomes), claim.Paired(outcomes, "points gained by a slow encoder", "slow encoder, slca: last", "quick encoder, slca: last", 100)...)
		},
	}
}

func slcaRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	r := claim.Random(seed, 1)
	train, test, err := fashionFeatures(ctx, env, r, seed, 4000, 2000)
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{Increment: 2, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	number := fmt.Sprint(seed)
	for where, slow := range map[string]string{"slow encoder": "0.01", "quick encoder": "1"} {
		flags := []map[string]string{{"seed": number, "hidden": "256", "slow": slow}}
		if _, err := streamed(ctx, tasks, named(continual.Methods(), "slca"), flags, where, o.Extra); err != nil {
			return o, err
		}
	}
	o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "slca", "finetune", "streaminglda", "joint"), []map[string]string{{"seed": number}, {"seed": number, "steps": "10"}, nil, {"seed": number, "steps": "10"}}, "fashion", o.Extra)
	return o, err
}
