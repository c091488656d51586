package continual

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromSource[FeCAM, *data.Table](method.Info{
	Title:  "class of the nearest mean direction, each in the metric of its own correlations",
	Paper:  "goswami2023fecam",
	Exempt: map[string]string{"far-from-zero": "features are raised to a power and compared by their direction from zero, section 3"},
}, FeCAM.fit, loadFeCAM))

// FeCAM classifies by the distance of a row's direction to each class's mean direction, measured along that class's own correlations.
//
// It is the learner of Goswami et al. (2023) on frozen features: features are made more nearly Gaussian by a power, each class keeps a
// mean and a covariance, which is shrunk and normalised to a correlation matrix. O(N·D²) to learn, O(K·D³) to finish, O(K·D²) a
// row to predict, K·D² numbers kept. Prefer it over [StreamingLDA] where classes spread differently and have many rows each; with few
// rows a class, one covariance for all is known better.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row; one row a class is enough.
// Predict: N×K probabilities, softmax(−distance/Temperature) of squared distances; the most probable class is the nearest.
// Score:   N squared distances to the nearest class, higher = less like any class learned so far.
// Update:  the model that has also seen the task's rows, of old or new classes; tasks in any order or pieces give the same bytes on one grid.
// Forget:  the model that never saw the rows, to the byte.
// Errors:  ErrLabels when a row has no label; ErrShape on another width, when rows to forget were never learned, or when none would be left.
// Differs: the power keeps signs, so that features below zero are not lost; both shrinkages are one knob, as in all of the paper's settings; a class without spread is measured by plain distance; probabilities, Score and Forget are ours.
// Source:  goswami2023fecam, eq. (4)-(8).
// Claim:   claims/continual/fecam.go.
type FeCAM struct {
	// Exponent is the power that features are raised to, signs kept; 1 leaves them. Halves suit features after a ReLU, which are skewed.
	Exponent float64 `default:"0.5" range:"(0,1]"`
	// Ridge is added to each class's covariance, to variances as a share of their mean, and to covariances as a share of theirs (the paper's γ, 1 on a ResNet's features, 10 and more on those of few rows).
	Ridge float64 `default:"1" range:"(0,1e6]" unit:"share of the mean variance"`
	// Temperature divides distances before the softmax: lower is more confident, the chosen class stays the same.
	Temperature float64 `default:"0.1" range:"(0,1e6]" unit:"squared distance of directions"`
}

// Fit learns class means and covariances from a table or a stream, in two passes.
func (c FeCAM) Fit(ctx context.Context, train *data.Table) (*FeCAMModel, error) {
	return c.fit(ctx, train)
}

const fecamNeeds = moments.Classes | moments.ClassScatter

func (c FeCAM) fit(ctx context.Context, train data.Source) (*FeCAMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := moments.FromSource(ctx, lifted{train, c.lift}, fecamNeeds.Options())
	if err != nil {
		return nil, err
	}
	return c.recalled(s)
}

// lift raises features to the power.
func (c FeCAM) lift(in *data.Table) (*data.Table, error) {
	n, d := in.Dims()
	x := make([]float32, n*d)
	for i, v := range in.X() { // sign(x)·|x|^β, eq. (4)
		x[i] = float32(math.Copysign(math.Pow(math.Abs(float64(v)), c.Exponent), float64(v)))
	}
	out, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	return withLabelsOf(out, in)
}

func (c FeCAM) recalled(s *moments.State) (*FeCAMModel, error) {
	if err := fecamNeeds.Check(s); err != nil {
		return nil, err
	}
	d, _ := s.Dims()
	m := &FeCAMModel{memory: remember("fecam", s, c.lift, c.recalled), config: c, d: d, classes: s.Classes()}
	means := s.ClassMeans()
	for k, name := range m.classes {
		cov, err := s.ClassCovariance(name)
		if err != nil {
			return nil, err
		}
		fecamCorrelate(cov, d, c.Ridge)
		center := make([]float64, d)
		if norm := math.Sqrt(num.SquaredNorm(means[k*d : (k+1)*d])); norm > 0 {
			for j, v := range means[k*d : (k+1)*d] {
				center[j] = v / norm
			}
		}
		metric, ok := part.Whitener(center, cov, d)
		if !ok { // not even after the ridge: two columns are one, and the ridge was tiny
			return nil, method.ErrDegenerate
		}
		m.metrics = append(m.metrics, metric)
	}
	return m, nil
}

// fecamCorrelate shrinks a covariance, eq. (6), and normalises it to a correlation matrix, eq. (7).
func fecamCorrelate(cov []float64, d int, ridge float64) {
	variance, between := 0.0, 0.0
	for i := range d {
		for j := range d {
			if i == j {
				variance += cov[i*d+j] / float64(d)
			} else {
				between += cov[i*d+j] / float64(d*(d-1))
			}
		}
	}
	root := make([]float64, d)
	for i := range d {
		for j := range d {
			if i == j {
				cov[i*d+j] += ridge * variance
			} else {
				cov[i*d+j] += ridge * min(max(between, 0), variance) // the paper's V2, kept where a covariance matrix stays one
			}
		}
		root[i] = math.Sqrt(cov[i*d+i])
	}
	for i := range d {
		for j := range d {
			switch {
			case i == j:
				cov[i*d+j] = 1
			case root[i]*root[j] > 0:
				cov[i*d+j] /= root[i] * root[j]
			default: // a class without spread
				cov[i*d+j] = 0
			}
		}
	}
}

// FeCAMModel is a fitted [FeCAM].
type FeCAMModel struct {
	memory
	config  FeCAM
	d       int
	classes []string           // K
	metrics []*part.Projection // K of D×D, about the class's mean direction
}

// distances returns each row's squared distance to every class, N×K.
func (m *FeCAMModel) distances(in *data.Table) ([]float64, error) {
	if err := method.Width("fecam", in, m.d); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	k := len(m.classes)
	raised, err := m.config.lift(in)
	if err != nil {
		return nil, err
	}
	x, row := make([]float32, n*d), make([]float64, d)
	for i := range n {
		length(row, raised.Row(i))
		for j, v := range row {
			x[i*d+j] = float32(v)
		}
	}
	out := make([]float64, n*k)
	for c, metric := range m.metrics {
		metric.Each(x, n, func(lo, hi int, z []float64) {
			for i := range hi - lo {
				out[(lo+i)*k+c] = num.SquaredNorm(z[i*d : (i+1)*d])
			}
		})
	}
	return out, nil
}

// Predict returns each row's class probabilities, N×K.
func (m *FeCAMModel) Predict(in *data.Table) (*data.Table, error) {
	z, err := m.distances(in)
	if err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := len(m.classes)
	p := make([]float32, n*k)
	for i := range n {
		row := z[i*k : (i+1)*k]
		for c := range row {
			row[c] = -row[c]
		}
		num.Softmax(row, row, m.config.Temperature)
		for c, v := range row {
			p[i*k+c] = float32(v)
		}
	}
	return data.NewNamed(n, m.classes, p)
}

// Score returns each row's squared distance to the nearest class.
func (m *FeCAMModel) Score(in *data.Table) ([]float64, error) {
	z, err := m.distances(in)
	if err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := len(m.classes)
	out := make([]float64, n)
	for i := range n {
		out[i] = math.Inf(1)
		for _, v := range z[i*k : (i+1)*k] {
			out[i] = min(out[i], v)
		}
	}
	return out, nil
}

func loadFeCAM(c FeCAM, st *data.Checkpoint) (*FeCAMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := recall(st)
	if err != nil {
		return nil, err
	}
	return c.recalled(s)
}
