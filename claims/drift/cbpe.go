package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/drift"
)

func cbpe() claim.Claim {
	return claim.Claim{
		ID: "drift/cbpe", Paper: "guillory2021predicting, table 1",
		Statement: "How confidence changes tells how accuracy changes, without labels: far better than supposing that accuracy stayed as it was.",
		ScaleDown: "one classifier, and one shift under which a row's looks keep their meaning; the paper has dozens of networks and image sets and finds that natural shifts are told less well than made ones.",
		Arms:      []string{"mean calibrated confidence", "accuracy of the reference"},
		Data:      classifierData + ", and 2,000 of which none is nearer to the middle than 1.2",
		Metric:    "error of the estimated accuracy, absolute", LowerIsBetter: true, Percent: true, Seeds: 20,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			r := claim.Random(seed, 1)
			reference, before, err := classifier{2}.outputs(r, 2000, evenShares, 0)
			if err != nil {
				return o, err
			}
			window, now, err := classifier{2}.outputs(r, 2000, evenShares, 1.2)
			if err != nil {
				return o, err
			}
			m, err := drift.CBPE{}.Fit(ctx, input(reference))
			if err != nil {
				return o, err
			}
			c, err := m.Test(ctx, window)
			if err != nil {
				return o, err
			}
			o.Arms = []float64{math.Abs(c.Statistic - now), math.Abs(before - now)}
			o.Extra = map[string]float64{"accuracy before": before, "accuracy after": now}
			return o, nil
		},
		Facts: claim.Means,
	}
}
