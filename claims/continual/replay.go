package continual

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/protocol"
)

func replay() claim.Claim {
	return claim.Claim{
		ID:        "continual/replay",
		Paper:     "chaudhry2019tiny",
		Statement: "A very small memory of old rows, learned again with each task, keeps most of what plain training on one task after the other forgets.",
		ScaleDown: "a linear head on hidden features of a perceptron pre-trained on digits instead of a whole ResNet; 100 rows kept, ten a class.",
		Arms:      []string{"replay, balanced", "finetune", "replay, reservoir", "replay, herding", "joint"},
		Data:      "features of Fashion-MNIST, 256 columns, 5 tasks of 2 classes: 4,000 rows to learn from, 2,000 of the test part",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0.2,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       replayRun,
		Facts:     claim.Means,
	}
}

func replayRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
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
	kept := func(strategy string) map[string]string {
		return map[string]string{"capacity": "100", "strategy": strategy, "seed": number, "steps": "10"}
	}
	plain := map[string]string{"seed": number, "steps": "10"}
	for i, c := range []struct {
		name  string
		flags map[string]string
	}{{"replay", kept("balanced")}, {"finetune", plain}, {"replay", kept("reservoir")}, {"replay", kept("herding")}, {"joint", plain}} {
		last, err := streamed(ctx, tasks, named(continual.Methods(), c.name), []map[string]string{c.flags}, fmt.Sprintf("arm %d", i+1), o.Extra)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, last...)
	}
	return o, nil
}
