package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/metric"
)

// oneClassSVMShare is the share of training digits that may lie outside, the paper's 5 %.
const oneClassSVMShare = 0.05

func oneClassSVM() claim.Claim {
	return claim.Claim{
		ID:        "detect/oneclasssvm",
		Paper:     "schoelkopf2001estimating, section 5",
		Statement: "A border around images of one digit, drawn by a Gaussian kernel machine that may leave out 5 % of them, keeps nearly all other images of this digit inside and most of the other digits outside: it tells them better than the distance to their mean.",
		ScaleDown: "MNIST instead of USPS, 1,500 images of one digit, which the seed picks, to learn from, 28×28 pixels; the kernel by 512 random directions. The paper compares with no other detector; the distance to the mean, the limit of a wide kernel, is ours. Facts: the shares outside.",
		Arms:      []string{"one-class SVM", "distance to the mean"},
		Data:      "MNIST: test images of the digit against 2,000 of the others",
		Metric:    "AUROC",
		Percent:   true,
		Seeds:     10,
		Needs:     []string{"mnist"},
		Run:       oneClassSVMRun,
		Facts:     claim.Means,
	}
}

func oneClassSVMRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 7)
	digit := int(seed % 10)
	var others []int
	for c := range 10 {
		if c != digit {
			others = append(others, c)
		}
	}
	learn, err := env.Images("mnist", "train")
	if err != nil {
		return o, err
	}
	if learn, err = claim.Sample(learn, r, 1500, digit); err != nil {
		return o, err
	}
	test, err := env.Images("mnist", "t10k")
	if err != nil {
		return o, err
	}
	same, err := claim.Sample(test, r, 0, digit)
	if err != nil {
		return o, err
	}
	other, err := claim.Sample(test, r, 2000, others...)
	if err != nil {
		return o, err
	}
	m, err := detect.OneClassSVM{Share: oneClassSVMShare, Projections: 512, Seed: seed}.Fit(ctx, learn)
	if err != nil {
		return o, err
	}
	inside, err := m.Score(same)
	if err != nil {
		return o, err
	}
	outside, err := m.Score(other)
	if err != nil {
		return o, err
	}
	area, err := metric.AUROC(inside, outside, metric.Interval{ValueOnly: true})
	if err != nil {
		return o, err
	}
	mean, _ := gaussianADColumns(learn)
	plain := gaussianADDistance{mean, make([]float64, len(mean))}
	for j := range plain.unit {
		plain.unit[j] = 1
	}
	near, err := plain.Score(same)
	if err != nil {
		return o, err
	}
	far, err := plain.Score(other)
	if err != nil {
		return o, err
	}
	base, err := metric.AUROC(near, far, metric.Interval{ValueOnly: true})
	if err != nil {
		return o, err
	}
	learned, err := m.Score(learn)
	if err != nil {
		return o, err
	}
	o.Arms = []float64{area.Value, base.Value}
	o.Extra = map[string]float64{
		"share outside, images learned from, 0.05 allowed": oneClassSVMOutside(learned),
		"share outside, other images of the digit":         oneClassSVMOutside(inside),
		"share outside, other digits":                      oneClassSVMOutside(outside),
	}
	return o, nil
}

func oneClassSVMOutside(scores []float64) float64 {
	out := 0.0
	for _, s := range scores {
		if s > 0 {
			out++
		}
	}
	return out / float64(len(scores))
}
