package drift

import (
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func randomFeatureMMD() claim.Claim {
	return power("randomfeaturemmd", "zhao2015fastmmd, section 6",
		"A few hundred random waves find what the exact kernel test finds, at a cost that grows with the rows instead of their pairs.",
		"at most 5 points of power may be lost; time is not part of the verdict.",
		"300 rows of 8 standard normal columns against 300 whose spread is 1.12", -0.05,
		func(r *rand.Rand) (*data.Table, *data.Table, error) {
			reference, err := normals(r, 300, 8, 0, 1)
			if err != nil {
				return nil, nil, err
			}
			window, err := normals(r, 300, 8, 0, 1.12)
			return reference, window, err
		},
		"256 random waves", "MMD", as(drift.RandomFeatureMMD{Permutations: 199}.Fit), as(drift.MMD{Permutations: 199}.Fit))
}
