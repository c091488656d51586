package drift

import (
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func mmd() claim.Claim {
	return power("mmd", "gretton2012kernel, section 8",
		"A kernel test finds changes of a joint distribution that leave every column's own distribution as it was, which tests by columns cannot see whatever the number of rows.",
		"one kind of change, correlation, in 4 columns, where the paper has images, spectra and attributes of records.",
		"normal rows of 4 independent columns, 200 of them, against 200 whose columns have correlation 0.6; every column stays standard normal", 0.5,
		func(r *rand.Rand) (*data.Table, *data.Table, error) {
			reference, err := normals(r, 200, 4, 0, 1)
			if err != nil {
				return nil, nil, err
			}
			window, err := made(200, 4, func() []float64 {
				common := r.NormFloat64()
				row := make([]float64, 4)
				for j := range row {
					row[j] = math.Sqrt(0.6)*common + math.Sqrt(0.4)*r.NormFloat64()
				}
				return row
			})
			return reference, window, err
		},
		"MMD", "Kolmogorov–Smirnov by columns", as(drift.MMD{Permutations: 199}.Fit), as(drift.KolmogorovSmirnov{}.Fit))
}
