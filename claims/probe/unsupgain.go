package probe

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

const (
	unsupGainLabels = 3 // a class
	unsupGainRows   = 3000
	unsupGainAsked  = 2000
)

func unsupGain() claim.Claim {
	return claim.Claim{
		ID:        "probe/unsupgain",
		Paper:     "ge2024provable, factor model; theory only, the paper has no experiments",
		Statement: "With few labels and many rows without one, a head on factors that all rows reveal is right more often than a head that learns from the labelled rows alone; with hardly more rows than labels it is not.",
		ScaleDown: fmt.Sprintf("real rows instead of a factor model, so that the factors are an approximation. A first run with factors scaled to deviation one, as the model has them, was 24 points behind (56.1 against 80.5), and the method changed after it. Here: the 64 pixels of digits, %d labels a class, and %d rows without one. As facts: as many rows without a label as with one, ten times the labels, the number of rows from which the bound with constants of one is in favour, and a world where the factor model is right: 20 labels, 3 factors in 100 columns, noise of three times a factor's share of a column.", unsupGainLabels, unsupGainRows),
		Arms:      []string{"factors of all rows, then a head", "logistic regression on the labelled rows", "ridge on the labelled rows, penalty by leave-one-out", "factors of the labelled rows alone"},
		Data:      fmt.Sprintf("optdigits, 10 classes, %d rows asked about", unsupGainAsked),
		Metric:    "accuracy",
		Percent:   true,
		Seeds:     20,
		Needs:     []string{"pmlb"},
		Run:       unsupGainRun,
		Facts:     claim.Means,
	}
}

func unsupGainRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	all, err := env.Table(ctx, "target", "pmlb", "class", "optdigits.tsv.gz")
	if err != nil {
		return o, err
	}
	if all, err = claim.Sample(all, claim.Random(seed, 1), 0); err != nil {
		return o, err
	}
	n, _ := all.Dims()
	test, pool := all.Slice(n-unsupGainAsked, n), all.Slice(0, n-unsupGainAsked)
	few, err := claim.Shots(pool, unsupGainLabels)
	if err != nil {
		return o, err
	}
	more, err := claim.Shots(pool, 10*unsupGainLabels)
	if err != nil {
		return o, err
	}
	two := func(labelled *data.Table, rows int) (*probe.UnsupGainModel, error) {
		joined, err := unsupGainJoin(labelled, pool.Slice(0, rows))
		if err != nil {
			return nil, err
		}
		return probe.UnsupGain{}.Fit(ctx, joined)
	}
	whole, err := two(few, unsupGainRows)
	if err != nil {
		return o, err
	}
	logistic, err := probe.Logistic{}.Fit(ctx, few)
	if err != nil {
		return o, err
	}
	path, err := probe.RidgePath{}.Fit(ctx, few)
	if err != nil {
		return o, err
	}
	alone, err := probe.UnsupGain{}.Fit(ctx, few)
	if err != nil {
		return o, err
	}
	little, err := two(few, len(few.X())/64)
	if err != nil {
		return o, err
	}
	many, err := two(more, unsupGainRows)
	if err != nil {
		return o, err
	}
	manyAlone, err := probe.Logistic{}.Fit(ctx, more)
	if err != nil {
		return o, err
	}
	o.Extra = map[string]float64{
		"factors that are found": whole.Report()["rank"],
		"rows from which the bound is in favour, 0 where it never is": whole.Report()["crossover_rows"],
	}
	for _, arm := range []struct {
		m    method.Predictor
		fact string
	}{
		{whole, ""}, {logistic, ""}, {path, ""}, {alone, ""},
		{little, "accuracy with as many rows without a label as with one"},
		{many, "accuracy with ten times the labels, factors of all rows"},
		{manyAlone, "accuracy with ten times the labels, labels alone"},
	} {
		a, err := ridgeAccuracy(func(*data.Table) (method.Predictor, error) { return arm.m, nil }, nil, test)
		if err != nil {
			return o, err
		}
		if arm.fact != "" {
			o.Extra[arm.fact] = a
			continue
		}
		o.Arms = append(o.Arms, a)
	}
	return o, unsupGainModel(ctx, seed, o.Extra)
}

// unsupGainModel measures both heads where the factor model is right: 3 factors in 100 columns, the class is the first
// one's sign, and the noise has three times the deviation of a factor's share of a column.
func unsupGainModel(ctx context.Context, seed uint64, extra map[string]float64) error {
	const d, rank, labels = 100, 3, 20
	r := claim.Random(seed, 2)
	var load [rank * d]float64
	for i := range load {
		load[i] = r.NormFloat64() / 3
	}
	draw := func(n int) (*data.Table, error) {
		x, names := make([]float32, n*d), make([]string, n)
		for i := range n {
			for f := range rank {
				z := r.NormFloat64()
				if f == 0 {
					names[i] = fmt.Sprint(z > 0)
				}
				for j := range d {
					x[i*d+j] += float32(z * load[f*d+j])
				}
			}
			for j := range d {
				x[i*d+j] += float32(r.NormFloat64())
			}
		}
		t, err := data.NewTable(n, d, x)
		if err != nil {
			return nil, err
		}
		return t.WithClassNames(names)
	}
	rows, err := draw(labels + unsupGainRows)
	if err != nil {
		return err
	}
	test, err := draw(unsupGainAsked)
	if err != nil {
		return err
	}
	few := rows.Slice(0, labels)
	for name, fit := range map[string]func(*data.Table) (method.Predictor, error){
		"factor model: accuracy, factors of all rows": func(t *data.Table) (method.Predictor, error) {
			joined, err := unsupGainJoin(t, rows.Slice(labels, labels+unsupGainRows))
			if err != nil {
				return nil, err
			}
			return probe.UnsupGain{}.Fit(ctx, joined)
		},
		"factor model: accuracy, labels alone": func(t *data.Table) (method.Predictor, error) { return probe.Logistic{}.Fit(ctx, t) },
	} {
		if extra[name], err = ridgeAccuracy(fit, few, test); err != nil {
			return err
		}
	}
	return nil
}

// unsupGainJoin puts rows without their labels under labelled ones.
func unsupGainJoin(labelled, free *data.Table) (*data.Table, error) {
	a, d := labelled.Dims()
	b, _ := free.Dims()
	labels, err := labelled.Labels()
	if err != nil {
		return nil, err
	}
	all := append([]int{}, labels...)
	for range b {
		all = append(all, data.Unknown)
	}
	t, err := data.NewTable(a+b, d, append(append([]float32{}, labelled.X()...), free.X()...))
	if err != nil {
		return nil, err
	}
	return t.WithLabels(all, labelled.Classes())
}
