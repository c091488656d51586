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
	Title: "distance to the mean of normal rows under a shrunk covariance, with a χ² threshold",
	Paper: "rippel2021gaussian",
}, 0, GaussianAD.FitMoments, loadGaussianAD))

// GaussianAD scores how far a row lies from the mean of normal rows, in the metric of their shrunk covariance.
//
// It is the anomaly detector of Rippel et al. (2021) on one layer of frozen features: no network, no anomalies, one pass,
// O(N·D²+D³) to fit, O(D²) a row to score. It is made for a few hundred good parts and no defects. Labels are ignored: all
// rows are normal. Prefer it when normal is one cloud; prefer [Mahalanobis] when it has labelled classes, [KNN] when it has no shape.
//
// Fits on: Table N×D with N ≥ 2. Without shrinkage N must exceed the number of columns that vary.
// Score:   N values ≥ 0, Mahalanobis distance (not squared), dimensionless, higher = more unlike the normal rows. Its square is χ² with R degrees of freedom on new Gaussian rows when N ≫ R, the number of directions kept.
// Errors:  ErrDegenerate when no direction varies or is kept, or when N rows cannot give the covariance asked for; ErrShape on another width.
// Differs: one layer instead of a sum of distances over nine. Directions without variance are left out, and counted. The intensity of Ledoit–Wolf in a subspace takes the fourth moment from that of all columns, as it is in elliptical distributions, because moments do not hold the subspace's own; OAS and none are ours.
// Source:  rippel2021gaussian, section III; ledoit2004well; chen2010shrinkage.
// Claim:   claims/detect/gaussianad.go.
type GaussianAD struct {
	// Shrinkage moves the covariance towards a multiple of the identity: as far as Ledoit and Wolf estimate, the paper's choice; as far as the oracle-approximating estimate says, which takes rows to be Gaussian; or not at all, which makes scores invariant to linear maps and needs many more rows than columns.
	Shrinkage string `default:"ledoit-wolf" enum:"ledoit-wolf,oas,none"`
	// Components are the principal components that count: all, the leading ones up to Share of the variance (the paper's PCA), or the trailing ones after them (NPCA), in which the paper finds most anomalies. Shrinkage is estimated anew among those kept.
	Components string `default:"all" enum:"all,leading,trailing"`
	// Share of the variance that the leading components carry, when Components is not all. The paper tries 0.99, 0.999 and 0.9999.
	Share float64 `default:"0.99" range:"(0,1)"`
}

// Fit learns mean and covariance from a table or a stream, in one or two passes.
func (c GaussianAD) Fit(ctx context.Context, train data.Source) (*GaussianADModel, error) {
	return method.FitMoments(ctx, 0, train, c.FitMoments)
}

// FitMoments learns the same from a moments state.
func (c GaussianAD) FitMoments(s *moments.State) (*GaussianADModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	cov := s.Covariance()
	d, _ := s.Dims()
	varying := 0
	for j := range d {
		if cov[j*d+j] > 0 {
			varying++
		}
	}
	if varying == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so there is no covariance to measure in", method.ErrDegenerate, s.Rows())
	}
	var m *GaussianADModel
	var err error
	if c.Components == "all" {
		m, err = c.fitAll(s, cov)
	} else {
		m, err = c.fitSome(s, cov)
	}
	// Leading components can be few enough for few rows; the others cannot.
	if n := s.Rows(); err == nil && m.intensity == 0 && n <= varying && c.Components != "leading" {
		return nil, fmt.Errorf("%w: %d rows leave the covariance of %d varying columns singular and it is not shrunk; give more rows than columns, or choose --shrinkage oas or --components leading", method.ErrDegenerate, n, varying)
	}
	return m, err
}

func (c GaussianAD) fitAll(s *moments.State, cov []float64) (*GaussianADModel, error) {
	d, _ := s.Dims()
	intensity := c.shrink(cov, d, s.Rows(), s.FourthMoment(cov))
	whiten, ok := part.RankWhitener(s.Mean(), cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: the covariance cannot be inverted", method.ErrDegenerate)
	}
	return &GaussianADModel{whiten: whiten, intensity: intensity, dropped: d - whiten.R}, nil
}

func (c GaussianAD) fitSome(s *moments.State, cov []float64) (*GaussianADModel, error) {
	d, _ := s.Dims()
	values, vectors, rank, ok := part.Spectrum(cov, d)
	if !ok || rank == 0 {
		return nil, fmt.Errorf("%w: the covariance has no principal components", method.ErrDegenerate)
	}
	total, square := 0.0, 0.0
	for _, v := range values[:rank] {
		total, square = total+v, square+v*v
	}
	lead, carried := 0, 0.0
	for lead < rank && carried < c.Share*total {
		carried += values[lead]
		lead++
	}
	from, to := 0, lead
	if c.Components == "trailing" {
		from, to = lead, rank
	}
	if from == to {
		return nil, fmt.Errorf("%w: the leading %d components carry a share of %g of the variance and none is left; lower --share", method.ErrDegenerate, lead, c.Share)
	}
	// Along principal components the covariance is diagonal, and E‖x−µ‖⁴ = κ·(2·tr C² + (tr C)²) for one κ in all of an
	// elliptical distribution's subspaces; κ = 1 for a Gaussian one.
	kurtosis := s.FourthMoment(cov) / (2*square + total*total)
	r, trace := to-from, 0.0
	square = 0
	diagonal := make([]float64, r*r)
	for k, v := range values[from:to] {
		diagonal[k*r+k] = v
		trace, square = trace+v, square+v*v
	}
	m := &GaussianADModel{spectrum: values, dropped: d - rank}
	m.intensity = c.shrink(diagonal, r, s.Rows(), kurtosis*(2*square+trace*trace))
	variances := make([]float64, r)
	for k := range variances {
		variances[k] = diagonal[k*r+k]
	}
	m.whiten = &part.Projection{D: d, R: r, Center: s.Mean(), Matrix: part.Whitening(vectors, d, from, to, variances)}
	return m, nil
}

// shrink shrinks a d×d covariance over n rows in place and returns the intensity.
func (c GaussianAD) shrink(cov []float64, d, n int, fourth float64) float64 {
	switch c.Shrinkage {
	case "ledoit-wolf":
		return moments.LedoitWolf(cov, d, n, fourth)
	case "oas":
		return moments.OAS(cov, d, n)
	}
	return 0
}

// GaussianADModel is a fitted [GaussianAD].
type GaussianADModel struct {
	whiten    *part.Projection // D×R
	intensity float64
	spectrum  []float64 // D, or none
	dropped   int
}

// Score returns each row's distance to the mean.
func (m *GaussianADModel) Score(in *data.Table) ([]float64, error) {
	if err := width("gaussianad", in, m.whiten.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out, r := make([]float64, n), m.whiten.R
	m.whiten.Each(in.X(), n, func(lo, hi int, z []float64) {
		num.SquaredNorms(out[lo:hi], z, hi-lo, r)
		for i := lo; i < hi; i++ {
			out[i] = math.Sqrt(out[i])
		}
	})
	return out, nil
}

// Threshold returns the score that a share p of normal rows stays below if they are Gaussian and there were many more
// rows than directions; the paper takes p = 0.9973. From fewer rows it raises more false alarms than 1 − p: choose it on
// rows kept back then. Errors: ErrConfig when p is outside (0, 1).
func (m *GaussianADModel) Threshold(p float64) (float64, error) {
	if !(p > 0 && p < 1) {
		return 0, fmt.Errorf("gaussianad: %w: a threshold for a share of %g of normal rows, want one within (0,1)", method.ErrConfig, p)
	}
	return math.Sqrt(part.ChiSquaredQuantile(p, m.whiten.R)), nil
}

// Directions returns R, how many directions count.
func (m *GaussianADModel) Directions() int { return m.whiten.R }

// Dropped returns how many directions were left out because the normal rows do not vary in them.
func (m *GaussianADModel) Dropped() int { return m.dropped }

// Intensity returns the shrinkage intensity, 0 (none) to 1 (a multiple of the identity).
func (m *GaussianADModel) Intensity() float64 { return m.intensity }

// Spectrum returns the variances along all D principal components before shrinkage, largest first, and nil when
// Components is all, which needs none. The caller must not change it.
func (m *GaussianADModel) Spectrum() []float64 { return m.spectrum }

// State returns the model as tensors.
func (m *GaussianADModel) State() *data.Checkpoint {
	d, r := m.whiten.D, m.whiten.R
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":    data.Float64Tensor(m.whiten.Center, d),
		"whitener":  data.Float64Tensor(m.whiten.Matrix, d, r),
		"intensity": data.Float64Tensor([]float64{m.intensity}, 1),
		"spectrum":  data.Float64Tensor(m.spectrum, len(m.spectrum)),
		"dropped":   data.Int64Tensor([]int64{int64(m.dropped)}, 1),
	}}
}

func loadGaussianAD(_ GaussianAD, st *data.Checkpoint) (*GaussianADModel, error) {
	r := st.Read()
	center := r.Floats("center", -1)
	d := len(center)
	m := &GaussianADModel{whiten: &part.Projection{D: d, Center: center, Matrix: r.Floats("whitener", d, -1)}}
	intensity, dropped := r.Floats("intensity", 1), r.Floats("dropped", 1)
	m.spectrum = r.Floats("spectrum", -1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if d == 0 || len(m.whiten.Matrix) == 0 {
		return nil, fmt.Errorf("%w: a whitener of %d values for %d columns", data.ErrShape, len(m.whiten.Matrix), d)
	}
	if len(m.spectrum) == 0 {
		m.spectrum = nil
	}
	m.whiten.R = len(m.whiten.Matrix) / d
	m.intensity, m.dropped = intensity[0], int(dropped[0])
	return m, nil
}
