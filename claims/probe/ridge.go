package probe

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

// ridgeFew is how many rows a class the least squares fact has: 300 rows in all for 256 columns.
const ridgeFew = 30

func ridge() claim.Claim {
	return claim.Claim{
		ID:    "probe/ridge",
		Paper: "hoerl1970ridge; the comparison is that of McDonnell et al. (2023), RanPAC, ablation rows \"ridge on raw features\" and \"nearest class mean\"",
		Statement: "On frozen features, least squares with a penalty beats the nearest class mean, because it sees through features that repeat each other: by 0 to 24 points on seven image sets in RanPAC's table. " +
			"As facts, what the penalty itself is for: with hardly more rows than columns, least squares without one falls far behind (Hoerl and Kennard).",
		ScaleDown: "a perceptron 784-256-10 pre-trained on 10,000 digits instead of a ViT pre-trained on ImageNet-21K; 600 training images a class; all classes at once, to which ridge and nearest mean are indifferent.",
		Arms:      []string{"ridge", "nearest class mean by cosine", "naive Bayes", "linear softmax head, trained by Adam"},
		Data:      "features of Fashion-MNIST, 256 columns of the hidden layer: 6,000 rows to learn from, 4,000 of the test part",
		Metric:    "accuracy",
		Percent:   true,
		Seeds:     10,
		Needs:     []string{"fashion_mnist", "mnist"},
		Run:       ridgeRun,
		Facts:     claim.Means,
	}
}

func ridgeRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 1)
	digits, err := env.Images("mnist", "train")
	if err != nil {
		return o, err
	}
	if digits, err = claim.Sample(digits, r, 10000); err != nil {
		return o, err
	}
	encoder, err := claim.Perceptron{Net: net.New(seed, 784, 256, 10)}.Train(ctx, net.Train{Epochs: 10, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Decay: 5e-4, Seed: seed}, digits)
	if err != nil {
		return o, err
	}
	var parts []*data.Table
	for _, part := range []struct {
		name string
		rows int
	}{{"train", 6000}, {"t10k", 4000}} {
		t, err := env.Images("fashion_mnist", part.name)
		if err != nil {
			return o, err
		}
		if t, err = claim.Sample(t, r, part.rows); err != nil {
			return o, err
		}
		if t, err = encoder.Hidden(1, t); err != nil {
			return o, err
		}
		parts = append(parts, t)
	}
	train, test := parts[0], parts[1]
	heads := []func(*data.Table) (method.Predictor, error){
		func(t *data.Table) (method.Predictor, error) { return probe.Ridge{}.Fit(ctx, t) },
		func(t *data.Table) (method.Predictor, error) { return continual.Prototypes{}.Fit(ctx, t) },
		func(t *data.Table) (method.Predictor, error) { return probe.NaiveBayes{}.Fit(ctx, t) },
		func(t *data.Table) (method.Predictor, error) {
			_, d := t.Dims()
			p, err := claim.Perceptron{Net: net.New(seed, d, 10)}.Train(ctx, net.Train{Epochs: 30, Batch: 64, Rate: 1e-3, Cosine: true, Adam: true, Seed: seed}, t)
			return ridgeSoftmax{p}, err
		},
	}
	for _, fit := range heads {
		a, err := ridgeAccuracy(fit, train, test)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	few, err := claim.Shots(train, ridgeFew)
	if err != nil {
		return o, err
	}
	o.Extra = map[string]float64{}
	for name, fit := range map[string]func(*data.Table) (method.Predictor, error){
		"accuracy from 300 rows, ridge":                       heads[0],
		"accuracy from 300 rows, nearest class mean":          heads[1],
		"accuracy from 300 rows, least squares without ridge": func(t *data.Table) (method.Predictor, error) { return probe.Ridge{Ridge: 1e-9}.Fit(ctx, t) },
	} {
		if o.Extra[name], err = ridgeAccuracy(fit, few, test); err != nil {
			return o, err
		}
	}
	return o, nil
}

func ridgeAccuracy(fit func(*data.Table) (method.Predictor, error), train, test *data.Table) (float64, error) {
	m, err := fit(train)
	if err != nil {
		return 0, err
	}
	p, err := m.Predict(test)
	if err != nil {
		return 0, err
	}
	return claim.Accuracy(p, test)
}

// ridgeSoftmax is a linear head that descended on the cross-entropy; its largest logit is its largest probability.
type ridgeSoftmax struct{ claim.Perceptron }

// Predict returns the logits, which put the classes in the order of their probabilities.
func (p ridgeSoftmax) Predict(in *data.Table) (*data.Table, error) { return p.Logits(in) }
