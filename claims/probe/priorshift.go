package probe

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func priorShift() claim.Claim {
	return claim.Claim{
		ID:        "probe/priorshift",
		Paper:     "saerens2002adjusting, tables 1 to 4: outputs adjusted to shares found by expectation maximisation against unadjusted ones",
		Statement: "Where classes are more or less frequent than in training, adjusting the probabilities to shares that are found from unlabelled rows makes more of them right, and comes near to knowing the shares.",
		ScaleDown: "images' features and ten classes instead of two-class medical tables and ringnorm; shares fall by a factor of 20 from class to class, in the order of their numbers.",
		Arms:      []string{"shares found from unlabelled rows", "logistic head", "shares known"},
		Data:      "features of Fashion-MNIST by the program's own network, 64 columns: 1,000 rows with all classes alike to learn from; of the test part half of the rows to find the shares, the other half to measure",
		Metric:    "accuracy",
		Percent:   true,
		Seeds:     6,
		Needs:     []string{"fashion_mnist"},
		Run:       priorShiftRun,
		Facts:     claim.Means,
	}
}

func priorShiftRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	train, test, err := fashionFeatures(env, seed, 9, 1000, 5000)
	if err != nil {
		return o, err
	}
	if test, err = tailed(test, 500, 20); err != nil {
		return o, err
	}
	if test, err = claim.Sample(test, claim.Random(seed, 10), 0); err != nil {
		return o, err
	}
	n, _ := test.Dims()
	target, test := test.Slice(0, n/2), test.Slice(n/2, n)
	plain, err := probe.Logistic{}.Fit(ctx, train)
	if err != nil {
		return o, err
	}
	shifted, err := probe.PriorShift{}.Fit(ctx, probe.PriorShiftInput{Train: train, Unlabelled: target})
	if err != nil {
		return o, err
	}
	labels, err := target.Labels()
	if err != nil {
		return o, err
	}
	known := priorShiftKnown{plain, make([]float64, len(target.Classes()))}
	for _, l := range labels {
		known.shares[l] += 1 / float64(len(labels))
	}
	for _, m := range []method.Predictor{shifted, plain, known} {
		p, err := m.Predict(test)
		if err != nil {
			return o, err
		}
		a, err := claim.Accuracy(p, test)
		if err != nil {
			return o, err
		}
		o.Arms = append(o.Arms, a)
	}
	off := 0.0
	for c, v := range shifted.Shares() { // classes are numbered alike: they are all there, in the order of their names
		off += math.Abs(v-known.shares[c]) / 2
	}
	o.Extra = map[string]float64{"half the summed error of the shares found": off}
	return o, nil
}

// priorShiftKnown is a head on rows with classes alike whose probabilities are multiplied by known shares.
type priorShiftKnown struct {
	head   *probe.LogisticModel
	shares []float64
}

// Predict returns the products, not normalised.
func (m priorShiftKnown) Predict(in *data.Table) (*data.Table, error) {
	p, err := m.head.Predict(in)
	if err != nil {
		return nil, err
	}
	n, k := p.Dims()
	x := make([]float32, n*k)
	for i, v := range p.X() {
		x[i] = v * float32(m.shares[i%k])
	}
	return data.NewNamed(n, p.Columns(), x)
}
