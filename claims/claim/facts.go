package claim

import (
	"maps"
	"slices"
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
