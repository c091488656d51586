package detect_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleKLMatching() {
	// The first two classes are usually mistaken for each other, the third is not.
	train, _ := data.NewTable(4, 3, []float32{3, 2.5, 0, 2.5, 3, 0, 0, 0, 5, 0, 0.2, 5})
	m, err := detect.KLMatching{}.Fit(context.Background(), detect.LogitsInput{Logits: train})
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 3, []float32{3, 2.9, 0, 3, 0, 2.9})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f\n", scores[0], scores[1])
	// Output: 0.02 1.11
}

func TestKLMatchingAgainstTheFormula(t *testing.T) {
	const n, k = 300, 6
	train, query := logitRows(t, 19, n, k), logitRows(t, 20, 40, k)
	have := scores(t, fitOnLogits(t, detect.KLMatching{}.Fit, train), query)
	typical, count := make([][]float64, k), make([]float64, k)
	for i := range n {
		p, _ := plainSoftmax(wide(train.Row(i)), 1)
		at := slices.Index(p, slices.Max(p))
		if typical[at] == nil {
			typical[at] = make([]float64, k)
		}
		count[at]++
		for c := range p {
			typical[at][c] += p[c]
		}
	}
	want := slices.Repeat([]float64{math.Inf(1)}, 40)
	for i := range want {
		p, _ := plainSoftmax(wide(query.Row(i)), 1)
		for at, d := range typical {
			if d == nil {
				continue
			}
			kl := 0.0
			for c := range p {
				kl += p[c] * math.Log(p[c]/(d[c]/count[at]))
			}
			want[i] = min(want[i], kl)
		}
	}
	within(t, "divergence", have, want, 1e-9, 1e-14)
}

// What was learned from one row is that row's probabilities, at no divergence from itself; rows may come in any order.
func TestKLMatchingKnowsItsRows(t *testing.T) {
	one := logitRows(t, 21, 1, 5)
	within(t, "the row learned", scores(t, fitOnLogits(t, detect.KLMatching{}.Fit, one), one), []float64{0}, 0, 1e-15)
	train := logitRows(t, 22, 90, 5)
	shuffled := train.Pick(rand.New(rand.NewPCG(1, 2)).Perm(90))
	within(t, "another order", scores(t, fitOnLogits(t, detect.KLMatching{}.Fit, shuffled), one), scores(t, fitOnLogits(t, detect.KLMatching{}.Fit, train), one), 1e-13, 0)
	moved, _ := shifted(t, train)
	m := fitOnLogits(t, detect.KLMatching{}.Fit, train)
	within(t, "after adding a constant to each row", scores(t, m, moved), scores(t, m, train), 1e-12, 1e-14)
}

// Probabilities far below float64's range have logarithms all the same: no score is infinite.
func TestKLMatchingBeyondTheRangeOfProbabilities(t *testing.T) {
	train := mustTable(t, 4, 3, []float32{2000, 0, 0, 4000, 0, 1000, 0, 1, -5000, 0, 2, -5000})
	m := fitOnLogits(t, detect.KLMatching{}.Fit, train)
	// Of the third class the rows of the first give (e^−2000 + e^−3000)/2, those of the second less still.
	within(t, "a class that no row was given to", scores(t, m, mustTable(t, 1, 3, []float32{0, 0, 1e6})), []float64{2000 + math.Ln2}, 1e-12, 0)
}
