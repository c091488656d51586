package part

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

const (
	temperatureDraws  = 2000 // rows that SoftmaxTemperature imagines
	temperatureRivals = 8    // classes, the closest ones, against which each class is integrated exactly
)

// SoftmaxTemperature returns the T > 0 for which softmax(scores/T) is expected to have the least log loss on new rows: a
// row of class c, of which there is a share weights[c], has Gaussian scores with mean means[c·k:(c+1)·k] and the
// covariance cov (k×k), the same for all classes. A share doubt of the rows is taken to be of any other class, so that
// classes which do not overlap still get a finite T. unit > 0 is the size of a difference of scores that matters: T lies
// between 1e-5 and 10 of it.
//
// What classes lose to each other one by one is integrated, which sees the rarest mix-ups; what several take from one at
// once is an average over imagined rows, always the same ones. The order of classes does not matter.
func SoftmaxTemperature(means, cov, weights []float64, k int, doubt, unit float64) float64 {
	if k < 2 {
		return unit
	}
	e := newExpectation(means, cov, weights, k)
	// With b = 1/T and u the scores less that of the row's class, the loss is E log Σ exp(b·u), convex, with the slope
	// E Σ p·u, less b times what the doubted rows expect.
	slope := func(b float64) float64 { return e.slope(b) + doubt*e.lead }
	low, high := math.Log(0.1/unit), math.Log(1e5/unit)
	if slope(math.Exp(low)) >= 0 {
		return math.Exp(-low)
	}
	for range 32 { // halving log T's range of 18 leaves 5e-9
		if mid := (low + high) / 2; slope(math.Exp(mid)) < 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return math.Exp(-(low + high) / 2)
}

// expectation is over the rows of classes with Gaussian scores.
type expectation struct {
	k      int
	lead   float64   // how far the score of a row's own class is above the others, on average
	scores []float64 // imagined rows × k, classes in an order of their own
	class  []int     // of each imagined row
	weight []float64 // of each imagined row
	rivals []rival   // of each class, as many of each
}

// rival is one class against which another one is integrated: the difference of scores, theirs less ours, is Gaussian.
type rival struct {
	class                int
	mean, spread, weight float64
}

// slope is E Σ p·u at the inverse temperature b. The rivals' part, known exactly, stands in for its average over the
// imagined rows: what is left to imagine is the difference.
func (e *expectation) slope(b float64) float64 {
	per := len(e.rivals) / e.k
	parts := make([]float64, len(e.rivals)+len(e.class))
	num.Parallel(len(parts), 64, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if i < len(e.rivals) {
				r := e.rivals[i]
				parts[i] = r.weight * softplusSlope(r.mean, r.spread, b)
				continue
			}
			row := i - len(e.rivals)
			s, c := e.scores[row*e.k:(row+1)*e.k], e.class[row]
			v := softmaxMean(s, b) - s[c]
			for _, r := range e.rivals[c*per : (c+1)*per] {
				u := s[r.class] - s[c]
				v -= u / (1 + math.Exp(-b*u))
			}
			parts[i] = e.weight[row] * v
		}
	})
	sum := 0.0
	for _, v := range parts {
		sum += v
	}
	return sum
}

// softmaxMean is Σ p·s with p = softmax(b·s).
func softmaxMean(s []float64, b float64) float64 {
	top := slices.Max(s)
	sum, mean := 0.0, 0.0
	for _, v := range s {
		e := math.Exp(b * (v - top))
		sum += e
		mean += e * (v - top)
	}
	return top + mean/sum
}

// softplusSlope is E u/(1 + exp(−b·u)), the slope of E log(1 + exp(b·u)), for a Gaussian u. The sum over points in equal
// steps is exact far beyond need where the integrand is smooth, and good to the step's square where b makes it bend.
func softplusSlope(mean, spread, b float64) float64 {
	const step, reach = 1. / 8, 8
	sum, mass := 0.0, 0.0
	for z := -float64(reach); z <= reach; z += step {
		w := math.Exp(-z * z / 2)
		u := mean + spread*z
		sum += w * u / (1 + math.Exp(-b*u))
		mass += w
	}
	return sum / mass
}

func newExpectation(means, cov, weights []float64, k int) *expectation {
	// Classes come in an order in which their names have no part.
	order := make([]int, k)
	for c := range order {
		order[c] = c
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(means[a*k+a], means[b*k+b]), cmp.Compare(weights[a], weights[b]))
	})
	m, v, w := make([]float64, k*k), make([]float64, k*k), make([]float64, k)
	for a, i := range order {
		w[a] = weights[i]
		for b, j := range order {
			m[a*k+b], v[a*k+b] = means[i*k+j], cov[i*k+j]
		}
	}
	e := &expectation{k: k}
	for a := range k {
		var all []rival
		for b := range k {
			if b == a {
				continue
			}
			e.lead += w[a] * (m[a*k+a] - m[a*k+b]) / float64(k-1)
			spread := math.Sqrt(max(v[a*k+a]+v[b*k+b]-2*v[a*k+b], 0))
			all = append(all, rival{b, m[a*k+b] - m[a*k+a], spread, w[a]})
		}
		slices.SortStableFunc(all, func(x, y rival) int { return cmp.Compare(y.mean*x.spread, x.mean*y.spread) })
		e.rivals = append(e.rivals, all[:min(len(all), temperatureRivals)]...)
	}
	e.imagine(m, v, w)
	return e
}

// imagine draws rows, in pairs about their class's mean.
func (e *expectation) imagine(means, cov, weights []float64) {
	k := e.k
	var pair []int // class of each pair
	for c, w := range weights {
		pairs := max(1, int(math.Round(w*temperatureDraws/2)))
		for range pairs {
			pair = append(pair, c)
			e.class = append(e.class, c, c)
			e.weight = append(e.weight, w/float64(2*pairs), w/float64(2*pairs))
		}
	}
	n := len(pair)
	spread := make([]float64, n*k)
	if factor := looseCholesky(cov, k); factor != nil {
		r := rand.New(rand.NewPCG(1, 1))
		z := make([]float64, n*k)
		for i := range z {
			z[i] = r.NormFloat64()
		}
		num.Gemm(false, true, n, k, k, 1, z, k, factor, k, 0, spread, k)
	}
	e.scores = make([]float64, 2*n*k)
	for i, c := range pair {
		for j := range k {
			e.scores[2*i*k+j] = means[c*k+j] + spread[i*k+j]
			e.scores[(2*i+1)*k+j] = means[c*k+j] - spread[i*k+j]
		}
	}
}

// looseCholesky factors a covariance (k×k) that is singular, up to rounding that may even make it indefinite, by adding
// as little to its diagonal as it takes; nil when it is zero.
func looseCholesky(cov []float64, k int) []float64 {
	for share := 1e-9; share < 1; share *= 10 {
		a := slices.Clone(cov)
		if !AddRidge(a, k, share) {
			return nil
		}
		if chol, ok := num.NewChol(a, k); ok {
			return chol.L()
		}
	}
	return nil
}
