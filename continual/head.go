package continual

import (
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// scores are a class's numbers for each row, from which every learner predicts: (x − center)·weights + intercept.
type scores struct {
	classes     []string         // K
	linear      *part.Projection // D×K
	intercept   []float64        // K
	temperature float64          // divides scores before the softmax
}

// table makes each row's scores into what link leaves in their place.
func (s *scores) table(name string, in *data.Table, link func(scores []float64)) (*data.Table, error) {
	if err := method.Width(name, in, s.linear.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := len(s.classes)
	out := make([]float32, n*k)
	s.linear.Each(in.X(), n, func(lo, hi int, z []float64) {
		for i := range hi - lo {
			row := z[i*k : (i+1)*k]
			for c := range row {
				row[c] = (row[c] + s.intercept[c]) / s.temperature
			}
			link(row)
			for c, v := range row { // what float32 cannot hold becomes its largest number
				out[(lo+i)*k+c] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
			}
		}
	})
	return data.NewNamed(n, s.classes, out)
}

func (s *scores) predict(name string, in *data.Table) (*data.Table, error) {
	return s.table(name, in, func(z []float64) { num.Softmax(z, z, 1) })
}

func (s *scores) logits(name string, in *data.Table) (*data.Table, error) {
	return s.table(name, in, func([]float64) {})
}

// ridgeScores solves least squares on class indicators with a penalty: (C + λI)·W = G, λ = ridge times the mean variance.
func ridgeScores(s *moments.State, ridge, temperature float64) (*scores, error) {
	variance, mean := s.Variance(), 0.0
	for _, v := range variance {
		mean += v / float64(len(variance))
	}
	if !(mean > 0) {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, s.Rows())
	}
	weights, ok := s.Ridge(ridge*mean, s.Indicators())
	if !ok {
		return nil, fmt.Errorf("%w: the covariance stays singular after a ridge of %g; raise --ridge", method.ErrDegenerate, ridge)
	}
	return indicatorScores(s, weights, temperature), nil
}

// indicatorScores are fitted values of class indicators: the intercept is each class's share of the rows.
func indicatorScores(s *moments.State, weights []float64, temperature float64) *scores {
	d, _ := s.Dims()
	classes := s.Classes()
	out := &scores{classes: classes, linear: &part.Projection{D: d, R: len(classes), Center: s.Mean(), Matrix: weights}, temperature: temperature}
	for _, name := range classes {
		out.intercept = append(out.intercept, float64(s.Count(name))/float64(s.Rows()))
	}
	return out
}

// length brings a row to length one, in float64; a row of zeros stays.
func length(dst []float64, row []float32) {
	norm := math.Sqrt(num.SquaredNorm(row))
	for j, v := range row {
		dst[j] = float64(v)
		if norm > 0 {
			dst[j] /= norm
		}
	}
}

// withLabelsOf gives rows made of others the classes of those.
func withLabelsOf(made, from *data.Table) (*data.Table, error) {
	if !from.HasLabels() {
		return made, nil
	}
	labels, err := from.Labels()
	if err != nil {
		return nil, err
	}
	return made.WithLabels(slices.Clone(labels), from.Classes())
}
