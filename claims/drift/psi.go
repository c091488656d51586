package drift

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/drift"
)

func psi() claim.Claim {
	return claim.Claim{
		ID: "drift/psi", Paper: "yurdakul2018statistical, chapter 4",
		Statement: "The thumb rule that a population stability index above 0.1 is a change rings on nothing when rows are few, because the index grows as rows get fewer; ranked for the number of rows at hand it keeps its level.",
		ScaleDown: "one sample size. The ranking here is by relabelling, where the thesis has a chi-square approximation.",
		Arms:      []string{"PSI ranked among relabellings, level 0.05", "PSI above 0.1"},
		Data:      "200 standard normal values against 100 of the same distribution, 40 times a seed",
		Metric:    "false alarms, the share of windows without drift that are called drift", LowerIsBetter: true, Margin: 0.2, Percent: true, Seeds: 10,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			o.Arms = make([]float64, 2)
			r := claim.Random(seed, 1)
			for range trials {
				reference, err := normals(r, 200, 1, 0, 1)
				if err != nil {
					return o, err
				}
				window, err := normals(r, 100, 1, 0, 1)
				if err != nil {
					return o, err
				}
				m, err := drift.PSI{}.Fit(ctx, reference)
				if err != nil {
					return o, err
				}
				c, err := m.Test(ctx, window)
				if err != nil {
					return o, err
				}
				for a, rang := range []bool{c.Drift, c.Statistic > 0.1} {
					if rang {
						o.Arms[a] += 1.0 / trials
					}
				}
			}
			return o, nil
		},
	}
}
