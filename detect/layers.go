package detect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
)

// layerSpan is the columns that a layer of a network has in a table: from to to−1.
type layerSpan struct{ from, to int }

// layerSpans lays layers of the given widths side by side over d columns; no widths stand for one layer of all columns.
// Errors: ErrShape when they do not add up.
func layerSpans(widths []int, d int) ([]layerSpan, error) {
	if len(widths) == 0 {
		return []layerSpan{{0, d}}, nil
	}
	var spans []layerSpan
	at := 0
	for _, w := range widths {
		spans = append(spans, layerSpan{at, at + w})
		at += w
	}
	if at != d {
		return nil, fmt.Errorf("%w: layers of %s columns have %d in all, the table %d; say the width of every layer with --layers", data.ErrShape, joinInts(widths), at, d)
	}
	return spans, nil
}

func joinInts(list []int) string {
	var words []string
	for _, v := range list {
		words = append(words, fmt.Sprint(v))
	}
	return strings.Join(words, ",")
}

func (s layerSpan) width() int { return s.to - s.from }

// rows returns the layer's columns of n rows of d, n×width; all of them are not copied.
func (s layerSpan) rows(x []float32, n, d int) []float32 {
	if s.width() == d {
		return x
	}
	out := make([]float32, 0, n*s.width())
	for i := range n {
		out = append(out, x[i*d+s.from:i*d+s.to]...)
	}
	return out
}

// block returns the layer's own part of a covariance of all d columns, width×width.
func (s layerSpan) block(cov []float64, d int) []float64 {
	out := make([]float64, 0, s.width()*s.width())
	for i := s.from; i < s.to; i++ {
		out = append(out, cov[i*d+s.from:i*d+s.to]...)
	}
	return out
}

// points returns the layer's columns of k points of d values, k×width.
func (s layerSpan) points(x []float64, d int) []float64 {
	out := make([]float64, 0, len(x)/max(d, 1)*s.width())
	for row := range slices.Chunk(x, max(d, 1)) {
		out = append(out, row[s.from:s.to]...)
	}
	return out
}
