package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// outlying is how many standard deviations off an element counts as an outlier: of normal ones two in a thousand million are.
const outlying = 6

// Summary is what is to be said of one tensor's values.
type Summary struct {
	Name      string
	DType     data.DType
	Shape     []int
	Mean      float64
	Deviation float64 // standard deviation, over N
	Low, High float64
	Zeros     float64 // share of elements
	Outliers  float64 // share of elements more than six deviations off the mean
	NonFinite int     // elements that are NaN or infinite; they count nowhere else
}

// Inspect summarises every tensor of a checkpoint, in order of names, stretch by stretch. Empty tensors have zeros everywhere.
// Errors: what a tensor fails with, with its name; ctx's.
func Inspect(ctx context.Context, c *data.Checkpoint) ([]Summary, error) {
	var list []Summary
	for _, name := range c.Names() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := summarise(name, c.Tensors[name])
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// partial is what a stretch adds to a summary.
type partial struct {
	sum, low, high   float64
	zeros, nonFinite int
	spread           float64 // second pass: squared distances from the mean
	outliers         int     // third pass
	err              error
}

func summarise(name string, t data.Tensor) (Summary, error) {
	s := Summary{Name: name, DType: t.DType, Shape: t.Shape}
	n, size := t.Len(), t.DType.Size()
	pass := func(use func(v []float64, p *partial)) (total partial, err error) {
		parts := make([]partial, (n+stretch-1)/stretch)
		num.Parallel(len(parts), 4, func(a, b int) {
			raw, v := make([]byte, stretch*size), make([]float64, stretch)
			for i := a; i < b; i++ {
				k := min(stretch, n-i*stretch)
				p := &parts[i]
				if p.err = t.Fill(raw[:k*size], i*stretch); p.err != nil {
					return
				}
				t.DType.Widen(v[:k], raw)
				finite := v[:0]
				for _, x := range v[:k] {
					if math.IsNaN(x) || math.IsInf(x, 0) {
						p.nonFinite++
						continue
					}
					finite = append(finite, x)
				}
				use(finite, p)
			}
		})
		total.low, total.high = math.Inf(1), math.Inf(-1)
		for _, p := range parts { // in order: threads change no bit
			if p.err != nil {
				return total, fmt.Errorf("tensor %q: %w", name, p.err)
			}
			total.sum += p.sum
			total.spread += p.spread
			total.zeros += p.zeros
			total.outliers += p.outliers
			total.nonFinite += p.nonFinite
			total.low, total.high = min(total.low, p.low), max(total.high, p.high)
		}
		return total, nil
	}
	first, err := pass(func(v []float64, p *partial) {
		p.low, p.high = math.Inf(1), math.Inf(-1)
		for _, x := range v {
			p.sum += x
			if x == 0 {
				p.zeros++
			}
			p.low, p.high = min(p.low, x), max(p.high, x)
		}
	})
	if err != nil {
		return s, err
	}
	s.NonFinite = first.nonFinite
	count := float64(n - first.nonFinite)
	if count == 0 {
		return s, nil
	}
	s.Mean, s.Low, s.High, s.Zeros = first.sum/count, first.low, first.high, float64(first.zeros)/count
	second, err := pass(func(v []float64, p *partial) {
		for _, x := range v {
			p.spread += (x - s.Mean) * (x - s.Mean)
		}
	})
	if err != nil {
		return s, err
	}
	s.Deviation = math.Sqrt(second.spread / count)
	if max(s.High-s.Mean, s.Mean-s.Low) <= outlying*s.Deviation {
		return s, nil
	}
	third, err := pass(func(v []float64, p *partial) {
		for _, x := range v {
			if math.Abs(x-s.Mean) > outlying*s.Deviation {
				p.outliers++
			}
		}
	})
	s.Outliers = float64(third.outliers) / count
	return s, err
}
