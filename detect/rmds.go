package detect

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "squared distance to the nearest class mean less that to the mean of all rows",
	Paper: "ren2021simple",
}, moments.Classes, RMDS.FitMoments, loadRMDS))

// RMDS scores how much farther a row lies from the nearest class mean than from the mean of all rows, each in the metric of its own covariance.
//
// It is the relative Mahalanobis distance of Ren et al. (2021): what makes a row unusual for all classes together, and says
// nothing of them, cancels. It is better than [Mahalanobis] on unfamiliar rows that are near, such as a new kind of a known
// thing, and often worse on those that are far. One pass, O(N·D²+D³) to fit, O(D²+K·D) a row to score.
//
// Fits on: Table N×D with labels for every row, of at least two classes.
// Score:   N values of any sign, difference of squared distances, dimensionless, higher = more unlike any class. Invariant to invertible linear maps of the features but for Ridge.
// Errors:  ErrLabels when a row has no label; ErrDegenerate for one class, whose score would be zero, and when all rows of every class are equal; ErrShape on another width.
// Differs: Ridge is ours; covariances are divided by N, as in the paper.
// Source:  ren2021simple, section 2, eq. (3).
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type RMDS struct {
	// Ridge is added to the diagonals of both covariances, as a share of their own mean variance. Raise it towards 1 when N < 10·D.
	Ridge float64 `default:"1e-6" range:"(0,1e6]" unit:"share of the mean variance"`
}

// Fit learns means and covariances from a table or a stream, in one or two passes.
func (c RMDS) Fit(ctx context.Context, train data.Source) (*RMDSModel, error) {
	return method.FitMoments(ctx, moments.Classes, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c RMDS) FitMoments(s *moments.State) (*RMDSModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	k := len(s.Classes())
	if k < 2 {
		return nil, fmt.Errorf("%w: scores collapse to a constant: with %d class the distances to its mean and to that of all rows are the same; take a detector without classes", method.ErrDegenerate, k)
	}
	within, err := s.PooledCovariance()
	if err != nil {
		return nil, err
	}
	m := &RMDSModel{k: k}
	if m.classes, err = c.whitener(s, within); err != nil {
		return nil, err
	}
	if m.all, err = c.whitener(s, s.Covariance()); err != nil {
		return nil, err
	}
	m.means = m.classes.Points(s.ClassMeans(), k)
	return m, nil
}

func (c RMDS) whitener(s *moments.State, cov []float64) (*part.Projection, error) {
	d, _ := s.Dims()
	if !part.AddRidge(cov, d, c.Ridge) {
		return nil, fmt.Errorf("%w: every class's rows are all equal, so there is no covariance to measure in", method.ErrDegenerate)
	}
	p, ok := part.Whitener(s.Mean(), cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: the covariance stays singular after a ridge of %g; raise --ridge", method.ErrDegenerate, c.Ridge)
	}
	return p, nil
}

// RMDSModel is a fitted [RMDS].
type RMDSModel struct {
	classes, all *part.Projection // D×D, about the mean of all rows
	k            int
	means        []float64 // whitened, K×D
}

// Score returns each row's relative distance.
func (m *RMDSModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("rmds", in, m.all.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out := make([]float64, n)
	m.classes.SquaredDistances(in.X(), n, m.classes.Targets(m.means, m.k), func(row int, squared []float64) { out[row] = slices.Min(squared) })
	m.all.SquaredDistances(in.X(), n, m.all.Targets(make([]float64, m.all.R), 1), func(row int, squared []float64) { out[row] -= squared[0] }) // eq. (3)
	return out, nil
}

// State returns the model as tensors.
func (m *RMDSModel) State() *data.Checkpoint {
	d := m.all.D
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":  data.Float64Tensor(m.all.Center, d),
		"classes": data.Float64Tensor(m.classes.Matrix, d, d),
		"all":     data.Float64Tensor(m.all.Matrix, d, d),
		"means":   data.Float64Tensor(m.means, m.k, d),
	}}
}

func loadRMDS(_ RMDS, st *data.Checkpoint) (*RMDSModel, error) {
	r := st.Read()
	center := r.Floats("center", -1)
	d := len(center)
	m := &RMDSModel{
		classes: &part.Projection{D: d, R: d, Center: center, Matrix: r.Floats("classes", d, d)},
		all:     &part.Projection{D: d, R: d, Center: center, Matrix: r.Floats("all", d, d)},
		means:   r.Floats("means", -1, d),
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if d == 0 || len(m.means) == 0 {
		return nil, fmt.Errorf("%w: %d means of %d columns", data.ErrShape, len(m.means), d)
	}
	m.k = len(m.means) / d
	return m, nil
}
