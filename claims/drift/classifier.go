package drift

import (
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/drift"
)

// classifier is the Bayes rule for three normal classes in the plane, with logits that are too sure of themselves by a factor.
type classifier struct{ sure float64 }

var classCentres = [3][2]float64{{0, 1}, {-0.9, -0.5}, {0.9, -0.5}}

// outputs draws rows with the given class shares and returns the classifier's logits, labelled, and its accuracy on them. Rows that are
// nearer to the middle than far are left out: what a row looks like changes, and what is known from its looks does not.
func (c classifier) outputs(r *rand.Rand, n int, shares [3]float64, far float64) (*data.Table, float64, error) {
	x, labels := make([]float32, 0, 3*n), make([]int, n)
	right := 0
	for i := range n {
		var a, b float64
		for {
			u := r.Float64()
			labels[i] = 0
			for u >= shares[labels[i]] && labels[i] < 2 {
				u -= shares[labels[i]]
				labels[i]++
			}
			at := classCentres[labels[i]]
			if a, b = at[0]+0.8*r.NormFloat64(), at[1]+0.8*r.NormFloat64(); math.Hypot(a, b) >= far {
				break
			}
		}
		best, most := 0, math.Inf(-1)
		for k, centre := range classCentres {
			z := -((a-centre[0])*(a-centre[0]) + (b-centre[1])*(b-centre[1])) / (2 * 0.64)
			if z > most {
				best, most = k, z
			}
			x = append(x, float32(c.sure*z))
		}
		if best == labels[i] {
			right++
		}
	}
	t, err := data.NewNamed(n, []string{"a", "b", "c"}, x)
	if err == nil {
		t, err = t.WithLabels(labels, []string{"a", "b", "c"})
	}
	return t, float64(right) / float64(n), err
}

var evenShares = [3]float64{1. / 3, 1. / 3, 1. / 3}

func input(t *data.Table) drift.LogitsInput { return drift.LogitsInput{Logits: t} }

const classifierData = "the Bayes rule for three overlapping normal classes in the plane; 2,000 labelled rows to learn from"
