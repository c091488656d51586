package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/metric"
)

func maxSoftmax() claim.Claim {
	return claim.Claim{
		ID:    "detect/maxsoftmax",
		Paper: "hendrycks2017baseline, tables 1 to 3",
		Statement: "A classifier's largest softmax probability is lower on inputs that it gets wrong, and on inputs unlike any it was trained on, than on those that it gets right: " +
			"it tells both apart far better than chance, which is the base that the paper compares with, although the probabilities themselves are overconfident.",
		ScaleDown: settingScale + ", instead of networks for images, text and speech. Chance is an AUROC of one half by definition, as in the paper's tables; the margin of 20 points is ours.",
		Arms:      []string{"largest softmax probability", "chance"},
		Data:      settingData + ". Wrong against right answers are counted among the familiar ones",
		Metric:    "AUROC, mean over 4 tasks: wrong answers, and the 3 kinds of unfamiliar rows against rightly classified ones",
		Margin:    0.2,
		Percent:   true,
		Seeds:     10,
		Needs:     settingNeeds,
		Run:       maxSoftmaxRun,
		Facts:     claim.Means,
	}
}

func maxSoftmaxRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	s, err := newSetting(ctx, env, seed, 12000, 0)
	if err != nil {
		return o, err
	}
	of, err := s.maxSoftmax(ctx)
	if err != nil {
		return o, err
	}
	z, err := s.logits(s.familiar)
	if err != nil {
		return o, err
	}
	labels, err := s.familiar.Labels()
	if err != nil {
		return o, err
	}
	var right, wrong []float64
	confidence := 0.0
	for i, predicted := range claim.Largest(z) {
		confidence += (1 - of.familiar[i]) / float64(len(labels))
		if predicted == labels[i] {
			right = append(right, of.familiar[i])
		} else {
			wrong = append(wrong, of.familiar[i])
		}
	}
	errors, err := metric.AUROC(right, wrong)
	if err != nil {
		return o, err
	}
	novel, err := s.auroc(&scores{familiar: right, novel: of.novel}, "unfamiliar", o.Extra)
	if err != nil {
		return o, err
	}
	tasks := float64(len(s.novel))
	o.Arms = []float64{(errors.Value + tasks*novel) / (1 + tasks), 0.5}
	o.Extra["wrong answers AUROC"] = errors.Value
	o.Extra["accuracy on familiar rows"] = float64(len(right)) / float64(len(labels))
	o.Extra["mean largest probability on familiar rows"] = confidence
	return o, nil
}
