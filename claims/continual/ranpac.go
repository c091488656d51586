package continual

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/protocol"
)

func ranpac() claim.Claim {
	return claim.Claim{
		ID:        "continual/ranpac",
		Paper:     "mcdonnell2023ranpac",
		Statement: "A layer of random weights between frozen features and a ridge regression ends ahead of class means compared by cosine, with no old row kept and nothing trained.",
		ScaleDown: "hidden features of a perceptron pre-trained on digits instead of a ViT's, and hashed texts; 1,000 random features instead of 10,000; the first phase of the paper, an adapter, is left out. Beside the verdict: the same on 77 classes of BANKING77 in 6 tasks and on CLINC150, 150 classes in 5 tasks.",
		Arms:      []string{"ranpac", "prototypes", "acil", "streaminglda"},
		Data:      "features of Fashion-MNIST, 256 columns, 5 tasks of 2 classes: 4,000 rows to learn from, 2,000 of the test part",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist", "mnist", "banking77", "clinc150"},
		Run:       ranpacRun,
		Facts:     claim.Means,
	}
}

func ranpacRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	specs := named(continual.Methods(), "ranpac", "prototypes", "acil", "streaminglda")
	flags := []map[string]string{{"seed": fmt.Sprint(seed)}, nil, nil, nil}
	r := claim.Random(seed, 1)
	train, test, err := fashionFeatures(ctx, env, r, seed, 4000, 2000)
	if err != nil {
		return o, err
	}
	tasks, err := protocol.Scenario{Increment: 2, Seed: seed}.Split(train, test)
	if err != nil {
		return o, err
	}
	if o.Arms, err = streamed(ctx, tasks, specs, flags, "fashion", o.Extra); err != nil {
		return o, err
	}
	if train, test, err = bankingFeatures(env); err != nil {
		return o, err
	}
	if tasks, err = (protocol.Scenario{Increment: 13, Seed: seed}).Split(train, test); err != nil {
		return o, err
	}
	if _, err = streamed(ctx, tasks, specs[:2], flags[:2], "banking77", o.Extra); err != nil {
		return o, err
	}
	if train, test, err = clincFeatures(env); err != nil {
		return o, err
	}
	if tasks, err = (protocol.Scenario{Increment: 30, Seed: seed}).Split(train, test); err != nil {
		return o, err
	}
	_, err = streamed(ctx, tasks, specs[:2], flags[:2], "clinc150", o.Extra)
	return o, err
}
