package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

const (
	prestoRows       = 2500 // of the simulation
	prestoColumns    = 10
	prestoReplicates = 2 // of each setting, a seed
	prestoFresh      = 2000
	prestoFolds      = 5
	prestoShare      = 0.5 // of people whose answers are learned from
)

// prestoIntercepts are the simulation's, from rare to rarer.
var prestoIntercepts = [][]float64{{0, 3, 5}, {0, 3.5, 5.5}, {0, 4, 6}}

func presto() claim.Claim {
	return claim.Claim{
		ID:        "probe/presto",
		Paper:     "faletto2023predicting, simulations and the study of soup tasting",
		Statement: "The probability of a rare last class is estimated better by thresholds whose weights are drawn together than by proportional odds, which are too stiff, and than by a logistic regression of that class against all others, which learns from its few rows alone.",
		ScaleDown: fmt.Sprintf("soup tasting as in the paper, in splits of ours: the answers of half of the people are learned, those of the others predicted; the last class is \"sure that it is the reference\". "+
			"As facts, what the paper's main figure shows, the error of the probability itself, where it is known: its simulation with %d rows of %d columns, weights of 0.5 or 0, and deviations of ±0.5 or 0 from one threshold to the next, each with probability one half, %d replicates a seed, 24 of each setting where the paper has 700, with paired intervals over the seeds; "+
			"and the 72 wine tastings of Randall (1989), split by judges. Rows of the simulation at which thresholds would cross are drawn again, and so are all rows to learn from when the last class has fewer than five of them.", prestoRows, prestoColumns, prestoReplicates),
		Arms:          []string{"PRESTO, fusion by 5 folds", "proportional odds", "logistic regression of the last class"},
		Data:          "1,847 answers of 185 people in 6 degrees of sureness, 17 indicator columns",
		Metric:        "mean squared error of the last class's probability as a forecast of that class (Brier score), whose differences are in the mean those of the probability's own squared error",
		LowerIsBetter: true,
		Seeds:         12,
		Needs:         []string{"ordinal_r"},
		Run:           prestoRun,
		Facts:         prestoFacts,
	}
}

func prestoRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	soup, err := env.Words("ordinal_r", "soup.csv.gz")
	if err != nil {
		return o, err
	}
	answers, err := soup.Indicators("SURENESS", "PRODID", "DAY", "SOUPTYPE", "SOUPFREQ", "COLD", "GENDER", "AGEGROUP", "LOCATION")
	if err != nil {
		return o, err
	}
	if o.Arms, err = prestoSplit(ctx, claim.Random(seed, 1), answers, soup.Columns["RESP"], "6,5,4,3,2,1", prestoFolds); err != nil {
		return o, err
	}
	o.Extra = map[string]float64{}
	wine, err := env.Words("ordinal_r", "wine.csv.gz")
	if err != nil {
		return o, err
	}
	glasses, err := wine.Indicators("rating", "temp", "contact")
	if err != nil {
		return o, err
	}
	errors, err := prestoSplit(ctx, claim.Random(seed, 2), glasses, wine.Columns["judge"], "1,2,3,4,5", 2)
	if err != nil {
		return o, err
	}
	for arm, v := range errors {
		o.Extra["wine tasting: Brier score, "+prestoNames[arm]] = v
	}
	for s, intercepts := range prestoIntercepts {
		lower := 0.0
		for replicate := range prestoReplicates {
			r := claim.Random(seed, uint64(100*s+replicate+10))
			w := newPrestoWorld(r, intercepts)
			train, err := w.train(r)
			if err != nil {
				return o, err
			}
			fresh, truth, err := w.draw(r, prestoFresh)
			if err != nil {
				return o, err
			}
			var squared [3]float64
			for arm, fit := range prestoArms("0,1,2,3", prestoFolds) {
				p, err := prestoLast(ctx, fit, train, fresh, "3")
				if err != nil {
					return o, err
				}
				for i, v := range p {
					squared[arm] += (v - truth[i]) * (v - truth[i]) / float64(len(p))
				}
				o.Extra[prestoSquared(intercepts, arm)] += 1e4 * squared[arm] / prestoReplicates
			}
			if squared[0] < min(squared[1], squared[2]) {
				lower += 1.0 / prestoReplicates
			}
		}
		o.Extra[fmt.Sprintf("simulation, intercepts %v: share of replicates in which PRESTO is below both", intercepts)] = lower
	}
	return o, nil
}

// prestoNames are the arms in facts.
var prestoNames = []string{"PRESTO", "proportional odds", "logistic regression"}

func prestoSquared(intercepts []float64, arm int) string {
	return fmt.Sprintf("simulation, intercepts %v: squared error × 10,000, %s", intercepts, prestoNames[arm])
}

// prestoFacts are the means, and by how much PRESTO's squared error lies below those of the others.
func prestoFacts(outcomes []claim.Outcome) []claim.Fact {
	facts := claim.Means(outcomes)
	for _, intercepts := range prestoIntercepts {
		for arm := 1; arm < len(prestoNames); arm++ {
			name := fmt.Sprintf("simulation, intercepts %v: squared error × 10,000, %s less PRESTO", intercepts, prestoNames[arm])
			facts = append(facts, claim.Paired(outcomes, name, prestoSquared(intercepts, arm), prestoSquared(intercepts, 0), 1)...)
		}
	}
	return facts
}

// prestoFit learns from a table and gives probabilities; the one of the last class is called for.
type prestoFit func(ctx context.Context, train *data.Table, last string) (method.Predictor, error)

// prestoArms are the three heads; folds choose PRESTO's penalty where every class has as many rows.
func prestoArms(order string, folds int) []prestoFit {
	return []prestoFit{
		func(ctx context.Context, train *data.Table, _ string) (method.Predictor, error) {
			return probe.PRESTO{Order: order, Folds: folds}.Fit(ctx, train)
		},
		func(ctx context.Context, train *data.Table, _ string) (method.Predictor, error) {
			return probe.PRESTO{Order: order, Fusion: 1e3, FusionOnly: true}.Fit(ctx, train)
		},
		func(ctx context.Context, train *data.Table, last string) (method.Predictor, error) {
			n, _ := train.Dims()
			names := make([]string, n)
			for i := range names {
				if names[i] = "other"; train.ClassName(i) == last {
					names[i] = last
				}
			}
			two, err := train.WithClassNames(names)
			if err != nil {
				return nil, err
			}
			return probe.Logistic{Ridge: 1e-6}.Fit(ctx, two)
		},
	}
}

// prestoLast returns each asked row's probability of the last class.
func prestoLast(ctx context.Context, fit prestoFit, train, ask *data.Table, last string) ([]float64, error) {
	m, err := fit(ctx, train, last)
	if err != nil {
		return nil, err
	}
	p, err := m.Predict(ask)
	if err != nil {
		return nil, err
	}
	column := slices.Index(p.Columns(), last)
	if column < 0 {
		return nil, fmt.Errorf("presto: %w: no column %q among %v", data.ErrLabels, last, p.Columns())
	}
	n, _ := p.Dims()
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(p.Row(i)[column])
	}
	return out, nil
}

// prestoSplit learns the rows of half of the people and returns the Brier scores on those of the others.
func prestoSplit(ctx context.Context, r *rand.Rand, in *data.Table, people []string, order string, folds int) ([]float64, error) {
	last := order[len(order)-1:]
	var train, ask *data.Table
	for range 100 { // until each class has a row for every fold
		each := slices.Compact(slices.Sorted(slices.Values(people)))
		r.Shuffle(len(each), func(i, j int) { each[i], each[j] = each[j], each[i] })
		learned := map[string]bool{}
		for _, name := range each[:int(prestoShare*float64(len(each))+0.5)] {
			learned[name] = true
		}
		var rows [2][]int
		counts := map[string]int{}
		for i, name := range people {
			if learned[name] {
				rows[0] = append(rows[0], i)
				counts[in.ClassName(i)]++
				continue
			}
			rows[1] = append(rows[1], i)
		}
		train, ask = in.Pick(rows[0]), in.Pick(rows[1])
		enough := true
		for _, name := range in.Classes() {
			enough = enough && counts[name] >= folds
		}
		if enough {
			break
		}
	}
	var out []float64
	for _, fit := range prestoArms(order, folds) {
		p, err := prestoLast(ctx, fit, train, ask, last)
		if err != nil {
			return nil, err
		}
		sum := 0.0
		for i, v := range p {
			if ask.ClassName(i) == last {
				v = 1 - v
			}
			sum += v * v / float64(len(p))
		}
		out = append(out, sum)
	}
	return out, nil
}

// prestoWorld is the paper's simulation: thresholds whose weights differ now and then.
type prestoWorld struct {
	intercepts []float64
	weights    [][]float64 // threshold, column
}

func newPrestoWorld(r *rand.Rand, intercepts []float64) prestoWorld {
	w := prestoWorld{intercepts: intercepts}
	for k := range intercepts {
		row := make([]float64, prestoColumns)
		for j := range row {
			if k > 0 {
				row[j] = w.weights[k-1][j]
			}
			if r.IntN(2) == 0 {
				row[j] += 0.5 * [2]float64{1, float64(2*r.IntN(2) - 1)}[min(k, 1)]
			}
		}
		w.weights = append(w.weights, row)
	}
	return w
}

// train draws rows until each class has one for every fold.
func (w prestoWorld) train(r *rand.Rand) (*data.Table, error) {
	for {
		t, _, err := w.draw(r, prestoRows)
		if err != nil {
			return nil, err
		}
		labels, err := t.Labels()
		if err != nil {
			return nil, err
		}
		rows := make([]int, len(w.intercepts)+1)
		for _, l := range labels {
			rows[l]++
		}
		if slices.Min(rows) >= prestoFolds {
			return t, nil
		}
	}
}

// draw returns rows and each one's probability of the last class.
func (w prestoWorld) draw(r *rand.Rand, n int) (*data.Table, []float64, error) {
	x, names, truth := make([]float32, n*prestoColumns), make([]string, n), make([]float64, n)
	for i := range n {
		for {
			row := x[i*prestoColumns : (i+1)*prestoColumns]
			for j := range row {
				row[j] = 2*r.Float32() - 1
			}
			u, class, before, crossed := r.Float64(), len(w.intercepts), 0.0, false
			for k, eta := range w.intercepts {
				for j, v := range row {
					eta += w.weights[k][j] * float64(v)
				}
				f := 1 / (1 + math.Exp(-eta))
				crossed = crossed || f <= before
				if before = f; u < f {
					class = min(class, k)
				}
			}
			if crossed {
				continue
			}
			names[i], truth[i] = fmt.Sprint(class), 1-before
			break
		}
	}
	t, err := data.NewTable(n, prestoColumns, x)
	if err != nil {
		return nil, nil, err
	}
	t, err = t.WithClassNames(names)
	return t, truth, err
}
