package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/drift"
)

func labelShift() claim.Claim {
	return claim.Claim{
		ID: "drift/labelshift", Paper: "lipton2018detecting, section 6",
		Statement: "When only class frequencies change, the new ones follow from an imperfect classifier's predictions and its confusion, closer than the shares of the predictions themselves.",
		ScaleDown: "three classes, one shift; the paper has digits and images with ten classes and many shifts.",
		Arms:      []string{"class shares through the confusion", "shares of predicted classes"},
		Data:      classifierData + ", and 2,000 with shares 0.7, 0.2, 0.1",
		Metric:    "half the summed absolute error of the class shares", LowerIsBetter: true, Percent: true, Seeds: 20,
		Run: func(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
			r := claim.Random(seed, 1)
			reference, _, err := classifier{1}.outputs(r, 2000, evenShares, 0)
			if err != nil {
				return o, err
			}
			truth := [3]float64{0.7, 0.2, 0.1}
			window, _, err := classifier{1}.outputs(r, 2000, truth, 0)
			if err != nil {
				return o, err
			}
			m, err := drift.LabelShift{}.Fit(ctx, input(reference))
			if err != nil {
				return o, err
			}
			c, err := m.Test(ctx, window)
			if err != nil {
				return o, err
			}
			labels, err := reference.Labels()
			if err != nil {
				return o, err
			}
			var before, predicted [3]float64
			for _, y := range labels {
				before[y] += 1 / float64(len(labels))
			}
			for i := range 2000 {
				row, best := window.Row(i), 0
				for k, v := range row {
					if v > row[best] {
						best = k
					}
				}
				predicted[best] += 1.0 / 2000
			}
			o.Arms = make([]float64, 2)
			for k := range truth {
				o.Arms[0] += math.Abs(c.Parts[k].Effect.Value*before[k]-truth[k]) / 2
				o.Arms[1] += math.Abs(predicted[k]-truth[k]) / 2
			}
			return o, nil
		},
	}
}
