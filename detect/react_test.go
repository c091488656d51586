package detect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

// twoUnits is a head with a class for each of two units.
func twoUnits() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.Float32Tensor([]float32{1, 0, 0, 1}, 2, 2)}}
}

func ExampleReAct() {
	features, _ := data.NewTable(3, 2, []float32{4, 1, 0, 5, 3, 0})
	m, err := detect.ReAct{}.Fit(context.Background(), detect.HeadInput{Train: features, Head: twoUnits()})
	if err != nil {
		panic(err)
	}
	// A unit that fires as never in training makes the classifier no surer than one that fires as ever.
	query, _ := data.NewTable(2, 2, []float32{4.5, 0, 90, 0})
	scores, _ := m.Score(query)
	fmt.Printf("%.1f %.3f %.3f\n", m.Limit(), scores[0], scores[1])
	// Output: 4.5 -4.511 -4.511
}

func TestReActAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 4)
	var all []float64
	for _, v := range l.train.X() {
		all = append(all, float64(v))
	}
	slices.Sort(all)
	for _, q := range []float64{0.5, 0.9, 0.99, 1} {
		at := q * float64(len(all)-1)
		low := int(at)
		limit := all[low]
		if low+1 < len(all) {
			limit += (at - float64(low)) * (all[low+1] - all[low])
		}
		m := fitOnHead(t, detect.ReAct{Quantile: q}.Fit, l.input())
		within(t, fmt.Sprint("limit at ", q), []float64{m.Limit()}, []float64{limit}, 1e-14, 0)
		within(t, fmt.Sprint("quantile ", q), scores(t, m, l.query), each(l.query, func(row []float64) float64 {
			for j, v := range row {
				row[j] = min(v, limit)
			}
			return energy(l.logits(row))
		}), 1e-12, 0)
	}
}

// With the largest activation of all rows as the limit, the training rows' scores are the energy of their logits.
func TestReActTowardsTheEnergy(t *testing.T) {
	l := newLayer(t, 5)
	within(t, "quantile 1", scores(t, fitOnHead(t, detect.ReAct{Quantile: 1}.Fit, l.input()), l.train),
		each(l.train, func(row []float64) float64 { return energy(l.logits(row)) }), 1e-12, 0)
}
