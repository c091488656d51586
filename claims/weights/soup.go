package weights

import (
	"context"
	"slices"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/world"
	"github.com/gimbal-ml/gimbal/weights"
)

// soupIngredients is how many copies are tuned.
const soupIngredients = 12

func soup() claim.Claim {
	return claim.Claim{
		ID:        "weights/soup",
		Paper:     "wortsman2022soups",
		Statement: "Averaging the weights of networks that were tuned from one pre-trained network with different settings, each added only if it helps on held-out rows, beats the best of them, and more so under a shift of the data. Networks from different starts do not average.",
		ScaleDown: "perceptrons 784-128-10 pre-trained on 20,000 images of Fashion-MNIST and tuned 12 times on 6,000 others, instead of CLIP and ALIGN tuned on ImageNet; the shift is added noise. A first version pre-trained on digits; there no average helped and greedy soup was the best single network for all of 3 seeds: what is averaged must start near its goal.",
		Arms:      []string{"greedy soup", "best single network on held-out rows", "uniform soup", "ensemble of logits"},
		Data:      "Fashion-MNIST: 20,000 rows to pre-train on, 6,000 to tune on, 2,000 held out, 4,000 of the test part",
		Metric:    "accuracy on the test part",
		Percent:   true,
		Seeds:     10,
		Needs:     []string{"fashion_mnist"},
		Run:       soupRun,
		Facts:     claim.Means,
	}
}

func soupRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 1)
	clothes, err := env.Images("fashion_mnist", "train")
	if err != nil {
		return o, err
	}
	if clothes, err = claim.Sample(clothes, r, 28000); err != nil {
		return o, err
	}
	before, tune, held := clothes.Slice(0, 20000), clothes.Slice(20000, 26000), clothes.Slice(26000, 28000)
	test, err := env.Images("fashion_mnist", "t10k")
	if err != nil {
		return o, err
	}
	if test, err = claim.Sample(test, r, 4000); err != nil {
		return o, err
	}
	shifted, err := soupShift(test, seed)
	if err != nil {
		return o, err
	}
	start, err := claim.Perceptron{Net: net.New(seed, 784, 128, 10)}.Train(ctx, net.Train{Epochs: 8, Batch: 64, Rate: 0.05, Cosine: true, Momentum: 0.9, Seed: seed}, before)
	if err != nil {
		return o, err
	}
	tuned, err := soupTune(ctx, start, tune, seed)
	if err != nil {
		return o, err
	}
	var pot data.Checkpoints
	for _, p := range tuned {
		pot = append(pot, p.Checkpoint(tune.Classes()))
	}
	judge, err := weights.NewHoldout(held)
	if err != nil {
		return o, err
	}
	single, best := 0, -1.0
	for i, c := range pot {
		a, err := judge.Evaluate(ctx, c)
		if err != nil {
			return o, err
		}
		if a > best {
			single, best = i, a
		}
	}
	var soups []claim.Perceptron
	for _, c := range []weights.Soup{{Strategy: "greedy"}, {}} {
		mixed, err := c.Apply(ctx, weights.SoupInput{In: pot, Evaluate: judge})
		if err != nil {
			return o, err
		}
		p, err := claim.FromCheckpoint(mixed)
		if err != nil {
			return o, err
		}
		soups = append(soups, p)
	}
	// Networks tuned alike, but each from a start of its own.
	var strangers data.Checkpoints
	for k := range uint64(4) {
		p, err := claim.Perceptron{Net: net.New(1000*(seed+1)+k, 784, 128, 10)}.Train(ctx, net.Train{Epochs: 6, Batch: 64, Rate: 0.02, Cosine: true, Momentum: 0.9, Seed: k}, tune)
		if err != nil {
			return o, err
		}
		strangers = append(strangers, p.Checkpoint(tune.Classes()))
	}
	mixed, err := weights.Soup{}.Apply(ctx, weights.SoupInput{In: strangers})
	if err != nil {
		return o, err
	}
	apart, err := claim.FromCheckpoint(mixed)
	if err != nil {
		return o, err
	}

	o.Extra = map[string]float64{}
	for _, part := range []struct {
		rows *data.Table
		name string
	}{{test, ""}, {shifted, "under noise"}} {
		for _, arm := range []struct {
			name string
			nets []claim.Perceptron
		}{{"greedy soup", soups[:1]}, {"best single", tuned[single : single+1]}, {"uniform soup", soups[1:]}, {"ensemble", tuned}} {
			a, err := soupAccuracy(arm.nets, part.rows)
			if err != nil {
				return o, err
			}
			if part.name == "" {
				o.Arms = append(o.Arms, a)
			} else {
				o.Extra["accuracy "+part.name+", "+arm.name] = a
			}
		}
	}
	if o.Extra["accuracy of the average of 4 networks from different starts"], err = soupAccuracy([]claim.Perceptron{apart}, test); err != nil {
		return o, err
	}
	gaps, err := weights.Gaps(ctx, pot[:6], judge)
	if err != nil {
		return o, err
	}
	var predicted, measured []float64
	for _, g := range gaps {
		predicted, measured = append(predicted, g.Predicted), append(measured, g.Measured)
	}
	o.Extra["rank correlation of predicted and measured soup-minus-ensemble loss over 15 pairs"] = claim.RankCorrelation(predicted, measured)
	return o, nil
}

// soupTune tunes copies of one network by recipes that differ as those of a search would.
func soupTune(ctx context.Context, start claim.Perceptron, rows *data.Table, seed uint64) ([]claim.Perceptron, error) {
	r := claim.Random(seed, 2)
	tuned := make([]claim.Perceptron, soupIngredients)
	for i := range tuned {
		recipe := net.Train{
			Epochs: 4 + r.IntN(6), Batch: 64, Rate: []float64{0.005, 0.01, 0.02, 0.05}[r.IntN(4)], Cosine: true, Momentum: 0.9,
			Decay: []float64{0, 1e-4, 1e-3}[r.IntN(3)], Smoothing: []float64{0, 0.1}[r.IntN(2)], Noise: []float64{0, 0.1}[r.IntN(2)],
			Seed: seed*soupIngredients + uint64(i),
		}
		var err error
		if tuned[i], err = start.Train(ctx, recipe, rows); err != nil {
			return nil, err
		}
	}
	return tuned, nil
}

// soupShift adds noise to images.
func soupShift(t *data.Table, seed uint64) (*data.Table, error) {
	x, err := world.Corrupt("noise", 2, seed, t.X(), 28)
	if err != nil {
		return nil, err
	}
	n, d := t.Dims()
	noisy, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	return noisy.WithLabels(labels, t.Classes())
}

// soupAccuracy is that of the mean of the networks' logits.
func soupAccuracy(nets []claim.Perceptron, rows *data.Table) (float64, error) {
	var sum []float32
	for _, p := range nets {
		l, err := p.Logits(rows)
		if err != nil {
			return 0, err
		}
		if sum == nil {
			sum = slices.Clone(l.X())
			continue
		}
		for i, v := range l.X() {
			sum[i] += v
		}
	}
	n, _ := rows.Dims()
	mean, err := data.NewNamed(n, rows.Classes(), sum)
	if err != nil {
		return 0, err
	}
	return claim.Accuracy(mean, rows)
}
