package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleFDBD() {
	features, _ := data.NewTable(2, 2, []float32{4, 0, 0, 4})
	m, err := detect.FDBD{}.Fit(context.Background(), detect.HeadInput{Train: features, Head: twoUnits()})
	if err != nil {
		panic(err)
	}
	// Two classes part where both units are equal. The first row lies straight away from there, the second along it.
	query, _ := data.NewTable(2, 2, []float32{4, 0, 5, 4})
	scores, _ := m.Score(query)
	fmt.Printf("%.3f %.3f\n", scores[0], scores[1])
	// Output: -1.000 -0.196
}

func TestFDBDAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 14)
	mean := make([]float64, layerColumns)
	for i := range layerRows {
		for j, v := range l.train.Row(i) {
			mean[j] += float64(v) / layerRows
		}
	}
	want := each(l.query, func(row []float64) float64 {
		z := l.logits(row)
		at := slices.Index(z, slices.Max(z))
		sum, away := 0.0, 0.0
		for c := range z {
			gap := 0.0
			for j := range row {
				gap += math.Pow(l.weight[at][j]-l.weight[c][j], 2)
			}
			if c != at {
				sum += (z[at] - z[c]) / math.Sqrt(gap) / (layerClasses - 1)
			}
		}
		for j, v := range row {
			away += (v - mean[j]) * (v - mean[j])
		}
		return -sum / math.Sqrt(away)
	})
	within(t, "ratio", scores(t, fitOnHead(t, detect.FDBD{}.Fit, l.input()), l.query), want, 1e-11, 0)
}

// With two classes the distance is that to a plane: the row's foot on it has equal logits.
func TestFDBDDistanceToAPlane(t *testing.T) {
	l := newLayer(t, 15)
	in := detect.HeadInput{Train: l.train, Head: &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(slices.Concat(l.weight[0], l.weight[1]), 2, layerColumns),
		"bias":   data.Float64Tensor(l.bias[:2], 2),
	}}}
	m := fitOnHead(t, detect.FDBD{}.Fit, in)
	s := scores(t, m, l.query)
	mean, _, _ := m.State().Floats("mean", layerColumns)
	for i := range s {
		row, away := wide(l.query.Row(i)), 0.0
		z := l.logits(row)
		for j, v := range row {
			away += (v - mean[j]) * (v - mean[j])
		}
		distance := -s[i] * math.Sqrt(away)
		// Walk that far along the normal, towards the other class.
		norm, foot := 0.0, slices.Clone(row)
		for j := range row {
			norm += math.Pow(l.weight[0][j]-l.weight[1][j], 2)
		}
		for j := range foot {
			foot[j] -= math.Copysign(distance, z[0]-z[1]) * (l.weight[0][j] - l.weight[1][j]) / math.Sqrt(norm)
		}
		z = l.logits(foot)
		within(t, "logits on the plane", z[:1], z[1:2], 0, 1e-9)
	}
}

func TestFDBDDegenerate(t *testing.T) {
	l := newLayer(t, 16)
	same := mustTable(t, 2, layerColumns, slices.Concat(l.train.Row(0), l.train.Row(0)))
	if _, err := (detect.FDBD{}).Fit(t.Context(), detect.HeadInput{Train: same, Head: l.head}); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("equal rows: %v", err)
	}
	// Two classes with equal weights: the boundary between them is left out, the others count.
	copy(l.weight[1], l.weight[0])
	l.head.Tensors["weight"] = data.Float64Tensor(slices.Concat(l.weight...), layerClasses, layerColumns)
	for i, s := range scores(t, fitOnHead(t, detect.FDBD{}.Fit, l.input()), l.query) {
		if math.IsNaN(s) || math.IsInf(s, 0) || s > 0 {
			t.Errorf("row %d: %g", i+1, s)
		}
	}
}
