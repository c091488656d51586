package drift

import "math"

// normalQuantile is the standard normal distribution's quantile.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// hypergeometricTail is the probability that at least x of the drawn rows are marked when drawn of n rows are taken and marked of
// them carry a mark: Fisher's exact test, one-sided.
func hypergeometricTail(x, drawn, marked, n int) float64 {
	sum := 0.0
	for k := max(x, drawn+marked-n, 0); k <= min(drawn, marked); k++ {
		sum += math.Exp(logChoose(marked, k) + logChoose(n-marked, drawn-k) - logChoose(n, drawn))
	}
	return math.Max(math.Min(sum, 1), math.SmallestNonzeroFloat64)
}

// binomial is the probability of k successes in n trials.
func binomial(k, n int, p float64) float64 {
	return math.Exp(logChoose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
}

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
