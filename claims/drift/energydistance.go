package drift

import (
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

func energyDistance() claim.Claim {
	return power("energydistance", "szekely2004testing, section 4",
		"A test by distances between whole rows gathers small differences over many columns, where tests of the columns one by one each see too little.",
		"independent normal columns and one shift; the paper's comparison is with nearest-neighbour tests, ours is with what dashboards do.",
		"100 rows of 30 standard normal columns against 100 whose columns are all shifted by 0.15", 0.1,
		func(r *rand.Rand) (*data.Table, *data.Table, error) {
			reference, err := normals(r, 100, 30, 0, 1)
			if err != nil {
				return nil, nil, err
			}
			window, err := normals(r, 100, 30, 0.15, 1)
			return reference, window, err
		},
		"energy distance", "Kolmogorov–Smirnov by columns", as(drift.EnergyDistance{Permutations: 199}.Fit), as(drift.KolmogorovSmirnov{}.Fit))
}
