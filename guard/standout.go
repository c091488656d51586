package guard

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// Deviation is how far a value lies from where its column usually does.
type Deviation struct {
	Column     int // from 0
	Value      float64
	Usual      float64 // the column's mean, in the class that the row lies nearest to
	Deviations float64 // from there, in standard deviations within classes; at most 10^6 either way
}

// farthestDeviation bounds deviations: of a column that never changed, any change is one of so many.
const farthestDeviation = 1e6

// StandOut returns for each row the columns that lie farthest from their usual values, the farthest first, at most so many: from the mean of the
// class whose mean the row is nearest to (in standard deviations within classes, columns by themselves), or of all rows where rows have no
// classes. It tells a person what is odd about a row; it is not what the detector scores by, which looks at columns together.
// Errors: ErrShape for rows of another width.
func (g *Guard) StandOut(in *data.Table, most int) ([][]Deviation, error) {
	d := g.Dim()
	if err := method.Width("guard", in, d); err != nil {
		return nil, err
	}
	means, variance := g.usual()
	n, _ := in.Dims()
	out := make([][]Deviation, n)
	z, best := make([]float64, d), make([]float64, d)
	for i := range n {
		row, nearest, least := in.Row(i), 0, math.Inf(1)
		for k := range len(means) / max(d, 1) {
			sum := 0.0
			for j, v := range row {
				z[j] = deviations(float64(v), means[k*d+j], variance[j])
				sum += z[j] * z[j]
			}
			if sum < least {
				least, nearest = sum, k
				copy(best, z)
			}
		}
		list := make([]Deviation, d)
		for j, v := range row {
			list[j] = Deviation{j, float64(v), means[nearest*d+j], best[j]}
		}
		slices.SortStableFunc(list, func(a, b Deviation) int { return cmp.Compare(math.Abs(b.Deviations), math.Abs(a.Deviations)) })
		out[i] = slices.Clone(list[:min(most, d)])
	}
	return out, nil
}

// usual are the means of the classes, K×D, and the variance within them; those of all rows where some have no class.
func (g *Guard) usual() (means, variance []float64) {
	if len(g.state.Classes()) > 0 {
		if v, err := g.state.PooledVariance(); err == nil {
			return g.state.ClassMeans(), v
		}
	}
	return g.state.Mean(), g.state.Variance()
}

func deviations(v, mean, variance float64) float64 {
	switch z := (v - mean) / math.Sqrt(variance); {
	case v == mean:
		return 0
	case math.IsNaN(z) || math.Abs(z) > farthestDeviation:
		return math.Copysign(farthestDeviation, v-mean)
	default:
		return z
	}
}

// ColumnName is a column's name, or x1, x2 … where columns have none.
func (g *Guard) ColumnName(j int) string {
	if names := g.Columns(); names != nil {
		return names[j]
	}
	return fmt.Sprintf("x%d", j+1)
}
