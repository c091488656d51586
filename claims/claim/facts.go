package claim

import (
	"maps"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/metric"
)

// Means makes a fact of the mean of everything that the outcomes hold beside their arms, in the order of the names. It
// serves as Facts of claims whose extras are the same over all seeds.
func Means(outcomes []Outcome) []Fact {
	var facts []Fact
	for _, name := range slices.Sorted(maps.Keys(outcomes[0].Extra)) {
		sum := 0.0
		for _, o := range outcomes {
			sum += o.Extra[name]
		}
		facts = append(facts, Fact{name, sum / float64(len(outcomes))})
	}
	return facts
}

// Paired makes facts of by how much one of the extras exceeds another in the mean, times scale, and of its 95 % t interval
// over the seeds; none where a value is not finite.
func Paired(outcomes []Outcome, name, more, less string, scale float64) []Fact {
	var a, b []float64
	for _, o := range outcomes {
		a, b = append(a, scale*o.Extra[more]), append(b, scale*o.Extra[less])
	}
	d, err := metric.PairedMean(a, b)
	if err != nil {
		return nil
	}
	return []Fact{{name, d.Value}, {name + ", 95 % from", d.Low}, {name + ", 95 % to", d.High}}
}

// RankCorrelation is Spearman's, for values without ties to speak of.
func RankCorrelation(a, b []float64) float64 {
	ranks := func(x []float64) []float64 {
		r := make([]float64, len(x))
		for i, v := range x {
			for _, w := range x {
				switch {
				case w < v:
					r[i]++
				case w == v:
					r[i] += 0.5
				}
			}
			r[i] -= float64(len(x)) / 2 // centred
		}
		return r
	}
	ra, rb := ranks(a), ranks(b)
	product, left, right := 0.0, 0.0, 0.0
	for i := range ra {
		product, left, right = product+ra[i]*rb[i], left+ra[i]*ra[i], right+rb[i]*rb[i]
	}
	if left == 0 || right == 0 {
		return 0
	}
	return product / math.Sqrt(left*right)
}
