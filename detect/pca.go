package detect

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromMoments(method.Info{
	Title: "distance from the training rows' principal components",
	Paper: "shyu2003novel",
}, 0, PCA.FitMoments, loadPCA))

// PCA scores how far a row lies from the mean of the training rows along their principal components, or beside them.
//
// It is the classifier of Shyu et al. (2003) and its plainer relative, the reconstruction error: columns are brought to
// mean 0 and deviation 1, and their correlations' principal components show what usually goes together. One pass,
// O(N·D²+D³) to fit, O(R·D) a row to score; fits from a moments state, so rows can be added, merged and forgotten. Prefer it
// when columns are many and correlated; with Strategy weighted and little to leave out it nears [Mahalanobis] without classes.
//
// Fits on: Table N×D with N ≥ 2 rows that are not all equal; labels are ignored. A constant column says nothing.
// Score:   N values ≥ 0, dimensionless, higher = more unlike training: squared coordinates added up over the components that count, as they are or each over its variance on the training rows.
// Errors:  ErrDegenerate when all rows are equal, or when no component is left to count; ErrShape on another width.
// Differs: one score instead of two thresholds, on the leading and on the trailing components. Components without variance are left out. PyOD's detector of this name adds up distances between a row and the unit eigenvectors as if both were points: nearly the length of the standardised row.
// Source:  shyu2003novel, section 3.
// Claim:   claims/detect/pca.go.
type PCA struct {
	// Strategy says what counts: weighted, squares over variances along the leading components, up to Share of the variance, and along the trailing ones whose variance is below 0.2 of the mean, the paper's choice; or reconstruction, squares along all but the leading components, what a reconstruction from these misses.
	Strategy string `default:"weighted" enum:"weighted,reconstruction"`
	// Share of the variance that the leading components carry. The paper takes 0.5; over 40 real sets 0.9 did better, and no direction of columns that are hardly correlated goes unseen.
	Share float64 `default:"0.9" range:"(0,1)"`
	// NoStandardize leaves columns in their own units, for columns that share one, such as features of one layer; components are then those of the covariance.
	NoStandardize bool
}

// pcaMinor is the variance, as a share of the mean, below which a component is one of the trailing ones: the paper's 0.2 on
// correlations, whose mean is one.
const pcaMinor = 0.2

// Fit learns the components from a table or a stream, in one or two passes.
func (c PCA) Fit(ctx context.Context, train data.Source) (*PCAModel, error) {
	return method.FitMoments(ctx, 0, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c PCA) FitMoments(s *moments.State) (*PCAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	cov := s.Covariance()
	d, _ := s.Dims()
	var varying []int
	unit := make([]float64, d)
	for j := range d {
		if v := cov[j*d+j]; v > 0 {
			varying = append(varying, j)
			if unit[j] = 1; !c.NoStandardize {
				unit[j] = 1 / math.Sqrt(v)
			}
		}
	}
	m := len(varying)
	if m == 0 {
		return nil, collapsedRows(s.Rows())
	}
	inner := make([]float64, m*m)
	for a, i := range varying {
		for b, j := range varying {
			inner[a*m+b] = cov[i*d+j] * unit[i] * unit[j]
		}
	}
	values, vectors, rank, ok := part.Spectrum(inner, m)
	if !ok || rank == 0 {
		return nil, fmt.Errorf("%w: the covariance has no principal components", method.ErrDegenerate)
	}
	total := 0.0
	for _, v := range values[:rank] {
		total += v
	}
	weights := c.weights(values[:rank], total)
	kept := 0
	for _, w := range weights {
		if w > 0 {
			kept++
		}
	}
	if kept == 0 {
		return nil, fmt.Errorf("%w: the leading components carry a share of %g of the variance and none is left; lower --share", method.ErrDegenerate, c.Share)
	}
	p := &part.Projection{D: d, R: kept, Center: s.Mean(), Matrix: make([]float64, d*kept)}
	at := 0
	for k, w := range weights {
		if w == 0 {
			continue
		}
		for a, i := range varying {
			p.Matrix[i*kept+at] = unit[i] * vectors[a*m+k] * w
		}
		at++
	}
	return &PCAModel{p, values}, nil
}

// weights returns what a coordinate along each component is multiplied by, 0 for one that does not count.
func (c PCA) weights(values []float64, total float64) []float64 {
	w, carried := make([]float64, len(values)), 0.0
	for k, v := range values {
		leading := carried < c.Share*total
		carried += v
		switch {
		case c.Strategy == "reconstruction" && !leading:
			w[k] = 1
		case c.Strategy == "weighted" && (leading || v < pcaMinor*total/float64(len(values))):
			w[k] = 1 / math.Sqrt(v)
		}
	}
	return w
}

// PCAModel is a fitted [PCA].
type PCAModel struct {
	onto     *part.Projection // D×R
	spectrum []float64
}

// Score returns how far each row lies from the components that do not count, or along those that do.
func (m *PCAModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("pca", in, m.onto.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out, r := make([]float64, n), m.onto.R
	m.onto.Each(in.X(), n, func(lo, hi int, z []float64) {
		for i := range hi - lo {
			out[lo+i] = num.SquaredNorm(z[i*r : (i+1)*r])
		}
	})
	return out, nil
}

// Components returns R, how many components count.
func (m *PCAModel) Components() int { return m.onto.R }

// Spectrum returns the variances along all principal components of the columns that vary, largest first. The caller must not change it.
func (m *PCAModel) Spectrum() []float64 { return m.spectrum }

// State returns the model as tensors.
func (m *PCAModel) State() *data.Checkpoint {
	d, r := m.onto.D, m.onto.R
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":     data.Float64Tensor(m.onto.Center, d),
		"components": data.Float64Tensor(m.onto.Matrix, d, r),
		"spectrum":   data.Float64Tensor(m.spectrum, len(m.spectrum)),
	}}
}

func loadPCA(_ PCA, st *data.Checkpoint) (*PCAModel, error) {
	r := st.Read()
	center := r.Floats("center", -1)
	d := len(center)
	m := &PCAModel{onto: &part.Projection{D: d, Center: center, Matrix: r.Floats("components", d, -1)}, spectrum: r.Floats("spectrum", -1)}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if d == 0 || len(m.onto.Matrix) == 0 {
		return nil, fmt.Errorf("%w: components of %d values for %d columns", data.ErrShape, len(m.onto.Matrix), d)
	}
	m.onto.R = len(m.onto.Matrix) / d
	return m, nil
}
