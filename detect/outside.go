package detect

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// outside measures what a row has outside a principal space through an origin.
type outside struct{ *part.Projection }

// principal is how many of d directions are a share of them, rounded down, 0.29·100 being 29.
func principal(share float64, d int) int { return int(share*float64(d) + 1e-9) }

// outsideOf takes the columns of the eigenvectors (d×d), largest eigenvalue first, from one on.
func outsideOf(origin, vectors []float64, d, from int) outside {
	m := make([]float64, 0, d*(d-from))
	for i := range d {
		m = append(m, vectors[i*d+from:(i+1)*d]...)
	}
	return outside{&part.Projection{D: d, R: d - from, Center: origin, Matrix: m}}
}

// lengths writes each row's length outside the space to dst.
func (o outside) lengths(in *data.Table, dst []float64) {
	n, _ := in.Dims()
	o.Each(in.X(), n, func(lo, hi int, z []float64) {
		for i := range hi - lo {
			dst[lo+i] = math.Sqrt(num.SquaredNorm(z[i*o.R : (i+1)*o.R]))
		}
	})
}

// add puts it into a state.
func (o outside) add(st *data.Checkpoint) {
	st.Tensors["origin"] = data.Float64Tensor(o.Center, o.D)
	st.Tensors["outside"] = data.Float64Tensor(o.Matrix, o.D, o.R)
}

func loadOutside(r *data.Reader) (outside, error) {
	o := outside{&part.Projection{Center: r.Floats("origin", -1)}}
	o.D = len(o.Center)
	o.Matrix = r.Floats("outside", o.D, -1)
	if err := r.Err(); err != nil {
		return outside{}, err
	}
	if len(o.Matrix) == 0 {
		return outside{}, fmt.Errorf("%w: no directions outside the principal space of %d columns", data.ErrShape, o.D)
	}
	o.R = len(o.Matrix) / o.D
	return o, nil
}
