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
		ScaleDown: "questions to a bank as 512 hashed columns instead of images through a ResNet; no random layer before the regression; replay keeps 140 rows, five a class, and trains a linear head.",
		Arms:      []string{"acil", "replay", "prototypes"},
		Data:      "BANKING77: all questions of 28 of its 77 classes, drawn by seed, about 3,600 in 7 tasks of 4, 1,120 to test on",
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
	r := claim.Random(seed, 1)
	classes := r.Perm(len(train.Classes()))[:28]
	if train, err = claim.Sample(train, r, 0, classes...); err == nil {
		test, err = claim.Sample(test, r, 0, classes...)
	}
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{Increment: 4, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	replay := map[string]string{"capacity": "140", "seed": fmt.Sprint(seed), "steps": "10"}
	o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "acil", "replay", "prototypes"), []map[string]string{nil, replay, nil}, "banking77", o.Extra)
	return o, err
}
