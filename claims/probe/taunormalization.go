package probe

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func tauNormalization() claim.Claim {
	return claim.Claim{
		ID:        "probe/taunormalization",
		Paper:     "kang2020decoupling, table 1 and figure 2: the τ-normalised classifier against the jointly trained one",
		Statement: "Bringing the classes' weights to like lengths after training raises the accuracy where all classes count alike: by 5 points and more on ImageNet-LT.",
		ScaleDown: "a linear head on frozen features instead of ResNets trained on ImageNet-LT; τ is 1 and is not chosen on held-out rows.",
		Arms:      []string{"normalised weights", "logistic head", "logit adjustment", "logistic head on balanced weights"},
		Data:      longTailData,
		Metric:    "accuracy where classes are alike",
		Percent:   true,
		Seeds:     6,
		Needs:     []string{"fashion_mnist"},
		Run: func(ctx context.Context, env claim.Env, seed uint64) (claim.Outcome, error) {
			adjusted, normalized, plain, balanced := longTailHeads(ctx)
			return longTailRun(ctx, env, seed, []func(*data.Table) (method.Predictor, error){normalized, plain, adjusted, balanced})
		},
	}
}
