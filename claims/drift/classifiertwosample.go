package drift

import (
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func classifierTwoSample() claim.Claim {
	return power("classifiertwosample", "paz2017revisiting, section 4",
		"A classifier that learns where two samples differ finds changes that a kernel with one bandwidth for all directions misses.",
		"one case that favours learning a direction, a small shift along a column of little spread among columns of large spread; a linear rule where the paper trains networks.",
		"300 rows of 20 normal columns with spreads from 0.1 to 10 against 300 whose narrowest column is shifted by 1 of its standard deviations", 0.2,
		func(r *rand.Rand) (*data.Table, *data.Table, error) {
			draw := func(shift float64) (*data.Table, error) {
				return made(300, 20, func() []float64 {
					row := make([]float64, 20)
					for j := range row {
						row[j] = 0.1 * float64(1+5*j) * r.NormFloat64()
					}
					row[0] += 0.1 * shift
					return row
				})
			}
			reference, err := draw(0)
			if err != nil {
				return nil, nil, err
			}
			window, err := draw(1)
			return reference, window, err
		},
		"classifier two-sample test", "MMD", as(drift.ClassifierTwoSample{}.Fit), as(drift.MMD{Permutations: 199}.Fit))
}
