package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/protocol"
)

func fecam() claim.Claim {
	return claim.Claim{
		ID:        "continual/fecam",
		Paper:     "goswami2023fecam",
		Statement: "Each class's own covariance, shrunk and normalised, classifies better than class means alone, and than one covariance for all, on frozen features and without old rows.",
		ScaleDown: "hidden features of a perceptron pre-trained on digits instead of a ResNet trained on the first task's classes; 400 rows a class.",
		Arms:      []string{"fecam", "prototypes", "streaminglda"},
		Data:      "features of Fashion-MNIST, 256 columns, 5 tasks of 2 classes: 4,000 rows to learn from, 2,000 of the test part",
		Metric:    "accuracy over all classes after the last task",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       fecamRun,
		Facts:     claim.Means,
	}
}

func fecamRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
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
	o.Arms, err = streamed(ctx, tasks, named(continual.Methods(), "fecam", "prototypes", "streaminglda"), make([]map[string]string, 3), "fashion", o.Extra)
	return o, err
}
