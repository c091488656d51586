package part

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Temperature returns the T > 0 that minimises the mean negative log-likelihood of softmax(logits/T) over n labelled rows of
// k logits; rows with a negative label are left out. Without labelled rows, or when the logits are already best, it is 1,
// so that the likelihood is never made worse. The problem is convex in 1/T; it is searched between 1e-3 and 1e3.
func Temperature(logits []float64, labels []int, k int) float64 {
	loss := func(inverse float64) float64 {
		sum, rows := 0.0, 0
		scaled := make([]float64, k)
		for i, y := range labels {
			if y < 0 {
				continue
			}
			for c := range scaled {
				scaled[c] = logits[i*k+c] * inverse
			}
			sum += num.LogSumExp(scaled) - scaled[y]
			rows++
		}
		if rows == 0 {
			return 0
		}
		return sum / float64(rows)
	}
	lo, hi := math.Log(1e-3), math.Log(1e3)
	golden := (math.Sqrt(5) - 1) / 2
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := loss(math.Exp(a)), loss(math.Exp(b))
	for range 60 { // 14·0.618⁶⁰ < 1e-11
		if fa <= fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = loss(math.Exp(a))
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = loss(math.Exp(b))
		}
	}
	best := math.Exp((lo + hi) / 2)
	if loss(best) >= loss(1) {
		return 1
	}
	return 1 / best
}
