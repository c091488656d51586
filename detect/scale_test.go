package detect_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleScale() {
	features, _ := data.NewTable(2, 2, []float32{4, 1, 0, 5})
	m, err := detect.Scale{Quantile: 0.5}.Fit(context.Background(), detect.HeadInput{Train: features, Head: twoUnits()})
	if err != nil {
		panic(err)
	}
	// All of the first row's activity is in its larger unit, so it is multiplied by e; the second's by e².
	query, _ := data.NewTable(2, 2, []float32{3, 0, 3, 3})
	scores, _ := m.Score(query)
	fmt.Printf("%.3f %.3f\n", scores[0], scores[1])
	// Output: -8.155 -22.860
}

func TestScaleAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 9)
	for _, q := range []float64{0.3, 0.85, 0.99} {
		within(t, fmt.Sprint("quantile ", q), scores(t, fitOnHead(t, detect.Scale{Quantile: q}.Fit, l.input()), l.query), each(l.query, func(row []float64) float64 {
			_, ratio := plainASH(row, "ash-p", q)
			for j := range row {
				row[j] *= math.Exp(ratio)
			}
			return energy(l.logits(row))
		}), 1e-11, 0)
	}
}

// A head without a bias that gives a row logits z gives it exp(r)·z: the favoured class cannot change.
func TestScaleOnlyScales(t *testing.T) {
	l := newLayer(t, 10)
	for c := range l.bias {
		l.bias[c] = 0
	}
	delete(l.head.Tensors, "bias")
	m := fitOnHead(t, detect.Scale{}.Fit, l.input())
	within(t, "logits times a factor", scores(t, m, l.query), each(l.query, func(row []float64) float64 {
		_, ratio := plainASH(row, "ash-p", 0.85)
		z := l.logits(row)
		for c := range z {
			z[c] *= math.Exp(ratio)
		}
		return energy(z)
	}), 1e-11, 0)
}
