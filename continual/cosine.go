package continual

import (
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// directions are class means that rows are compared with by the angle.
type directions struct {
	name    string
	classes []string         // K
	means   []float64        // K×D
	unit    *part.Projection // D×K, columns of length one
}

func newDirections(name string, s *moments.State) *directions {
	d, _ := s.Dims()
	m := &directions{name: name, classes: s.Classes(), means: s.ClassMeans()}
	k := len(m.classes)
	m.unit = &part.Projection{D: d, R: k, Center: make([]float64, d), Matrix: make([]float64, d*k)}
	for i := range k { // a class's weight is its mean; its length is divided out once for all rows
		mean := m.means[i*d : i*d+d]
		if length := math.Sqrt(num.SquaredNorm(mean)); length > 0 {
			for j, v := range mean {
				m.unit.Matrix[j*k+i] = v / length
			}
		}
	}
	return m
}

// cosines calls f with each row's cosine to every class; rows come in any order, several at once.
func (m *directions) cosines(in *data.Table, f func(row int, cosine []float64)) error {
	if err := method.Width(m.name, in, m.unit.D); err != nil {
		return err
	}
	n, _ := in.Dims()
	k := m.unit.R
	m.unit.Each(in.X(), n, func(lo, hi int, z []float64) {
		for i := lo; i < hi; i++ {
			cosine := z[(i-lo)*k : (i-lo+1)*k]
			if length := math.Sqrt(num.SquaredNorm(in.Row(i))); length > 0 {
				for c := range cosine {
					cosine[c] = min(max(cosine[c]/length, -1), 1) // rounding may leave a little more than one
				}
			}
			f(i, cosine)
		}
	})
	return nil
}

// predict is the softmax of cosines over the temperature, N×K.
func (m *directions) predict(in *data.Table, temperature float64) (*data.Table, error) {
	n, _ := in.Dims()
	k := len(m.classes)
	p := make([]float32, n*k)
	err := m.cosines(in, func(row int, cosine []float64) {
		num.Softmax(cosine, cosine, temperature)
		for c, v := range cosine {
			p[row*k+c] = float32(v)
		}
	})
	if err != nil {
		return nil, err
	}
	return data.NewNamed(n, m.classes, p)
}

// score is 1 − the largest cosine, N values.
func (m *directions) score(in *data.Table) ([]float64, error) {
	n, _ := in.Dims()
	out := make([]float64, n)
	err := m.cosines(in, func(row int, cosine []float64) { out[row] = 1 - slices.Max(cosine) })
	return out, err
}
