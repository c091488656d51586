// Package drift runs the comparisons behind the drift tests and alarms again, on data that it makes itself.
package drift

import (
	"context"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// Claims returns the family's claims.
func Claims() []claim.Claim {
	return []claim.Claim{
		adwin(), atc(), cbpe(), classifierTwoSample(), cramerVonMises(), cusum(), energyDistance(), kolmogorovSmirnov(),
		labelShift(), linearMMD(), martingale(), mmd(), pageHinkley(), psi(), randomFeatureMMD(), wasserstein(),
	}
}

// trials is how many windows, or streams, a seed measures a rate on.
const trials = 40

// made draws n rows of d columns.
func made(n, d int, at func() []float64) (*data.Table, error) {
	x := make([]float32, 0, n*d)
	for range n {
		for _, v := range at() {
			x = append(x, float32(v))
		}
	}
	return data.NewTable(n, d, x)
}

// normals draws rows of independent normal columns, shifted by so much and spread by that.
func normals(r *rand.Rand, n, d int, shift, spread float64) (*data.Table, error) {
	return made(n, d, func() []float64 {
		row := make([]float64, d)
		for j := range row {
			row[j] = shift + spread*r.NormFloat64()
		}
		return row
	})
}

// fits is a configuration's Fit for a table, its model's type forgotten.
type fits func(ctx context.Context, train *data.Table) (method.Tester, error)

// as forgets a model's type.
func as[M method.Tester](fit func(context.Context, *data.Table) (M, error)) fits {
	return func(ctx context.Context, train *data.Table) (method.Tester, error) { return fit(ctx, train) }
}

// rates returns for each test how often it calls drift on pairs that draw makes.
func rates(ctx context.Context, r *rand.Rand, draw func(r *rand.Rand) (reference, window *data.Table, err error), tests ...fits) ([]float64, error) {
	out := make([]float64, len(tests))
	for range trials {
		reference, window, err := draw(r)
		if err != nil {
			return nil, err
		}
		for k, fit := range tests {
			m, err := fit(ctx, reference)
			if err != nil {
				return nil, err
			}
			c, err := m.Test(ctx, window)
			if err != nil {
				return nil, err
			}
			if c.Drift {
				out[k] += 1.0 / trials
			}
		}
	}
	return out, nil
}

// power is a claim that one test finds what another misses.
func power(id, paper, statement, scaleDown, what string, margin float64, draw func(r *rand.Rand) (reference, window *data.Table, err error), method, baseline string, tests ...fits) claim.Claim {
	return claim.Claim{
		ID: "drift/" + id, Paper: paper, Statement: statement, ScaleDown: scaleDown + " All tests at level 0.05; 40 windows a seed.",
		Arms: []string{method, baseline}, Data: what, Metric: "power, the share of windows that are called drift",
		Margin: margin, Percent: true, Seeds: 10,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			o.Arms, err = rates(ctx, claim.Random(seed, 1), draw, tests...)
			return o, err
		},
	}
}

// alarms returns for each of the streams' models how late it rings after the change, and how often it never does or did before;
// a stream that never rings counts as late as it is long.
func alarms(ctx context.Context, r *rand.Rand, before, after int, shift float64, models ...method.Watcher) (delay, missed []float64, err error) {
	delay, missed = make([]float64, len(models)), make([]float64, len(models))
	for range trials {
		a, err := normals(r, before, 1, 0, 1)
		if err != nil {
			return nil, nil, err
		}
		b, err := normals(r, after, 1, shift, 1)
		if err != nil {
			return nil, nil, err
		}
		for k, m := range models {
			s := m.Watch()
			if err := s.Observe(ctx, a); err != nil {
				return nil, nil, err
			}
			if s.Watched().AlarmRow > 0 { // a false alarm says nothing of the delay
				missed[k] += 1.0 / trials
				delay[k] += float64(after) / trials
				continue
			}
			if err := s.Observe(ctx, b); err != nil {
				return nil, nil, err
			}
			row := s.Watched().AlarmRow
			if row == 0 {
				missed[k] += 1.0 / trials
				row = before + after
			}
			delay[k] += float64(row-before) / trials
		}
	}
	return delay, missed, nil
}
