package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
)

func batchstatistics() claim.Claim {
	return claim.Claim{
		ID:        "continual/batchstatistics",
		Paper:     "schneider2020improving",
		Statement: "Bringing the means and variances of a corrupted batch to those of clean rows undoes much of a corruption's harm.",
		ScaleDown: "one hidden layer's 128 columns of a perceptron instead of all batch normalisations of a ResNet; batches of 256.",
		Arms:      []string{"batchstatistics", "the network as it is"},
		Data:      "Fashion-MNIST: 6,000 clean images to learn from; 2,048 of the test part under noise, blur, contrast and brightness at severity 3; the mean of the four",
		Metric:    "accuracy",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist"},
		Run:       batchstatisticsRun,
		Facts:     claim.Means,
	}
}

func batchstatisticsRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	const batch = 256
	s, err := newShifted(ctx, env, seed, 8*batch)
	if err != nil {
		return o, err
	}
	o = claim.Outcome{Arms: make([]float64, 2), Extra: map[string]float64{}}
	kinds := []string{"noise", "blur", "contrast", "brightness"}
	for _, kind := range kinds {
		images, err := s.damaged(kind, 3, seed)
		if err != nil {
			return o, err
		}
		x, err := s.features(images)
		if err != nil {
			return o, err
		}
		aligned, plain := 0.0, 0.0
		for lo := 0; lo < 8*batch; lo += batch {
			part := x.Slice(lo, lo+batch)
			moved, err := continual.BatchStatistics{}.Apply(ctx, continual.BatchStatisticsInput{In: part, Reference: s.train})
			if err != nil {
				return o, err
			}
			for i, features := range []*data.Table{moved, part} {
				z, err := s.back.Logits(features)
				if err != nil {
					return o, err
				}
				names, err := data.NewNamed(batch, part.Classes(), z.X())
				if err != nil {
					return o, err
				}
				a, err := claim.Accuracy(names, part)
				if err != nil {
					return o, err
				}
				if i == 0 {
					aligned += a / 8
				} else {
					plain += a / 8
				}
			}
		}
		o.Arms[0] += aligned / float64(len(kinds))
		o.Arms[1] += plain / float64(len(kinds))
		o.Extra[kind+", gained"] = aligned - plain
	}
	return o, nil
}
