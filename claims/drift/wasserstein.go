package drift

import (
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func wasserstein() claim.Claim {
	return power("wasserstein", "ramdas2017wasserstein, section 6",
		"How far values were moved tells changes of spread, which distribution functions hardly show in the middle, where the Kolmogorov–Smirnov gap is looked for.",
		"normal values and one change of spread; the paper is theory and ranks no tests.",
		"200 standard normal values against 200 with a spread of 1.3", 0.1,
		func(r *rand.Rand) (*data.Table, *data.Table, error) {
			reference, err := normals(r, 200, 1, 0, 1)
			if err != nil {
				return nil, nil, err
			}
			window, err := normals(r, 200, 1, 0, 1.3)
			return reference, window, err
		},
		"Wasserstein", "Kolmogorov–Smirnov", as(drift.Wasserstein{Permutations: 499}.Fit), as(drift.KolmogorovSmirnov{}.Fit))
}
