package detect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleDICE() {
	features, _ := data.NewTable(2, 2, []float32{4, 1, 2, 5})
	head := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.Float32Tensor([]float32{1, 0.1, -1, 2}, 2, 2)}}
	m, err := detect.DICE{Quantile: 0.5}.Fit(context.Background(), detect.HeadInput{Train: features, Head: head})
	if err != nil {
		panic(err)
	}
	// Mean contributions are 3, 0.3, −3 and 6: the first and the last weight are kept.
	query, _ := data.NewTable(1, 2, []float32{1, 1})
	scores, _ := m.Score(query)
	fmt.Printf("%.4f\n", scores[0])
	// Output: -2.3133
}

func TestDICEAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 11)
	mean := make([]float64, layerColumns)
	for i := range layerRows {
		for j, v := range l.train.Row(i) {
			mean[j] += float64(v) / layerRows
		}
	}
	for _, q := range []float64{0.1, 0.5, 0.9} {
		var all []float64
		for _, w := range l.weight {
			for j := range w {
				all = append(all, w[j]*mean[j])
			}
		}
		slices.Sort(all)
		at := q * float64(len(all)-1)
		limit := all[int(at)] + (at-float64(int(at)))*(all[int(at)+1]-all[int(at)])
		sparse := l
		sparse.weight = nil
		for _, w := range l.weight {
			row := make([]float64, len(w))
			for j := range w {
				if w[j]*mean[j] > limit {
					row[j] = w[j]
				}
			}
			sparse.weight = append(sparse.weight, row)
		}
		within(t, fmt.Sprint("quantile ", q), scores(t, fitOnHead(t, detect.DICE{Quantile: q}.Fit, l.input()), l.query),
			each(l.query, func(row []float64) float64 { return energy(sparse.logits(row)) }), 1e-11, 0)
	}
	if w, _, err := l.head.Floats("weight", layerClasses, layerColumns); err != nil || w[0] != l.weight[0][0] {
		t.Error("the head given was changed")
	}
}
