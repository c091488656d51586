package world

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Encoder is a frozen random convolutional network: 5×5 filters, ReLU, average pooling to a 4×4 grid, a random projection.
// It stands where a user has a pre-trained model: its features are what the rest works on, and nothing trains it.
type Encoder struct {
	size, filters, dim int
	kernel             []float32 // 25×filters
	bias               []float32 // filters
	project            []float32 // (16·filters)×dim
}

// NewEncoder makes an encoder for square images of the given side, at least 9 pixels, with dim features.
func NewEncoder(seed uint64, size, dim int) *Encoder {
	e := &Encoder{size: size, filters: 48, dim: dim}
	r := random(seed, 4)
	for range 25 * e.filters {
		e.kernel = append(e.kernel, float32(r.NormFloat64()))
	}
	for f := range e.filters { // filters without a mean see strokes, not brightness
		mean := float32(0)
		for k := range 25 {
			mean += e.kernel[k*e.filters+f] / 25
		}
		for k := range 25 {
			e.kernel[k*e.filters+f] -= mean
		}
		e.bias = append(e.bias, float32(0.3*r.NormFloat64()))
	}
	scale := 4 / math.Sqrt(float64(16*e.filters))
	for range 16 * e.filters * dim {
		e.project = append(e.project, float32(scale*r.NormFloat64()))
	}
	return e
}

// Dim returns the number of features.
func (e *Encoder) Dim() int { return e.dim }

// Encode returns n×Dim features of n images.
func (e *Encoder) Encode(images []float32) []float32 {
	pixels, side := e.size*e.size, e.size-4
	n := len(images) / pixels
	pooled := make([]float32, n*16*e.filters)
	num.Parallel(n, 8, func(lo, hi int) {
		patches, maps := make([]float32, side*side*25), make([]float32, side*side*e.filters)
		count := make([]float32, 16)
		for i := lo; i < hi; i++ {
			image := images[i*pixels : (i+1)*pixels]
			for p := range side * side {
				for k := range 25 {
					patches[p*25+k] = image[(p/side+k/5)*e.size+p%side+k%5]
				}
			}
			num.Gemm(false, false, side*side, e.filters, 25, 1, patches, 25, e.kernel, e.filters, 0, maps, e.filters)
			clear(count)
			out := pooled[i*16*e.filters : (i+1)*16*e.filters]
			for p := range side * side {
				cell := p/side*4/side*4 + p%side*4/side
				count[cell]++
				for f, v := range maps[p*e.filters : (p+1)*e.filters] {
					out[cell*e.filters+f] += max(v+e.bias[f], 0)
				}
			}
			for cell, c := range count {
				for f := range e.filters {
					out[cell*e.filters+f] /= c
				}
			}
		}
	})
	features := make([]float32, n*e.dim)
	num.Gemm(false, false, n, e.dim, 16*e.filters, 1, pooled, 16*e.filters, e.project, e.dim, 0, features, e.dim)
	return features
}
