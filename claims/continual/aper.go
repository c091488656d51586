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
		ScaleDown: "a perceptron pre-trained on digits instead of a ViT; one adapter on its features instead of one in every block; the first task has 4 of 10 classes of garments, the others 2 each. The paper's other half, that nothing is gained without a gap, is not run.",
		Arms:      []string{"aper", "prototypes"},
		Data:      "features of Fashion-MNIST, 256 columns, a task of 4 classes and 3 of 2: 4,000 rows to learn from, 2,000 of the test part",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       aperRun,
		Facts:     claim.Means,
	}
}

func aperRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	r := claim.Random(seed, 1)
	train, test, err := fashionFeatures(ctx, env, r, seed, 4000, 2000)
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{First: 4, Increment: 2, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	number := fmt.Sprint(seed)
	o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "aper", "prototypes"), []map[string]string{{"seed": number}, nil}, "fashion", o.Extra)
	return o, err
}
