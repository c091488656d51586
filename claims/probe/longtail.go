package probe

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/encode"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

// fashionFeatures returns the program's own network's features of Fashion-MNIST: of a random train part and of a test part that
// holds all classes alike.
func fashionFeatures(env claim.Env, seed, stream uint64, train, test int) (learned, asked *data.Table, err error) {
	network, err := encode.Load("fractal", encode.Options{})
	if err != nil {
		return nil, nil, err
	}
	var parts []*data.Table
	for _, part := range []struct {
		name string
		rows int
	}{{"train", train}, {"t10k", test}} {
		t, err := env.Images("fashion_mnist", part.name)
		if err != nil {
			return nil, nil, err
		}
		if t, err = claim.Sample(t, claim.Random(seed, stream), 0); err != nil { // in random order
			return nil, nil, err
		}
		if t, err = claim.Shots(t, part.rows/10); err != nil {
			return nil, nil, err
		}
		if t, err = encoded(network, t); err != nil {
			return nil, nil, err
		}
		parts = append(parts, t)
	}
	return parts[0], parts[1], nil
}

// tailed keeps most rows of the first class and ratio times fewer of the last, shares falling by one factor from class to class.
func tailed(t *data.Table, most int, ratio float64) (*data.Table, error) {
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	k := float64(len(t.Classes()) - 1)
	seen := make([]int, len(t.Classes()))
	var chosen []int
	for i, c := range labels {
		if float64(seen[c]) < math.Round(float64(most)*math.Pow(ratio, -float64(c)/k)) {
			chosen = append(chosen, i)
			seen[c]++
		}
	}
	return t.Pick(chosen), nil
}

const longTailData = "features of Fashion-MNIST by the program's own network, 64 columns: 500 rows of the most frequent class and 5 of the rarest, 2,000 of the test part with all classes alike"

// longTailRun fits heads on rows with a long tail and measures them where all classes are alike.
func longTailRun(ctx context.Context, env claim.Env, seed uint64, heads []func(*data.Table) (method.Predictor, error)) (o claim.Outcome, err error) {
	train, test, err := fashionFeatures(env, seed, 8, 5000, 2000)
	if err != nil {
		return o, err
	}
	if train, err = tailed(train, 500, 100); err != nil {
		return o, err
	}
	for _, fit := range heads {
		a, err := ridgeAccuracy(fit, train, test)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	return o, nil
}

func longTailHeads(ctx context.Context) (adjusted, normalized, plain, balanced func(*data.Table) (method.Predictor, error)) {
	return func(t *data.Table) (method.Predictor, error) { return probe.LogitAdjustment{}.Fit(ctx, t) },
		func(t *data.Table) (method.Predictor, error) { return probe.TauNormalization{}.Fit(ctx, t) },
		func(t *data.Table) (method.Predictor, error) { return probe.Logistic{}.Fit(ctx, t) },
		func(t *data.Table) (method.Predictor, error) { return probe.Logistic{Balanced: true}.Fit(ctx, t) }
}
