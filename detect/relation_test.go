package detect_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleRelation() {
	features, _ := data.NewTable(4, 2, []float32{8, 0, 9, 0, 0, 8, 0, 9})
	m, err := detect.Relation{}.Fit(context.Background(), detect.HeadInput{Train: features, Head: twoUnits()})
	if err != nil {
		panic(err)
	}
	// Half of the training rows are like the first row. The second is half like each, and of either class.
	query, _ := data.NewTable(2, 2, []float32{9, 0, 6, 6})
	scores, _ := m.Score(query)
	fmt.Printf("%.3f %.3f\n", scores[0], scores[1])
	// Output: -0.500 -0.354
}

func TestRelationAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 28)
	for _, c := range []detect.Relation{{}, {Exponent: 2}, {Exponent: 0.5, Floor: 0.2}, {Floor: 1e-9}} {
		exponent, floor := cmpOr(c.Exponent, 1), cmpOr(c.Floor, 0.03)
		want := each(l.query, func(row []float64) float64 {
			p, _ := plainSoftmax(l.logits(row), 1)
			sum := 0.0
			for i := range layerRows {
				other := wide(l.train.Row(i))
				q, _ := plainSoftmax(l.logits(other), 1)
				same := 0.0
				for k := range p {
					same += p[k] * q[k]
				}
				if r := max(cosine(row, other), 0) * same; r > floor {
					sum -= math.Pow(r, exponent) / layerRows
				}
			}
			return sum
		})
		// Directions and probabilities are kept in float32.
		within(t, fmt.Sprintf("%+v", c), scores(t, fitOnHead(t, c.Fit, l.input()), l.query), want, 5e-7, 0)
	}
}

// A relation is the same whichever way it is looked at: the mean score of a against b is that of b against a. Lengths do not count
// where the head does not see them.
func TestRelationIsMutual(t *testing.T) {
	l := newLayer(t, 29)
	mean := func(train, query *data.Table) float64 {
		sum := 0.0
		for _, s := range scores(t, fitOnHead(t, detect.Relation{}.Fit, detect.HeadInput{Train: train, Head: l.head}), query) {
			sum += s
		}
		n, _ := query.Dims()
		return sum / float64(n)
	}
	within(t, "turned round", []float64{mean(l.train, l.query)}, []float64{mean(l.query, l.train)}, 1e-12, 0)
	flat := detect.HeadInput{Train: l.train, Head: &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(make([]float64, 2*layerColumns), 2, layerColumns)}}}
	double := slices.Clone(l.query.X())
	for i := range double {
		double[i] *= 2
	}
	m := fitOnHead(t, detect.Relation{}.Fit, flat)
	within(t, "twice as long", scores(t, m, mustTable(t, 30, layerColumns, double)), scores(t, m, l.query), 0, 0)
}
