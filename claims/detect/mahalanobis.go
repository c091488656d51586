package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func mahalanobis() claim.Claim {
	return claim.Claim{
		ID:    "detect/mahalanobis",
		Paper: "lee2018simple, tables 1 and 2, figure 3",
		Statement: "On the features of a softmax classifier, the distance to the nearest class mean under a shared covariance finds unfamiliar inputs better than the largest softmax probability does: " +
			"with one layer already, more with several, and still when labels are wrong or few. The paper's ResNets gain tens of points of TNR at 95 % TPR.",
		ScaleDown: settingScale + ", instead of ResNets and DenseNets on CIFAR and SVHN. Layers are added with equal weights instead of weights learned from unfamiliar examples, and inputs are not perturbed. " +
			"A perceptron has no filters whose responses could be averaged over an image, so the gain from earlier layers may be another.",
		Arms:    []string{"Mahalanobis, last hidden layer", "largest softmax probability", "Mahalanobis, both hidden layers added"},
		Data:    settingData,
		Metric:  "AUROC, mean over the 3 kinds of unfamiliar rows",
		Percent: true,
		Seeds:   8,
		Needs:   settingNeeds,
		Run:     mahalanobisRun,
		Facts:   claim.Means,
	}
}

func mahalanobisRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra = map[string]float64{}
	s, err := newSetting(ctx, env, seed, 12000, 0)
	if err != nil {
		return o, err
	}
	last, both, baseline, err := mahalanobisScores(ctx, s)
	if err != nil {
		return o, err
	}
	for _, arm := range []struct {
		name string
		of   *scores
	}{{"Mahalanobis", last}, {"softmax", baseline}, {"both layers", both}} {
		a, err := s.auroc(arm.of, arm.name, o.Extra)
		if err != nil {
			return o, err
		}
		f, err := s.fpr(arm.of, arm.name, nil)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
		o.Extra[arm.name+" TNR at 95 % TPR, mean"] = 1 - f
	}
	// The paper's figure 3: fewer rows to train on, and wrong labels.
	for _, hard := range []struct {
		name  string
		rows  int
		wrong float64
	}{{"a tenth of the training rows", 1200, 0}, {"40 % wrong training labels", 12000, 0.4}} {
		s, err := newSetting(ctx, env, seed, hard.rows, hard.wrong)
		if err != nil {
			return o, err
		}
		last, _, baseline, err := mahalanobisScores(ctx, s)
		if err != nil {
			return o, err
		}
		a, err := s.auroc(last, "", nil)
		if err != nil {
			return o, err
		}
		b, err := s.auroc(baseline, "", nil)
		if err != nil {
			return o, err
		}
		o.Extra["gain in AUROC, "+hard.name] = a - b
	}
	return o, nil
}

// mahalanobisScores scores by the last hidden layer, by both added, and by the baseline.
func mahalanobisScores(ctx context.Context, s *setting) (last, both, baseline *scores, err error) {
	var layers []*scores
	for layer := 1; layer <= 2; layer++ {
		view := func(in *data.Table) (*data.Table, error) { return s.net.Hidden(layer, in) }
		train, err := view(s.train)
		if err != nil {
			return nil, nil, nil, err
		}
		m, err := detect.Mahalanobis{}.Fit(ctx, train)
		if err != nil {
			return nil, nil, nil, err
		}
		of, err := s.score(m, view)
		if err != nil {
			return nil, nil, nil, err
		}
		layers = append(layers, of)
	}
	last, both = layers[1], &scores{familiar: added(layers[0].familiar, layers[1].familiar)}
	for k := range s.novel {
		both.novel = append(both.novel, added(layers[0].novel[k], layers[1].novel[k]))
	}
	baseline, err = s.maxSoftmax(ctx)
	return last, both, baseline, err
}

func added(a, b []float64) []float64 {
	sum := make([]float64, len(a))
	for i := range sum {
		sum[i] = a[i] + b[i]
	}
	return sum
}
