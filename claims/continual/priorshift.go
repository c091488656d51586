package continual

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
)

func priorshift() claim.Claim {
	return claim.Claim{
		ID:        "continual/priorshift",
		Paper:     "saerens2002adjusting",
		Statement: "When classes are not as frequent as they were, probabilities corrected by the shares that they imply themselves are right more often.",
		ScaleDown: "a perceptron 784-128-10 on garments instead of the paper's two-class tables; three classes make up nine tenths of the test rows.",
		Arms:      []string{"priorshift", "the network as it is"},
		Data:      "Fashion-MNIST: 6,000 images of all classes to learn from; about 1,800 of the test part, nine tenths from three classes drawn by seed",
		Metric:    "accuracy",
		Margin:    0,
		Percent:   true,
		Seeds:     5,
		Needs:     []string{"fashion_mnist"},
		Run:       priorshiftRun,
	}
}

func priorshiftRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	s, err := newShifted(ctx, env, seed, 6000)
	if err != nil {
		return o, err
	}
	labels, err := s.test.Labels()
	if err != nil {
		return o, err
	}
	order := s.r.Perm(10)
	var rows []int
	rare := 0
	for i, c := range labels {
		if c == order[0] || c == order[1] || c == order[2] {
			rows = append(rows, i)
		} else if rare < 200 { // rows come in random order
			rows = append(rows, i)
			rare++
		}
	}
	part := s.test.Pick(rows)
	z, err := s.net.Logits(part)
	if err != nil {
		return o, err
	}
	p, err := continual.PriorShift{}.Apply(ctx, continual.PriorShiftInput{Logits: z, Train: s.train})
	if err != nil {
		return o, err
	}
	corrected, err := claim.Accuracy(p, part)
	if err != nil {
		return o, err
	}
	plain, err := claim.Accuracy(z, part)
	return claim.Outcome{Arms: []float64{corrected, plain}}, err
}
