package detect

import (
	"context"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
)

var lofArms = []tablesArm{tablesLOF, tablesKNN, tablesForest}

func lof() claim.Claim {
	return claim.Claim{
		ID:        "detect/lof",
		Paper:     "breunig2000lof, figures 1 and 9",
		Statement: "Beside a dense cluster an outlier may be closer to its neighbours than most rows of a sparse cluster are to theirs: no threshold on distances finds it, the local outlier factor does.",
		ScaleDown: "the paper's picture as a random set: 400 rows in a plane, evenly spread over a wide disc, 400 in a disc a twentieth as wide beside it, and 40 odd rows around the small one, at 1.5 to 3 times its radius. 60 % of the normal rows are learned.",
		Arms:      tablesNames(lofArms),
		Data:      "made from the seed",
		Metric:    "AUROC",
		Margin:    0.1,
		Percent:   true,
		Seeds:     10,
		Run:       lofRun,
	}
}

func lofRun(ctx context.Context, _ claim.Env, seed uint64) (o claim.Outcome, err error) {
	t, err := lofClusters(seed)
	if err != nil {
		return o, err
	}
	o.Arms, err = tablesMeasure(ctx, lofArms, t, claim.Random(seed, 6), true)
	return o, err
}

// lofClusters draws the two discs and the ring around the small one; class 1 is the ring.
func lofClusters(seed uint64) (*data.Table, error) {
	r := claim.Random(seed, 5)
	var x []float32
	var labels []int
	draw := func(n int, at, low, high float64, label int) { // in a ring around (at, 0), evenly spread
		for n > 0 {
			u, v := high*(2*r.Float64()-1), high*(2*r.Float64()-1)
			if s := u*u + v*v; s > high*high || s < low*low {
				continue
			}
			x, labels, n = append(x, float32(at+u), float32(v)), append(labels, label), n-1
		}
	}
	draw(400, 0, 0, 10, 0)
	draw(400, 15, 0, 0.5, 0)
	draw(40, 15, 0.75, 1.5, 1)
	t, err := data.NewTable(len(labels), 2, x)
	if err != nil {
		return nil, err
	}
	return t.WithLabels(labels, claim.Numbers(2))
}
