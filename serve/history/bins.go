package history

import (
	"maps"
	"math"
	"slices"
)

// Kinds of histograms.
const (
	scoreKind = iota
	pValueKind
)

// perOctave is how many bins lie between a score and its double: each is 9 % wide.
const perOctave = 8

// tiny is so small that it counts as zero: below it float64 has too few digits to tell bins apart.
const tiny = 0x1p-1000

// scoreBin is the bin of a score: zero's own, and on both sides of it bins that widen with the score, so that scores of any method and
// scale share one set. Bins ascend with the score.
func scoreBin(v float64) int64 {
	if !(math.Abs(v) > tiny) {
		return 0
	}
	fraction, exponent := math.Frexp(math.Abs(v)) // [0.5, 1)
	if math.IsInf(v, 0) {
		fraction, exponent = 0.5, 1025
	}
	bin := int64(exponent+1100)*perOctave + int64((fraction-0.5)*2*perOctave) + 1
	if v < 0 {
		return -bin
	}
	return bin
}

// scoreEdges are the smallest and the largest score of a bin.
func scoreEdges(bin int64) (low, high float64) {
	if bin == 0 {
		return 0, 0
	}
	if bin < 0 {
		low, high = scoreEdges(-bin)
		return -high, -low
	}
	exponent, part := (bin-1)/perOctave-1100, (bin-1)%perOctave
	edge := func(k int64) float64 { return math.Ldexp(0.5+float64(k)/(2*perOctave), int(exponent)) }
	return edge(part), edge(part + 1)
}

// pBins is the number of bins of p-values, equal ones.
const pBins = 20

func pBin(p float64) int64 { return int64(min(pBins-1, max(0, math.Floor(p*pBins)))) }

func edges(kind int, bin int64) (low, high float64) {
	if kind == pValueKind {
		return float64(bin) / pBins, float64(bin+1) / pBins
	}
	return scoreEdges(bin)
}

// ScoreBins counts scores in the bins of [History.Scores], so that both can be laid over each other; those beyond the threshold are refused.
func ScoreBins(scores []float64, threshold float64) []Bin {
	counts := map[int64]*Bin{}
	for _, v := range scores {
		k := scoreBin(v)
		b := counts[k]
		if b == nil {
			b = &Bin{}
			b.Low, b.High = scoreEdges(k)
			counts[k] = b
		}
		b.Rows++
		if v > threshold {
			b.Refused++
		}
	}
	out := make([]Bin, 0, len(counts))
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, *counts[k])
	}
	return out
}
