package continual

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/protocol"
)

func aper() claim.Claim {
	return claim.Claim{
		ID:        "continual/aper",
		Paper:     "zhou2023revisiting",
		Statement: "Under a gap between what an encoder was trained on and the tasks, features adapted on the first task, joined with the frozen ones, end ahead of class means of the frozen ones alone.",
		ScaleDown: "a perceptron pre-trained on digits instead of a ViT; one adapter on its features instead of one in every block; the first task has 4 of 10 classes of garments, the others 2 each.",
		Arms:      []string{"aper", "prototypes"},
		Data:      "features of Fashion-MNIST, 256 columns, a task of 4 classes and 3 of 2: 4,000 rows to learn from, 2,000 of the test part. Beside it, outside the verdict, the same without a gap: other digits of MNIST, where the paper gains nothing",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       aperRun,
		Facts: func(outcomes []claim.Outcome) []claim.Fact {
			return append(claim.Means(outcomes), claim.Paired(outcomes, "without a gap, points gained", "mnist, aper: last", "mnist, prototypes: last", 100)...)
		},
	}
}

func aperRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	for _, set := range []string{"mnist", "fashion_mnist"} { // the arms are the last one's
		train, test, err := hiddenFeatures(ctx, env, set, claim.Random(seed, 1), seed, 4000, 2000)
		if err != nil {
			return o, err
		}
		tasks, err := protocol.Scenario{First: 4, Increment: 2, Seed: seed}.Split(train, test)
		if err != nil {
			return o, err
		}
		if o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "aper", "prototypes"), []map[string]string{{"seed": fmt.Sprint(seed)}, nil}, set, o.Extra); err != nil {
			return o, err
		}
	}
	return o, nil
}
