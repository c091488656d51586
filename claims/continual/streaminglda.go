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
		ScaleDown: "requests to an assistant as 512 hashed columns instead of images through a ResNet; whole tasks arrive instead of single rows, which changes nothing for exact sums; replay keeps 200 rows, five a class, and trains a linear head.",
		Arms:      []string{"streaminglda", "replay", "prototypes"},
		Data:      "CLINC150: all requests of 40 of its 150 intents, drawn by seed: 4,000 in 8 tasks of 5, 1,200 to test on. Beside it, outside the verdict: all 150 intents in 10 tasks, its domains; Elec2 in stretches of four weeks and NOAA's weather in years",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"clinc150", "streams"},
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
	domains, err := protocol.Scenario{Kind: protocol.DomainIncremental, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	if _, err := streamed(ctx, domains, named(continual.Methods(), "streaminglda", "prototypes"), []map[string]string{nil, nil}, "clinc150 by domain", o.Extra); err != nil {
		return o, err
	}
	if err := drifting(ctx, env, named(continual.Methods(), "streaminglda")[0], 3, seed, o.Extra); err != nil {
		return o, err
	}
	r := claim.Random(seed, 1)
	classes := r.Perm(len(train.Classes()))[:40]
	if train, err = claim.Sample(train, r, 0, classes...); err == nil {
		test, err = claim.Sample(test, r, 0, classes...)
	}
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{Increment: 5, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	replay := map[string]string{"capacity": "200", "seed": fmt.Sprint(seed), "steps": "10"}
	o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "streaminglda", "replay", "prototypes"), []map[string]string{nil, replay, nil}, "clinc150", o.Extra)
	return o, err
}
