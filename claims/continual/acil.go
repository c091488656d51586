package continual

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/protocol"
)

func acil() claim.Claim {
	return claim.Claim{
		ID:        "continual/acil",
		Paper:     "zhuang2022acil",
		Statement: "A ridge regression that takes in class after class, with no old row kept, ends ahead of replaying kept rows, the more so the more tasks there are.",
		ScaleDown: "questions to a bank as 512 hashed columns instead of images through a ResNet; no random layer before the regression; replay keeps 385 rows, five a class, and trains a linear head.",
		Arms:      []string{"acil", "replay", "prototypes"},
		Data:      "BANKING77: 10,003 questions of 77 classes in 11 tasks of 7, 3,080 to test on",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"banking77"},
		Run:       acilRun,
		Facts:     claim.Means,
	}
}

func acilRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	train, test, err := bankingFeatures(env)
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{Increment: 7, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	replay := map[string]string{"capacity": "385", "seed": fmt.Sprint(seed), "steps": "10"}
	o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "acil", "replay", "prototypes"), []map[string]string{nil, replay, nil}, "banking77", o.Extra)
	return o, err
}
