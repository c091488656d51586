package probe

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// unitRow writes a row brought to length one; false when it has length zero.
func unitRow(dst []float64, row []float32) bool {
	length := 0.0
	for j, v := range row {
		dst[j] = float64(v)
		length += dst[j] * dst[j]
	}
	if length = math.Sqrt(length); length == 0 {
		return false
	}
	for j := range dst {
		dst[j] /= length
	}
	return true
}

// cosines are similarities to directions of length one, D×R.
type cosines struct {
	classes []string
	unit    *part.Projection
}

// each calls f with each row's cosines; rows come in any order, several at once.
func (c *cosines) each(name string, in *data.Table, f func(row int, cosine []float64)) error {
	n, d := in.Dims()
	if d != c.unit.D {
		return fmt.Errorf("%s: %w: table has %d columns, fitted on %d", name, data.ErrShape, d, c.unit.D)
	}
	r := c.unit.R
	c.unit.Each(in.X(), n, func(lo, hi int, z []float64) {
		for i := lo; i < hi; i++ {
			cosine := z[(i-lo)*r : (i-lo+1)*r]
			if length := math.Sqrt(num.SquaredNorm(in.Row(i))); length > 0 {
				for k := range cosine {
					cosine[k] = min(max(cosine[k]/length, -1), 1) // rounding may leave a little more than one
				}
			} else {
				clear(cosine)
			}
			f(i, cosine)
		}
	})
	return nil
}
