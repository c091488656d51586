package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/drift"
)

func atc() claim.Claim {
	return claim.Claim{
		ID: "drift/atc", Paper: "garg2022leveraging, table 1",
		Statement: "The share of rows above a learned confidence tells accuracy better than the mean confidence does, which is off as soon as the network is too sure of itself.",
		ScaleDown: "one classifier that is too sure by a factor of three, not calibrated first, and one shift under which a row's looks keep their meaning; the paper's margin on image sets is a factor of 2 to 4.",
		Arms:      []string{"average thresholded confidence", "average confidence"},
		Data:      classifierData + ", and 2,000 of which none is nearer to the middle than 1.2",
		Metric:    "error of the estimated accuracy, absolute", LowerIsBetter: true, Percent: true, Seeds: 20,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			r := claim.Random(seed, 1)
			reference, before, err := classifier{3}.outputs(r, 2000, evenShares, 0)
			if err != nil {
				return o, err
			}
			window, now, err := classifier{3}.outputs(r, 2000, evenShares, 1.2)
			if err != nil {
				return o, err
			}
			m, err := drift.ATC{Temperature: 1}.Fit(ctx, input(reference))
			if err != nil {
				return o, err
			}
			c, err := m.Test(ctx, window)
			if err != nil {
				return o, err
			}
			plain, err := drift.CBPE{Temperature: 1}.Fit(ctx, input(reference))
			if err != nil {
				return o, err
			}
			average, err := plain.Test(ctx, window)
			if err != nil {
				return o, err
			}
			o.Arms = []float64{math.Abs(c.Statistic - now), math.Abs(average.Statistic - now)}
			o.Extra = map[string]float64{"accuracy before": before, "accuracy after": now}
			return o, nil
		},
		Facts: claim.Means,
	}
}
