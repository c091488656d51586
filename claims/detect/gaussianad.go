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

// gaussianADObjects are the classes of MVTec-AD.
var gaussianADObjects = []string{"bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper"}

// gaussianADShare is the share of normal rows that the threshold is to let pass, the paper's three standard deviations.
const gaussianADShare = 0.9973

func gaussianAD() claim.Claim {
	return claim.Claim{
		ID:    "detect/gaussianad",
		Paper: "rippel2021gaussian, tables II and III",
		Statement: "On features of a frozen image classifier, the Mahalanobis distance to the mean of normal images finds defects better than distances that ignore how features correlate, each feature by its own deviation or all alike. " +
			"The directions in which normal images vary least keep almost all of it, those in which they vary most do not.",
		ScaleDown: "the pooled last layer of a ResNet-18 at one scale instead of 9 layers of an EfficientNet-B4; three quarters of the normal images of both of MVTec-AD's parts to learn from, the others and all defects to test. " +
			"Seeds draw the split alone, so the interval does not speak of other objects. What levels add is measured apart, on a network of three convolutions trained on nine classes of Fashion-MNIST that watches images of the tenth for scratches, blobs and weak contrast. With so few rows the χ² threshold is off either way: shrunk distances of Gaussian rows would stay far below it, those of these rows exceed it more often than promised.",
		Arms:    []string{"Mahalanobis", "standardised distance", "Euclidean distance", "Mahalanobis, trailing components", "Mahalanobis, leading components", "nearest neighbour"},
		Data:    "the 15 classes of MVTec-AD as ResNet-18 features, 512 columns, 54 to 323 normal rows to learn from",
		Metric:  "AUROC, mean over 15 objects",
		Percent: true,
		Seeds:   10,
		Needs:   []string{"features_adbench", "fashion_mnist"},
		Run:     gaussianADRun,
		Facts:   claim.Means,
	}
}

func gaussianADRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	o.Arms = make([]float64, 6)
	alarms, normals, expected := 0, 0, 0.0
	for _, object := range gaussianADObjects {
		all, err := env.Features("features_adbench", "CV_by_ResNet18", "MVTec-AD_"+object+".npz")
		if err != nil {
			return o, err
		}
		r := claim.Random(seed, 4)
		good, err := claim.Sample(all, r, 0, 0)
		if err != nil {
			return o, err
		}
		bad, err := claim.Sample(all, r, 0, 1)
		if err != nil {
			return o, err
		}
		n, _ := good.Dims()
		train, test := good.Slice(0, n*3/4), good.Slice(n*3/4, n)
		models, full, err := gaussianADArms(ctx, train)
		if err != nil {
			return o, fmt.Errorf("%s: %w", object, err)
		}
		limit, err := full.Threshold(gaussianADShare)
		if err != nil {
			return o, err
		}
		for k, m := range models {
			normal, err := m.Score(test)
			if err != nil {
				return o, err
			}
			defect, err := m.Score(bad)
			if err != nil {
				return o, err
			}
			a, err := metric.AUROC(normal, defect)
			if err != nil {
				return o, err
			}
			o.Arms[k] += a.Value / float64(len(gaussianADObjects))
			if k > 0 {
				continue
			}
			for _, v := range normal {
				normals++
				if v > limit {
					alarms++
				}
			}
		}
		rate, _, err := full.FalseAlarms(gaussianADShare)
		if err != nil {
			return o, err
		}
		expected += rate / float64(len(gaussianADObjects))
	}
	o.Extra = map[string]float64{
		"AUROC, trailing components minus all":                  o.Arms[3] - o.Arms[0],
		"AUROC, leading components minus all":                   o.Arms[4] - o.Arms[0],
		"false alarms at the χ² threshold that promises 0.0027": float64(alarms) / float64(normals),
		"false alarms to expect from so few rows, if Gaussian":  expected,
	}
	return o, gaussianADLevels(ctx, env, seed, o.Extra)
}

// gaussianADArms fits all arms; the first of them also comes as what it is.
func gaussianADArms(ctx context.Context, train *data.Table) (arms []method.Scorer, full *detect.GaussianADModel, err error) {
	if full, err = (detect.GaussianAD{}).Fit(ctx, train); err != nil {
		return nil, nil, err
	}
	trailing, err := detect.GaussianAD{Components: "trailing"}.Fit(ctx, train)
	if err != nil {
		return nil, nil, err
	}
	leading, err := detect.GaussianAD{Components: "leading"}.Fit(ctx, train)
	if err != nil {
		return nil, nil, err
	}
	near, err := detect.KNN{Neighbors: 1, NoNormalize: true}.Fit(ctx, train)
	if err != nil {
		return nil, nil, err
	}
	mean, deviation := gaussianADColumns(train)
	standardised := gaussianADDistance{mean, deviation}
	for j := range deviation {
		deviation[j] = max(deviation[j], 1e-6) // a column that never varied
	}
	alike := gaussianADDistance{mean, make([]float64, len(mean))}
	for j := range alike.unit {
		alike.unit[j] = 1
	}
	return []method.Scorer{full, standardised, alike, trailing, leading, near}, full, nil
}

func gaussianADColumns(t *data.Table) (mean, deviation []float64) {
	n, d := t.Dims()
	mean, deviation = make([]float64, d), make([]float64, d)
	for i := range n {
		for j, v := range t.Row(i) {
			mean[j] += float64(v) / float64(n)
		}
	}
	for i := range n {
		for j, v := range t.Row(i) {
			deviation[j] += math.Pow(float64(v)-mean[j], 2) / float64(n)
		}
	}
	for j, v := range deviation {
		deviation[j] = math.Sqrt(v)
	}
	return mean, deviation
}

// gaussianADDistance is the distance to a mean, each column in a unit of its own.
type gaussianADDistance struct{ mean, unit []float64 }

// Score returns the distances.
func (g gaussianADDistance) Score(in *data.Table) ([]float64, error) {
	n, _ := in.Dims()
	out := make([]float64, n)
	for i := range out {
		for j, v := range in.Row(i) {
			out[i] += math.Pow((float64(v)-g.mean[j])/g.unit[j], 2)
		}
		out[i] = math.Sqrt(out[i])
	}
	return out, nil
}
