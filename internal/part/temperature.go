package part

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Temperature returns the T > 0 that minimises the mean negative log-likelihood of softmax(logits/T) over n labelled rows of
// k logits; rows with a negative label are left out. Without labelled rows, or when the logits are already best, it is 1,
// so that the likelihood is never made worse. The problem is convex in 1/T, whose slope is brought to zero as far as rounding
// lets it; T is searched between 1e-3 and 1e3, or 1e3 times the largest difference of a row's logits where that exceeds 1.
//
// A share doubt of each row is taken to be of the other classes, evenly. Without doubt, rows that the largest logits all name
// rightly make T as small as it may be, though N rows cannot show an error rate below about 1/(N+2); with that as the doubt,
// the wrong classes' probabilities come out, in the mean over such rows weighted by how far they lie apart, as just so much.
func Temperature(logits []float64, labels []int, k int, doubt float64) float64 {
	t := temperature{logits: logits, labels: labels, k: k, doubt: doubt, parts: make([][3]float64, len(labels))}
	spread, rows := 1.0, 0
	for i, y := range labels {
		if y < 0 {
			continue
		}
		rows++
		for _, z := range logits[i*k : (i+1)*k] {
			spread = max(spread, math.Abs(z-logits[i*k+y]))
		}
	}
	if rows == 0 {
		return 1
	}
	lo, hi := 1e-3/spread, 1e3 // of 1/T
	best := 1.0
	for range 200 {
		_, slope, curvature := t.at(best)
		if slope > 0 {
			hi = best
		} else {
			lo = best
		}
		next := best - slope/curvature
		if !(next > lo && next < hi) {
			next = math.Sqrt(lo * hi)
		}
		if slope == 0 || math.Abs(next-best) <= 1e-15*best || hi <= lo*(1+1e-15) {
			break
		}
		best = next
	}
	mine, _, _ := t.at(best)
	if as, _, _ := t.at(1); mine >= as {
		return 1
	}
	return 1 / best
}

type temperature struct {
	logits []float64
	labels []int
	k      int
	doubt  float64
	parts  [][3]float64
}

// at sums the loss, its slope and its curvature at an inverse temperature, rows in their order.
func (t *temperature) at(inverse float64) (loss, slope, curvature float64) {
	k := t.k
	num.Parallel(len(t.labels), 512, func(lo, hi int) {
		u, p := make([]float64, k), make([]float64, k)
		for i := lo; i < hi; i++ {
			y := t.labels[i]
			if y < 0 {
				continue
			}
			own := t.logits[i*k+y]
			for c := range u {
				u[c] = (t.logits[i*k+c] - own) * inverse
			}
			l := num.LogSumExp(u)
			mean, others := 0.0, 0.0
			for c := range u {
				p[c] = math.Exp(u[c] - l)
				mean += p[c] * u[c]
				others += u[c] / float64(max(k-1, 1)) // the row's own is 0
			}
			square := 0.0
			for c := range u {
				square += p[c] * (u[c] - mean) * (u[c] - mean)
			}
			t.parts[i] = [3]float64{l - t.doubt*others, (mean - t.doubt*others) / inverse, square / inverse / inverse}
		}
	})
	for i, y := range t.labels {
		if y >= 0 {
			loss, slope, curvature = loss+t.parts[i][0], slope+t.parts[i][1], curvature+t.parts[i][2]
		}
	}
	return loss, slope, curvature
}
