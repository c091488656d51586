package part

import "math"

// Trigrams is a model of texts that knows how often three tokens follow each other, with interpolated Kneser–Ney smoothing of one fixed discount.
// Source: Kneser and Ney (1995); Chen and Goodman (1999), section 2.7, its interpolated form.
type Trigrams struct {
	vocabulary int
	counts     [3]map[[3]int32]int    // of 1, 2 and 3 tokens, the last ones of the key; below three: before how many tokens they stand
	contexts   [3]map[[2]int32][2]int // of what stands before: the sum of counts, and how many of them are not zero
}

// trigramDiscount is what every count gives to tokens that were not seen in its place.
const trigramDiscount = 0.75

// trigramStart stands before a text, and where a key has fewer tokens than it could.
const trigramStart = -1

// NewTrigrams counts texts, whose tokens are 0 to vocabulary−1.
func NewTrigrams(vocabulary int, texts [][]int32) *Trigrams {
	m := &Trigrams{vocabulary: vocabulary}
	for n := range m.counts {
		m.counts[n], m.contexts[n] = map[[3]int32]int{}, map[[2]int32][2]int{}
	}
	for _, text := range texts {
		at := [3]int32{trigramStart, trigramStart, trigramStart}
		for _, token := range text {
			at = [3]int32{at[1], at[2], token}
			m.add(2, at)
		}
	}
	return m
}

// add counts n+1 tokens; the first time, those but for the first stand behind one more token.
func (m *Trigrams) add(n int, key [3]int32) {
	before := [2]int32{key[0], key[1]}
	c := m.contexts[n][before]
	c[0]++
	if m.counts[n][key]++; m.counts[n][key] == 1 {
		c[1]++
		if n > 0 {
			key[2-n] = trigramStart
			m.add(n-1, key)
		}
	}
	m.contexts[n][before] = c
}

// probability is that of the last of three tokens after the two before it, by models of up to n+1 tokens.
func (m *Trigrams) probability(n int, key [3]int32) float64 {
	if n < 0 {
		return 1 / float64(m.vocabulary)
	}
	c := m.contexts[n][[2]int32{key[0], key[1]}]
	shorter := key
	if n > 0 {
		shorter[2-n] = trigramStart
	}
	below := m.probability(n-1, shorter)
	if c[0] == 0 {
		return below
	}
	total := float64(c[0])
	return max(float64(m.counts[n][key])-trigramDiscount, 0)/total + trigramDiscount*float64(c[1])/total*below
}

// NegativeLogLikelihood is that of a text's tokens, each after the two before it, in nats.
func (m *Trigrams) NegativeLogLikelihood(text []int32) (loss float64) {
	at := [3]int32{trigramStart, trigramStart, trigramStart}
	for _, token := range text {
		at = [3]int32{at[1], at[2], token}
		loss -= math.Log(m.probability(2, at))
	}
	return loss
}
