package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
)

func lame() claim.Claim {
	return claim.Claim{
		ID:        "continual/lame",
		Paper:     "boudiaf2022parameter",
		Statement: "In batches that hold few classes, as streams do, drawing a network's answers towards those of near rows is right more often, with the network untouched.",
		ScaleDown: "a perceptron 784-128-10 instead of a ResNet, blurred garments instead of corrupted and shifted videos; batches of 64 from two classes each. Beside it: batches of all classes, where the paper expects nothing.",
		Arms:      []string{"lame", "the network as it is"},
		Data:      "Fashion-MNIST: 6,000 clean images to learn from; 1,920 of the test part, blurred at severity 2, in batches of 64 from two classes",
		Metric:    "accuracy",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist"},
		Run:       lameRun,
		Facts:     claim.Means,
	}
}

func lameRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	const batch, batches = 64, 30
	s, err := newShifted(ctx, env, seed, 6000)
	if err != nil {
		return o, err
	}
	images, err := s.damaged("blur", 2, seed)
	if err != nil {
		return o, err
	}
	x, err := s.features(images)
	if err != nil {
		return o, err
	}
	z, err := s.net.Logits(images)
	if err != nil {
		return o, err
	}
	labels, err := images.Labels()
	if err != nil {
		return o, err
	}
	o = claim.Outcome{Arms: make([]float64, 2), Extra: map[string]float64{}}
	for b := range 2 * batches {
		var rows []int
		first, second := s.r.IntN(10), s.r.IntN(10)
		for _, i := range s.r.Perm(len(labels)) {
			if len(rows) < batch && (b >= batches || labels[i] == first || labels[i] == second) {
				rows = append(rows, i)
			}
		}
		own := z.Pick(rows)
		p, err := continual.LAME{}.Apply(ctx, continual.LAMEInput{Logits: own, In: x.Pick(rows)})
		if err != nil {
			return o, err
		}
		part := images.Pick(rows)
		corrected, err := claim.Accuracy(p, part)
		if err != nil {
			return o, err
		}
		plain, err := claim.Accuracy(own, part)
		if err != nil {
			return o, err
		}
		if b < batches {
			o.Arms[0] += corrected / batches
			o.Arms[1] += plain / batches
		} else {
			o.Extra["batches of all classes, gained"] += (corrected - plain) / batches
		}
	}
	return o, nil
}
