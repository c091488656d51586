package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
)

func t3a() claim.Claim {
	return claim.Claim{
		ID:        "continual/t3a",
		Paper:     "iwasawa2021test",
		Statement: "Templates that follow the rows of a shifted stream, without labels or gradients, classify it better than the last layer that they start from.",
		ScaleDown: "a perceptron 784-128-10 and four corruptions of its own kind of images instead of a ResNet and unseen domains.",
		Arms:      []string{"t3a", "the network as it is"},
		Data:      "Fashion-MNIST: 6,000 clean images to learn from; 2,000 of the test part under noise, blur, contrast and rotation at severity 3; the mean of the four",
		Metric:    "accuracy",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist"},
		Run:       t3aRun,
		Facts:     claim.Means,
	}
}

func t3aRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	s, err := newShifted(ctx, env, seed, 2000)
	if err != nil {
		return o, err
	}
	o = claim.Outcome{Arms: make([]float64, 2), Extra: map[string]float64{}}
	kinds := []string{"noise", "blur", "contrast", "rotation"}
	for _, kind := range kinds {
		images, err := s.damaged(kind, 3, seed)
		if err != nil {
			return o, err
		}
		z, err := s.net.Logits(images)
		if err != nil {
			return o, err
		}
		plain, err := claim.Accuracy(z, images)
		if err != nil {
			return o, err
		}
		x, err := s.features(images)
		if err != nil {
			return o, err
		}
		p, err := continual.T3A{}.Apply(ctx, continual.T3AInput{In: x, Head: s.head(images.Classes())})
		if err != nil {
			return o, err
		}
		adjusted, err := claim.Accuracy(p, images)
		if err != nil {
			return o, err
		}
		o.Arms[0] += adjusted / float64(len(kinds))
		o.Arms[1] += plain / float64(len(kinds))
		o.Extra[kind+", gained"] = adjusted - plain
	}
	return o, nil
}
