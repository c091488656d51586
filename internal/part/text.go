package part

import (
	"hash/fnv"
	"math"
	"strings"
	"unicode"
)

// HashText writes a text's features to dst, any positive number of columns: words, pairs of neighbouring words and runs of
// three to five letters inside words, each hashed to a column and a sign (signed feature hashing keeps inner products
// unbiased), counts damped by log(1+n), the row scaled to length one. A text without a letter or digit gives zeros.
// Nothing is learned and nothing is kept, so the same text gives the same row everywhere.
func HashText(dst []float32, text string) {
	counts := map[string]float64{}
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' })
	for i, w := range words {
		counts["w "+w]++
		if i > 0 {
			counts["p "+words[i-1]+" "+w]++
		}
		letters := []rune("<" + w + ">")
		for n := 3; n <= 5; n++ {
			for at := 0; at+n <= len(letters); at++ {
				counts["c "+string(letters[at:at+n])] += 1 / float64(n) // a word's runs together weigh about as much as the word
			}
		}
	}
	sums := make([]float64, len(dst))
	for term, n := range counts {
		h := fnv.New64a()
		h.Write([]byte(term))
		bits := Mix(h.Sum64())
		v := math.Round(math.Log1p(n)*(1<<40)) / (1 << 40) // multiples of 2^-40 add exactly, so map order cannot matter
		if bits>>63 == 1 {
			v = -v
		}
		sums[bits%uint64(len(dst))] += v
	}
	length := 0.0
	for _, v := range sums {
		length += v * v
	}
	for j, v := range sums {
		dst[j] = 0
		if length > 0 {
			dst[j] = float32(v / math.Sqrt(length))
		}
	}
}
