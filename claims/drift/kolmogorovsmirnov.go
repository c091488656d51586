package drift

import (
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func kolmogorovSmirnov() claim.Claim {
	return power("kolmogorovsmirnov", "kolmogorov1933sulla",
		"The largest gap between distribution functions finds every kind of change of a column, also one that leaves its mean and spread as they were.",
		"one shape, two heaps; the baseline compares the column's mean as a linear rule does.",
		"200 standard normal values against 200 of two heaps at −0.9 and 0.9 with the same mean and spread", 0.3,
		func(r *rand.Rand) (*data.Table, *data.Table, error) {
			reference, err := normals(r, 200, 1, 0, 1)
			if err != nil {
				return nil, nil, err
			}
			window, err := made(200, 1, func() []float64 {
				return []float64{0.9*float64(2*r.IntN(2)-1) + math.Sqrt(1-0.81)*r.NormFloat64()}
			})
			return reference, window, err
		},
		"Kolmogorov–Smirnov", "linear classifier test", as(drift.KolmogorovSmirnov{}.Fit), as(drift.ClassifierTwoSample{}.Fit))
}
