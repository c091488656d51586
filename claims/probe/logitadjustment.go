package probe

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func logitAdjustment() claim.Claim {
	return claim.Claim{
		ID:        "probe/logitadjustment",
		Paper:     "menon2021long, table 3: post-hoc logit adjustment against the unadjusted classifier, and against normalised weights",
		Statement: "Taking the training shares of classes out of the logits lowers the balanced error on long tails, by several points on CIFAR-10-LT and more on larger sets, and more than normalising the weights does.",
		ScaleDown: "a linear head on frozen features instead of a ResNet-32 trained on CIFAR-10-LT; shares fall by a factor of 100 from the most frequent class to the rarest, as there.",
		Arms:      []string{"logit adjustment", "logistic head", "normalised weights", "logistic head on balanced weights"},
		Data:      longTailData,
		Metric:    "accuracy where classes are alike",
		Percent:   true,
		Seeds:     6,
		Needs:     []string{"fashion_mnist"},
		Run: func(ctx context.Context, env claim.Env, seed uint64) (claim.Outcome, error) {
			adjusted, normalized, plain, balanced := longTailHeads(ctx)
			return longTailRun(ctx, env, seed, []func(*data.Table) (method.Predictor, error){adjusted, plain, normalized, balanced})
		},
	}
}
