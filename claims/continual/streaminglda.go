package continual

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/protocol"
)

func streaminglda() claim.Claim {
	return claim.Claim{
		ID:        "continual/streaminglda",
		Paper:     "hayes2020lifelong",
		Statement: "Running class means with one running covariance, on frozen features and with no row kept, end ahead of replaying kept rows.",
		ScaleDown: "requests to an assistant as 512 hashed columns instead of images through a ResNet; whole tasks arrive instead of single rows, which changes nothing for exact sums; replay keeps 750 rows, five a class, and trains a linear head.",
		Arms:      []string{"streaminglda", "replay", "prototypes"},
		Data:      "CLINC150: 15,000 requests of 150 classes in 10 tasks of 15, 4,500 to test on",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"clinc150"},
		Run:       streamingldaRun,
		Facts:     claim.Means,
	}
}

func streamingldaRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	train, test, err := clincFeatures(env)
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{Increment: 15, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	replay := map[string]string{"capacity": "750", "seed": fmt.Sprint(seed), "steps": "10"}
	o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "streaminglda", "replay", "prototypes"), []map[string]string{nil, replay, nil}, "clinc150", o.Extra)
	return o, err
}
