package detect

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "squared distance to the nearest class mean under one shared covariance",
	Paper: "lee2018simple", Default: true,
}, 0, Mahalanobis.FitMoments, loadMahalanobis))

// Mahalanobis scores how far a row lies from the nearest class mean, in the metric of the classes' pooled covariance.
//
// It is the detector of Lee et al. (2018) on one layer of frozen features: no network, one pass, O(N·D²+D³) to fit,
// O(D²+K·D) a row to score. Prefer it when classes are roughly Gaussian; prefer [KNN] when no shape can be assumed.
//
// Fits on: Table N×D with N ≥ 2; labels for every row, or for none (then one class).
// Score:   N values ≥ 0, squared distance, dimensionless, higher = more unlike training. To a row's own class mean it is χ² with D degrees of freedom.
// Predict: N×K posterior probabilities of the classes under equal priors; needs labels.
// Logits:  N×K, −½ squared distance to each class mean; their softmax is Predict.
// Errors:  ErrLabels when only some rows have labels; ErrDegenerate when all rows of every class are equal; ErrShape on another width.
// Differs: one layer instead of a weighted sum over layers, no input perturbation; Ridge and Predictive are ours.
// Source:  lee2018simple, eq. (1)-(2).
// Claim:   claims/detect/mahalanobis.go.
type Mahalanobis struct {
	// Ridge is added to the covariance's diagonal, as a share of its mean variance. Raise it towards 1 when N < 10·D.
	Ridge float64 `default:"1e-6" range:"(0,1e6]" unit:"share of the mean variance"`
	// Predictive divides a class's squared distance by 1 + 1/n for a mean learned from n rows, which is what a new row of that class has on average; without it a class taught by five rows looks farther away than it is.
	Predictive bool
}

// Fit learns class means and one covariance from a table or a stream, in one or two passes.
func (c Mahalanobis) Fit(ctx context.Context, train data.Source) (*MahalanobisModel, error) {
	return method.FitMoments(ctx, 0, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c Mahalanobis) FitMoments(s *moments.State) (*MahalanobisModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	cov, err := s.PooledCovariance() // eq. (1)
	if err != nil {
		return nil, err
	}
	d, _ := s.Dims()
	if !part.AddRidge(cov, d, c.Ridge) {
		return nil, fmt.Errorf("%w: every class's rows are all equal, so there is no covariance to measure in", method.ErrDegenerate)
	}
	m := &MahalanobisModel{classes: s.Classes(), predictive: c.Predictive}
	var ok bool
	if m.whiten, ok = part.Whitener(s.Mean(), cov, d); !ok {
		return nil, fmt.Errorf("%w: the covariance stays singular after a ridge of %g; raise --ridge", method.ErrDegenerate, c.Ridge)
	}
	means, names := s.ClassMeans(), m.classes
	if len(names) == 0 { // without labels all rows are one class
		means, names = s.Mean(), []string{""}
	}
	for _, name := range names {
		m.rows = append(m.rows, float64(s.Count(name)))
	}
	m.means = m.whiten.Points(means, len(m.rows))
	return m, nil
}

// MahalanobisModel is a fitted [Mahalanobis].
type MahalanobisModel struct {
	whiten     *part.Projection // D×D
	classes    []string         // K, or none
	rows       []float64        // rows behind each mean
	means      []float64        // whitened, max(K,1)×D
	predictive bool
}

// distances calls f with each row's squared distance to every class mean; rows come in any order, several at once.
func (m *MahalanobisModel) distances(in *data.Table, f func(row int, squared []float64)) error {
	if err := width("mahalanobis", in, m.whiten.D); err != nil {
		return err
	}
	n, _ := in.Dims()
	m.whiten.SquaredDistances(in.X(), n, m.means, len(m.rows), func(row int, squared []float64) {
		for k := range squared {
			if m.predictive {
				squared[k] /= 1 + 1/m.rows[k]
			}
		}
		f(row, squared)
	})
	return nil
}

// Score returns each row's squared distance to the nearest class mean.
func (m *MahalanobisModel) Score(in *data.Table) ([]float64, error) {
	n, _ := in.Dims()
	out := make([]float64, n)
	err := m.distances(in, func(row int, squared []float64) { out[row] = slices.Min(squared) }) // eq. (2), its sign turned
	return out, err
}

// Logits returns −½ of each row's squared distance to every class mean, N×K.
func (m *MahalanobisModel) Logits(in *data.Table) (*data.Table, error) {
	return m.table(in, func(x []float64) {})
}

// Predict returns each row's class probabilities, N×K.
func (m *MahalanobisModel) Predict(in *data.Table) (*data.Table, error) {
	return m.table(in, func(logits []float64) { num.Softmax(logits, logits, 1) })
}

// table makes a row's logits into what link leaves in their place.
func (m *MahalanobisModel) table(in *data.Table, link func(logits []float64)) (*data.Table, error) {
	if len(m.classes) == 0 {
		return nil, fmt.Errorf("%w: fitted without any, so there are no classes to choose from", data.ErrLabels)
	}
	n, _ := in.Dims()
	k := len(m.classes)
	out := make([]float32, n*k)
	err := m.distances(in, func(row int, x []float64) {
		for c := range x {
			x[c] /= -2
		}
		link(x)
		for c, v := range x {
			out[row*k+c] = float32(v)
		}
	})
	if err != nil {
		return nil, err
	}
	return data.NewNamed(n, m.classes, out)
}

// State returns the model as tensors.
func (m *MahalanobisModel) State() *data.Checkpoint {
	d, k := m.whiten.D, len(m.rows)
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":   data.Float64Tensor(m.whiten.Center, d),
		"whitener": data.Float64Tensor(m.whiten.Matrix, d, d),
		"means":    data.Float64Tensor(m.means, k, d),
		"rows":     data.Float64Tensor(m.rows, k),
	}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadMahalanobis(c Mahalanobis, st *data.Checkpoint) (*MahalanobisModel, error) {
	r := st.Read()
	center := r.Floats("center", -1)
	d := len(center)
	m := &MahalanobisModel{
		whiten:     &part.Projection{D: d, R: d, Center: center, Matrix: r.Floats("whitener", d, d)},
		classes:    r.Strings("classes"),
		rows:       r.Floats("rows", -1),
		predictive: c.Predictive,
	}
	m.means = r.Floats("means", len(m.rows), d)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if k := max(len(m.classes), 1); k != len(m.rows) {
		return nil, fmt.Errorf("%w: %d classes, %d means", data.ErrShape, len(m.classes), len(m.rows))
	}
	return m, nil
}
