package detect

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/method"
)

// testerLearnerMost is the excess error up to which a plane is right.
const (
	testerLearnerMost = 0.05
	testerLearnerRows = 4000
	testerLearnerWide = 10
)

func testerLearner() claim.Claim {
	return claim.Claim{
		ID:    "detect/testerlearner",
		Paper: "gollakota2023tester",
		Statement: "A learner of planes under label noise can test what its guarantee rests on, near its own planes and with the labels, and refuse where it does not hold: " +
			"what it certifies is within ε of the best plane's error, Gaussian rows pass, and where rows mislead it, it refuses; testers of low moments that do not look at labels let such rows pass.",
		ScaleDown: "4,000 rows of 10 columns instead of a polynomial number; ε = 0.05; the paper proves and does not measure. Right is: an answer with an excess error of at most ε, or a refusal of rows that are not Gaussian. " +
			"The marginals have mean zero and identity covariance, so nothing is whitened.",
		Arms: []string{"tester-learner", "moment test of degree 2, then averaging", "averaging", "logistic regression", "perceptron"},
		Data: "9 tables a seed: Gaussian rows with Massart noise of rate 0.1 and 0.3, of rate 0.3 on one side of another plane, and with 5 % of labels turned by an adversary; rows uniform on a cube, with heavy tails, of two clouds, with an " +
			"empty band around the plane, and with most rows hidden in a narrow band where noise misleads, with Massart noise of at most 0.4",
		Metric:  "share of tables on which what is said is right",
		Percent: true,
		Seeds:   12,
		Run:     testerLearnerRun,
		Facts:   claim.Means,
	}
}

// testerLearnerTable is one task: how rows come about, how labels go wrong, and what is known of both.
type testerLearnerTable struct {
	name   string
	normal bool // the rows are standard normal
	cfg    detect.TesterLearner
	row    func(r *rand.Rand, x []float64)
	flip   func(r *rand.Rand, x []float64) bool
}

func testerLearnerNormal(r *rand.Rand, x []float64) {
	for j := range x {
		x[j] = r.NormFloat64()
	}
}

func testerLearnerTables() []testerLearnerTable {
	rate := func(p float64) func(*rand.Rand, []float64) bool {
		return func(r *rand.Rand, _ []float64) bool { return r.Float64() < p }
	}
	wild := detect.TesterLearner{NoWhiten: true, Noise: 0.4}
	return []testerLearnerTable{
		{"Gaussian, noise 0.1", true, detect.TesterLearner{NoWhiten: true, Noise: 0.1}, testerLearnerNormal, rate(0.1)},
		{"Gaussian, noise 0.3", true, detect.TesterLearner{NoWhiten: true, Noise: 0.3}, testerLearnerNormal, rate(0.3)},
		{"Gaussian, noise 0.3 on one side", true, detect.TesterLearner{NoWhiten: true, Noise: 0.3}, testerLearnerNormal,
			func(r *rand.Rand, x []float64) bool { return x[1] > 0 && r.Float64() < 0.3 }},
		{"Gaussian, adversarial", true, detect.TesterLearner{NoWhiten: true, Adversarial: true}, testerLearnerNormal,
			func(r *rand.Rand, x []float64) bool { return x[0]*x[1] < -1 && r.Float64() < 0.5 }}, // 5 % of all rows, those that turn a plane most
		{"cube", false, wild, func(r *rand.Rand, x []float64) {
			for j := range x {
				x[j] = math.Sqrt(3) * (2*r.Float64() - 1)
			}
		}, rate(0.1)},
		{"heavy tails", false, wild, func(r *rand.Rand, x []float64) { // Student's t with 5 degrees of freedom, of variance one
			sum := 0.0
			for range 5 {
				sum += math.Pow(r.NormFloat64(), 2)
			}
			testerLearnerNormal(r, x)
			for j := range x {
				x[j] *= math.Sqrt(3 / sum)
			}
		}, rate(0.1)},
		{"two clouds", false, wild, func(r *rand.Rand, x []float64) {
			testerLearnerNormal(r, x)
			x[1] = 0.9*float64(2*r.IntN(2)-1) + math.Sqrt(0.19)*x[1]
		}, rate(0.1)},
		{"empty band", false, wild, func(r *rand.Rand, x []float64) { // |x| uniform on [0.5, 1.4]: a mean square of one, nearly
			testerLearnerNormal(r, x)
			x[0] = math.Copysign(0.5+0.923*r.Float64(), x[0])
		}, rate(0.3)},
		// Three quarters of the rows lie within 0.2 of the plane and far out along it; the others hold the variance.
		{"hidden band", false, wild, func(r *rand.Rand, x []float64) {
			testerLearnerNormal(r, x)
			if r.Float64() < 0.75 {
				x[0] = 0.4*r.Float64() - 0.2
				x[1] = math.Copysign(1/math.Sqrt(0.75), x[1])
			} else {
				x[0] = math.Copysign(1.98, x[0])
				x[1] = 0
			}
		}, func(r *rand.Rand, x []float64) bool { return x[0]*x[1] > 0 && math.Abs(x[0]) < 1 && r.Float64() < 0.4 }},
	}
}

// draw makes n rows, their labels and the best plane's, which lies across the first column.
func (c testerLearnerTable) draw(r *rand.Rand, n int) (t *data.Table, best []int, err error) {
	values, row := make([]float32, 0, n*testerLearnerWide), make([]float64, testerLearnerWide)
	labels, best := make([]int, n), make([]int, n)
	for i := range n {
		c.row(r, row)
		for _, v := range row {
			values = append(values, float32(v))
		}
		if row[0] > 0 {
			best[i] = 1
		}
		if labels[i] = best[i]; c.flip(r, row) {
			labels[i] = 1 - best[i]
		}
	}
	if t, err = data.NewTable(n, testerLearnerWide, values); err == nil {
		t, err = t.WithLabels(labels, claim.Numbers(2))
	}
	return t, best, err
}

func testerLearnerRun(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
	tables := testerLearnerTables()
	o.Arms, o.Extra = make([]float64, 5), map[string]float64{}
	note := func(name string, yes bool) {
		o.Extra[name] = 0
		if yes {
			o.Extra[name] = 1
		}
	}
	for k, c := range tables {
		r := claim.Random(seed, uint64(300+k))
		train, _, err := c.draw(r, testerLearnerRows)
		if err != nil {
			return o, err
		}
		test, best, err := c.draw(r, 20000)
		if err != nil {
			return o, err
		}
		c.cfg.Seed = seed
		m, err := c.cfg.Fit(ctx, train)
		refused := errors.Is(err, method.ErrRefused)
		if err != nil && !refused {
			return o, err
		}
		said := func(arm int, refused bool, excess float64) {
			if refused && !c.normal || !refused && excess <= testerLearnerMost {
				o.Arms[arm] += 1 / float64(len(tables))
			}
		}
		excess, certified := 0.0, 0.5
		if !refused {
			p, err := m.Predict(test)
			if err != nil {
				return o, err
			}
			if excess, err = testerLearnerExcess(test, best, p); err != nil {
				return o, err
			}
			certified = m.Certificate().Excess
		}
		said(0, refused, excess)
		if c.normal {
			note(c.name+": refused, or the certificate holds", excess <= certified)
			o.Extra[c.name+": excess error certified"] = certified
			o.Extra[c.name+": excess error"] = excess
		}
		note(c.name+": refused", refused)
		planes, err := testerLearnerPlanes(ctx, train, test, seed)
		if err != nil {
			return o, err
		}
		var each [3]float64
		for k, p := range planes {
			if each[k], err = testerLearnerExcess(test, best, p); err != nil {
				return o, err
			}
			said(2+k, false, each[k])
		}
		low := c.cfg
		low.Degree = 2
		passes, err := testerLearnerMoments(ctx, low, train)
		if err != nil {
			return o, err
		}
		said(1, !passes, each[0])
		note(c.name+": refused by moments of degree 2", !passes)
		note(c.name+": averaging is more than 0.05 above the best", each[0] > testerLearnerMost)
		note(c.name+": logistic regression is more than 0.05 above the best", each[1] > testerLearnerMost)
	}
	return o, nil
}

// testerLearnerMoments says whether a table passes the test of moments alone.
func testerLearnerMoments(ctx context.Context, cfg detect.TesterLearner, train *data.Table) (bool, error) {
	m, err := cfg.Fit(ctx, train)
	var refusal *detect.TesterLearnerRefusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Tests[0].Statistic <= refusal.Tests[0].Threshold, nil
	case err != nil:
		return false, err
	}
	first := m.Certificate().Tests[0]
	return first.Statistic <= first.Threshold, nil
}

// testerLearnerExcess is the error of predictions beyond the best plane's, on the same rows.
func testerLearnerExcess(test *data.Table, best []int, p *data.Table) (float64, error) {
	labels, err := test.Labels()
	if err != nil {
		return 0, err
	}
	have := claim.Largest(p)
	wrong := 0
	for i, y := range labels {
		if p.Columns()[have[i]] != test.Classes()[y] {
			wrong++
		}
		if best[i] != y {
			wrong--
		}
	}
	return float64(wrong) / float64(len(labels)), nil
}

// testerLearnerPlanes are the predictions of averaging, logistic regression and the perceptron.
func testerLearnerPlanes(ctx context.Context, train, test *data.Table, seed uint64) ([]*data.Table, error) {
	labels, err := train.Labels()
	if err != nil {
		return nil, err
	}
	average, last := make([]float64, testerLearnerWide), make([]float64, testerLearnerWide)
	add := func(to []float64, i int) {
		for j, v := range train.Row(i) {
			to[j] += float64(2*labels[i]-1) * float64(v)
		}
	}
	along := func(w []float64, row []float32) (sum float64) {
		for j, v := range row {
			sum += w[j] * float64(v)
		}
		return sum
	}
	for i := range labels {
		add(average, i)
	}
	r := claim.Random(seed, 299)
	for range 10 { // passes
		for _, i := range r.Perm(len(labels)) {
			if along(last, train.Row(i))*float64(2*labels[i]-1) <= 0 {
				add(last, i)
			}
		}
	}
	n, _ := test.Dims()
	out := make([]*data.Table, 3)
	for k, w := range [][]float64{average, nil, last} {
		if w == nil {
			continue
		}
		x := make([]float32, 2*n)
		for i := range n {
			x[2*i+1] = float32(along(w, test.Row(i)))
		}
		if out[k], err = data.NewNamed(n, test.Classes(), x); err != nil {
			return nil, err
		}
	}
	logistic, err := claim.Perceptron{Net: net.New(seed, testerLearnerWide, 2)}.Train(ctx, net.Train{Epochs: 20, Batch: 64, Rate: 0.01, Cosine: true, Adam: true, Seed: seed}, train)
	if err != nil {
		return nil, err
	}
	out[1], err = logistic.Logits(test)
	return out, err
}
