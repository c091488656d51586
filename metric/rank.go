package metric

import (
	"math"
	"slices"
)

// orderKeys maps scores to integers of the same order: x < y exactly when key(x) < key(y), and −0 shares the key of +0.
func orderKeys(scores []float64) []uint64 {
	keys := make([]uint64, len(scores))
	for i, v := range scores {
		b := math.Float64bits(v)
		switch {
		case v == 0:
			b = 1 << 63
		case b>>63 == 1:
			b = ^b
		default:
			b |= 1 << 63
		}
		keys[i] = b
	}
	return keys
}

const (
	digitBits   = 11 // 6 passes of 2048 buckets: the counters stay in the first-level cache
	digits      = (64 + digitBits - 1) / digitBits
	radixLeast  = 4096 // below it comparison sorting is faster than clearing and summing the counters
	digitValues = 1 << digitBits
)

// sortKeys sorts ascending and returns the sorted keys, in the given slice or in another one; the given one is used up.
func sortKeys(keys []uint64) []uint64 {
	if len(keys) < radixLeast {
		slices.Sort(keys)
		return keys
	}
	var counts [digits][digitValues]int32
	for _, k := range keys {
		for d := range digits {
			counts[d][k>>(d*digitBits)&(digitValues-1)]++
		}
	}
	other := make([]uint64, len(keys))
	for d := range digits {
		count := &counts[d]
		if int(count[keys[0]>>(d*digitBits)&(digitValues-1)]) == len(keys) {
			continue // all keys share this digit
		}
		start := int32(0)
		for v, c := range count {
			count[v] = start
			start += c
		}
		for _, k := range keys {
			v := k >> (d * digitBits) & (digitValues - 1)
			other[count[v]] = k
			count[v]++
		}
		keys, other = other, keys
	}
	return keys
}

// ranked is two groups of scores reduced to what ranks depend on: how many rows of each lie at each distinct score, ascending.
type ranked struct {
	n, m      int     // rows of the negative and of the positive group
	negatives []int32 // by distinct score
	positives []int32 // by distinct score
}

// rank checks and ranks two groups of scores, O((n+m)·log(n+m)).
func rank(who string, negative, positive []float64) (ranked, error) {
	if err := checkScores(who, "negative", negative); err != nil {
		return ranked{}, err
	}
	if err := checkScores(who, "positive", positive); err != nil {
		return ranked{}, err
	}
	return mergeKeys(sortKeys(orderKeys(negative)), sortKeys(orderKeys(positive))), nil
}

// mergeKeys counts two sorted groups by distinct key.
func mergeKeys(negative, positive []uint64) ranked {
	r := ranked{n: len(negative), m: len(positive)}
	most := len(negative) + len(positive)
	r.negatives, r.positives = make([]int32, 0, most), make([]int32, 0, most)
	for i, j := 0, 0; i < len(negative) || j < len(positive); {
		var key uint64
		if j == len(positive) || i < len(negative) && negative[i] < positive[j] {
			key = negative[i]
		} else {
			key = positive[j]
		}
		fromI, fromJ := i, j
		for i < len(negative) && negative[i] == key {
			i++
		}
		for j < len(positive) && positive[j] == key {
			j++
		}
		r.negatives = append(r.negatives, int32(i-fromI))
		r.positives = append(r.positives, int32(j-fromJ))
	}
	return r
}

// flipped is the ranking with the order of scores and the roles of the groups turned round.
func (r ranked) flipped() ranked {
	negatives, positives := slices.Clone(r.positives), slices.Clone(r.negatives)
	slices.Reverse(negatives)
	slices.Reverse(positives)
	return ranked{n: r.m, m: r.n, negatives: negatives, positives: positives}
}

// replicateRanked replicates a statistic of the counts by distinct score. Rows are drawn within each group, so that the groups keep
// their sizes: how many rows of each kind a benchmark has was chosen, not observed.
func (h Interval) replicateRanked(r ranked, statistic func(negatives, positives []int32) float64) []float64 {
	expand := func(counts []int32, rows int) []int32 {
		score := make([]int32, 0, rows)
		for g, c := range counts {
			for range c {
				score = append(score, int32(g))
			}
		}
		return score
	}
	scoreOfNegative, scoreOfPositive := expand(r.negatives, r.n), expand(r.positives, r.m)
	return h.replicate(func() func(draws) float64 {
		negatives, positives := make([]int32, len(r.negatives)), make([]int32, len(r.positives))
		return func(d draws) float64 {
			clear(negatives)
			clear(positives)
			for range r.n {
				negatives[scoreOfNegative[d.index(r.n)]]++
			}
			for range r.m {
				positives[scoreOfPositive[d.index(r.m)]]++
			}
			return statistic(negatives, positives)
		}
	})
}
