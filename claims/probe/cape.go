package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

const (
	capeLearned = 1000
	capeAsked   = 4000
	capeColumns = 100
)

// capeScenarios are the paper's links from a hidden number in [0, 1] to the probability.
var capeScenarios = []struct {
	name string
	link func(u float64) float64
}{
	{"linear", func(u float64) float64 { return u }},
	{"sigmoid", func(u float64) float64 { return 1 - 1/(1+math.Exp(-25*(u-0.29))) }},
	{"skewed", func(u float64) float64 { return u / 2.5 }},
	{"centred", func(u float64) float64 { return u/3 + 0.35 }},
	{"discrete", func(u float64) float64 { return 0.1 + 0.2*math.Min(math.Floor(5*u), 4) }},
}

func cape() claim.Claim {
	return claim.Claim{
		ID:        "probe/cape",
		Paper:     "liu2022deep, synthetic scenarios and cancer survival",
		Statement: "Going on after the first stop with targets that are now and then empirical probabilities estimates probabilities better than stopping early, and far better than training on outcomes to the end.",
		ScaleDown: fmt.Sprintf("a linear head on %d columns, of which a hidden number in [0, 1] is a function, and %d outcomes, instead of a ResNet on 16,641 faces with outcomes drawn by age; all five of the paper's links from that number to the probability, averaged. "+
			"As facts, Brier scores on two real tables, splits by halves.", capeColumns, capeLearned),
		Arms:          []string{"CaPE by bins", "early stopping, as many epochs", "logistic regression to the end", "CaPE by bins, calibrating in each epoch", "CaPE by kernel"},
		Data:          fmt.Sprintf("five synthetic scenarios, %d rows asked about", capeAsked),
		Metric:        "mean squared error of the probability, the truth being known",
		LowerIsBetter: true,
		Seeds:         10,
		Needs:         []string{"pmlb"},
		Run:           capeRun,
		Facts:         claim.Means,
	}
}

func capeArms(ctx context.Context) []func(*data.Table) (method.Predictor, error) {
	head := func(c probe.CaPE) func(*data.Table) (method.Predictor, error) {
		return func(t *data.Table) (method.Predictor, error) { return c.Fit(ctx, t) }
	}
	return []func(*data.Table) (method.Predictor, error){
		head(probe.CaPE{}), head(probe.CaPE{Strategy: "none"}),
		func(t *data.Table) (method.Predictor, error) { return probe.Logistic{Ridge: 1e-6}.Fit(ctx, t) },
		head(probe.CaPE{Period: 1}), head(probe.CaPE{Strategy: "kernel"}),
	}
}

func capeRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Extra, o.Arms = map[string]float64{}, make([]float64, 5)
	names := []string{"CaPE by bins", "early stopping", "to the end", "in each epoch", "by kernel"}
	for s, scenario := range capeScenarios {
		r := claim.Random(seed, uint64(s))
		way := make([]float64, capeColumns)
		for j := range way {
			way[j] = r.NormFloat64()
		}
		train, _, err := capeDraw(r, way, scenario.link, capeLearned)
		if err != nil {
			return o, err
		}
		fresh, truth, err := capeDraw(r, way, scenario.link, capeAsked)
		if err != nil {
			return o, err
		}
		for arm, fit := range capeArms(ctx) {
			v, err := capeError(fit, train, fresh, truth)
			if err != nil {
				return o, err
			}
			o.Arms[arm] += v / float64(len(capeScenarios))
			if arm < 3 {
				o.Extra[fmt.Sprintf("%s scenario: squared error, %s", scenario.name, names[arm])] = v
			}
		}
	}
	for t, name := range []string{"pima", "churn"} {
		all, err := env.Table(ctx, "target", "pmlb", "class", name+".tsv.gz")
		if err != nil {
			return o, err
		}
		n, _ := all.Dims()
		all = all.Pick(claim.Random(seed, uint64(100+t)).Perm(n))
		train, test := all.Slice(0, n/2), all.Slice(n/2, n)
		truth := make([]float64, n-n/2)
		for i := range truth {
			if test.ClassName(i) == "1" {
				truth[i] = 1
			}
		}
		for arm, fit := range capeArms(ctx)[:3] {
			if o.Extra[fmt.Sprintf("%s: Brier score, %s", name, names[arm])], err = capeError(fit, train, test, truth); err != nil {
				return o, err
			}
		}
	}
	return o, nil
}

// capeDraw returns rows of standard normal columns with outcomes, and each one's probability of outcome 1.
func capeDraw(r *rand.Rand, way []float64, link func(float64) float64, n int) (*data.Table, []float64, error) {
	length := 0.0
	for _, v := range way {
		length += v * v
	}
	x, names, truth := make([]float32, n*len(way)), make([]string, n), make([]float64, n)
	for i := range n {
		z := 0.0
		for j, w := range way {
			v := r.NormFloat64()
			x[i*len(way)+j] = float32(v)
			z += v * w / math.Sqrt(length)
		}
		truth[i], names[i] = link(1-normalTail(z)), "0"
		if r.Float64() < truth[i] {
			names[i] = "1"
		}
	}
	t, err := data.NewTable(n, len(way), x)
	if err != nil {
		return nil, nil, err
	}
	t, err = t.WithClassNames(names)
	return t, truth, err
}

// capeError is the mean squared difference between a head's probability of class 1 and what it should be.
func capeError(fit func(*data.Table) (method.Predictor, error), train, ask *data.Table, truth []float64) (sum float64, err error) {
	m, err := fit(train)
	if err != nil {
		return 0, err
	}
	p, err := m.Predict(ask)
	if err != nil {
		return 0, err
	}
	column := 0
	if p.Columns()[1] == "1" {
		column = 1
	}
	for i, v := range truth {
		off := float64(p.Row(i)[column]) - v
		sum += off * off / float64(len(truth))
	}
	return sum, nil
}
