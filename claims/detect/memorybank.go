package detect

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// memoryBankShare of the rows is kept: the paper's 10 %.
const memoryBankShare = 0.1

func memoryBank() claim.Claim {
	return claim.Claim{
		ID:        "detect/memorybank",
		Paper:     "roth2022patchcore, tables 1 and 4",
		Statement: "A tenth of the normal features, chosen greedily to cover the others, finds defects better than a tenth chosen at random, and nearly as well as all of them.",
		ScaleDown: "one row an image, the pooled last layer of a ResNet-18, instead of hundreds of patches of a middle layer of a WideResNet-50: a tenth are some 20 rows. Random choices go without the weight of eq. (7), as do all rows. Three quarters of the normal images are learned.",
		Arms:      []string{"a tenth, greedily", "a tenth, at random", "all rows", "a tenth, greedily, without weights"},
		Data:      "features of MVTec-AD, 15 objects",
		Metric:    "AUROC, mean over 15 objects",
		Percent:   true,
		Seeds:     10,
		Needs:     []string{"features_adbench"},
		Run:       memoryBankRun,
	}
}

func memoryBankRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Arms = make([]float64, 4)
	for k, object := range gaussianADObjects {
		t, err := env.Features("features_adbench", "CV_by_ResNet18", "MVTec-AD_"+object+".npz")
		if err != nil {
			return o, err
		}
		r := claim.Random(seed, uint64(300+k))
		normal, err := claim.Sample(t, r, 0, 0)
		if err != nil {
			return o, err
		}
		bad, err := claim.Sample(t, r, 0, 1)
		if err != nil {
			return o, err
		}
		n, _ := normal.Dims()
		train, test := normal.Slice(0, n*3/4), normal.Slice(n*3/4, n)
		models, err := memoryBankArms(ctx, train)
		if err != nil {
			return o, fmt.Errorf("%s: %w", object, err)
		}
		for a, m := range models {
			below, err := m.Score(test)
			if err != nil {
				return o, err
			}
			above, err := m.Score(bad)
			if err != nil {
				return o, err
			}
			area, err := metric.AUROC(below, above, metric.Interval{ValueOnly: true})
			if err != nil {
				return o, err
			}
			o.Arms[a] += area.Value / float64(len(gaussianADObjects))
		}
	}
	return o, nil
}

// memoryBankArms fits all arms; the rows come in random order, so the first tenth is a random one.
func memoryBankArms(ctx context.Context, train *data.Table) ([]method.Scorer, error) {
	n, _ := train.Dims()
	greedy, err := detect.MemoryBank{Share: memoryBankShare}.Fit(ctx, train)
	if err != nil {
		return nil, err
	}
	plain, err := detect.MemoryBank{Share: memoryBankShare, Neighbors: 1}.Fit(ctx, train)
	if err != nil {
		return nil, err
	}
	random, err := detect.KNN{Neighbors: 1, NoNormalize: true}.Fit(ctx, train.Slice(0, int(math.Ceil(memoryBankShare*float64(n)))))
	if err != nil {
		return nil, err
	}
	all, err := detect.KNN{Neighbors: 1, NoNormalize: true}.Fit(ctx, train)
	if err != nil {
		return nil, err
	}
	return []method.Scorer{greedy, random, all, plain}, nil
}
