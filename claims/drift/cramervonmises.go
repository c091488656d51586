package drift

import (
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func cramerVonMises() claim.Claim {
	return power("cramervonmises", "anderson1962distribution",
		"Summing the squared gap between distribution functions finds small shifts of a whole column more often than looking at its widest place.",
		"the paper derives the distribution and measures no power; this is what the criterion is chosen for.",
		"100 standard normal values against 100 shifted by 0.4", 0,
		func(r *rand.Rand) (*data.Table, *data.Table, error) {
			reference, err := normals(r, 100, 1, 0, 1)
			if err != nil {
				return nil, nil, err
			}
			window, err := normals(r, 100, 1, 0.4, 1)
			return reference, window, err
		},
		"Cramér–von Mises", "Kolmogorov–Smirnov", as(drift.CramerVonMises{Permutations: 499}.Fit), as(drift.KolmogorovSmirnov{}.Fit))
}
