package detect

import (
	"context"
	"fmt"
	"math"
	"slices"

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
// It is the anomaly detector of Rippel et al. (2021) on frozen features: no network, no anomalies, one pass, O(N·D²+D³) to
// fit, O(D²) a row to score. It is made for a few hundred good parts and no defects. Labels are ignored: all rows are normal.
// Features of several layers stand side by side in a row; each layer has a mean and a covariance of its own, and their
// distances are added up. Prefer it when normal is one cloud; prefer [Mahalanobis] when it has labelled classes, [KNN] when
// it has no shape.
//
// Fits on: Table N×D with N ≥ 2. Without shrinkage N must exceed the number of columns that vary.
// Score:   N values ≥ 0, Mahalanobis distance (not squared), dimensionless, higher = more unlike the normal rows; of several layers the sum. A layer's square is χ² with R degrees of freedom on new Gaussian rows when N ≫ R, the number of directions kept; [GaussianADModel.FalseAlarms] says what it is otherwise.
// Errors:  ErrDegenerate when no direction varies or is kept, or when N rows cannot give the covariance asked for; ErrShape on another width, or when Layers do not add up.
// Differs: directions without variance are left out, and counted. The intensity of Ledoit–Wolf in a subspace, or in one of several layers, takes the fourth moment from that of all columns, as it is in elliptical distributions, because moments do not hold its own; OAS and none are ours.
// Source:  rippel2021gaussian, section III; ledoit2004well; chen2010shrinkage.
// Claim:   claims/detect/gaussianad.go.
type GaussianAD struct {
	// Layers are the widths of the layers whose features stand side by side in a row, first to last; the paper has nine. Empty is one layer of all columns.
	Layers []int `range:"[1,)" unit:"columns"`
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
	d, _ := s.Dims()
	spans, err := layerSpans(c.Layers, d)
	if err != nil {
		return nil, err
	}
	cov, center := s.Covariance(), s.Mean()
	fourth := s.FourthMoment(cov)
	kurtosis := gaussianADKurtosis(fourth, cov, d)
	m := &GaussianADModel{rows: s.Rows()}
	for l, span := range spans {
		block := span.block(cov, d)
		if len(spans) > 1 {
			fourth = kurtosis * gaussianADFourth(block, span.width())
		}
		layer, err := c.fitLayer(center[span.from:span.to], block, s.Rows(), fourth)
		if err != nil {
			if len(spans) > 1 {
				err = fmt.Errorf("layer %d of %d: %w", l+1, len(spans), err)
			}
			return nil, err
		}
		layer.span = span
		layer.inverse = gaussianADTraces(layer.whiten)
		m.layers = append(m.layers, *layer)
	}
	return m, nil
}

// gaussianADTraces are those of the covariance's inverse W·Wᵀ and of its square.
func gaussianADTraces(w *part.Projection) (t [2]float64) {
	gram := make([]float64, w.R*w.R)
	num.Gemm(true, false, w.R, w.R, w.D, 1, w.Matrix, w.R, w.Matrix, w.R, 0, gram, w.R)
	for i := range w.R {
		t[0] += gram[i*w.R+i]
	}
	t[1] = num.SquaredNorm(gram)
	return t
}

// gaussianADFloor is the variance that shrinking by the intensity adds to every direction.
func gaussianADFloor(intensity float64, cov []float64, d int) float64 {
	trace := 0.0
	for j := range d {
		trace += cov[j*d+j]
	}
	return intensity * trace / float64(d) // shrinkage keeps the trace
}

// gaussianADFourth is E‖x−µ‖⁴ of Gaussian rows: 2·tr C² + (tr C)². It is κ times that in all of an elliptical
// distribution's subspaces, with one κ.
func gaussianADFourth(cov []float64, d int) float64 {
	trace, square := 0.0, 0.0
	for i := range d {
		trace += cov[i*d+i]
		for _, v := range cov[i*d : i*d+d] {
			square += v * v
		}
	}
	return 2*square + trace*trace
}

func gaussianADKurtosis(fourth float64, cov []float64, d int) float64 {
	if g := gaussianADFourth(cov, d); g > 0 {
		return fourth / g
	}
	return 1
}

// fitLayer learns from the mean and the covariance of n rows and their fourth moment.
func (c GaussianAD) fitLayer(center, cov []float64, n int, fourth float64) (*gaussianADLayer, error) {
	d := len(center)
	varying := 0
	for j := range d {
		if cov[j*d+j] > 0 {
			varying++
		}
	}
	if varying == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so there is no covariance to measure in", method.ErrDegenerate, n)
	}
	var m *gaussianADLayer
	var err error
	if c.Components == "all" {
		m, err = c.fitAll(center, cov, n, fourth)
	} else {
		m, err = c.fitSome(center, cov, n, fourth)
	}
	// Leading components can be few enough for few rows; the others cannot.
	if err == nil && m.intensity == 0 && n <= varying && c.Components != "leading" {
		return nil, fmt.Errorf("%w: %d rows leave the covariance of %d varying columns singular and it is not shrunk; give more rows than columns, or choose --shrinkage oas or --components leading", method.ErrDegenerate, n, varying)
	}
	return m, err
}

func (c GaussianAD) fitAll(center, cov []float64, n int, fourth float64) (*gaussianADLayer, error) {
	d := len(center)
	intensity := c.shrink(cov, d, n, fourth)
	whiten, ok := part.RankWhitener(center, cov, d)
	if !ok {
		return nil, fmt.Errorf("%w: the covariance cannot be inverted", method.ErrDegenerate)
	}
	return &gaussianADLayer{whiten: whiten, intensity: intensity, floor: gaussianADFloor(intensity, cov, d)}, nil
}

func (c GaussianAD) fitSome(center, cov []float64, n int, fourth float64) (*gaussianADLayer, error) {
	d := len(center)
	values, vectors, rank, ok := part.Spectrum(cov, d)
	if !ok || rank == 0 {
		return nil, fmt.Errorf("%w: the covariance has no principal components", method.ErrDegenerate)
	}
	total := 0.0
	for _, v := range values[:rank] {
		total += v
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
	r := to - from
	diagonal := make([]float64, r*r) // along principal components the covariance is diagonal
	for k, v := range values[from:to] {
		diagonal[k*r+k] = v
	}
	m := &gaussianADLayer{spectrum: values, rank: rank}
	m.intensity = c.shrink(diagonal, r, n, gaussianADKurtosis(fourth, cov, d)*gaussianADFourth(diagonal, r))
	m.floor = gaussianADFloor(m.intensity, diagonal, r)
	variances := make([]float64, r)
	for k := range variances {
		variances[k] = diagonal[k*r+k]
	}
	m.whiten = &part.Projection{D: d, R: r, Center: center, Matrix: part.Whitening(vectors, d, from, to, variances)}
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
	rows   int
	layers []gaussianADLayer
}

type gaussianADLayer struct {
	span      layerSpan
	whiten    *part.Projection // D×R
	intensity float64
	floor     float64    // the variance that shrinkage added to every direction
	inverse   [2]float64 // traces of the shrunk covariance's inverse and of its square
	spectrum  []float64  // D, or none
	rank      int        // how many of the spectrum are more than rounding
}

// Score returns each row's distance to the mean, or the sum of those in its layers.
func (m *GaussianADModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("gaussianad", in, m.layers[len(m.layers)-1].span.to); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	out := make([]float64, n)
	for _, layer := range m.layers {
		r := layer.whiten.R
		layer.whiten.Each(layer.span.rows(in.X(), n, d), n, func(lo, hi int, z []float64) {
			squared := make([]float64, hi-lo)
			num.SquaredNorms(squared, z, hi-lo, r)
			for i, v := range squared {
				out[lo+i] += math.Sqrt(v)
			}
		})
	}
	return out, nil
}

// level is the share of normal rows that each layer's distance must stay below: whatever the layers have to do
// with each other, no more than the sum of their exceptions is above in any.
func (m *GaussianADModel) level(p float64) (float64, error) {
	if !(p > 0 && p < 1) {
		return 0, fmt.Errorf("gaussianad: %w: a threshold for a share of %g of normal rows, want one within (0,1)", method.ErrConfig, p)
	}
	return 1 - (1-p)/float64(len(m.layers)), nil
}

// Threshold returns the score that a share p of normal rows stays below if they are Gaussian and there were many more
// rows than directions; the paper takes p = 0.9973. Of several layers it is the sum of their thresholds for exceptions of
// (1−p)/L each, so that the share is p or more. From fewer rows it raises more false alarms than 1 − p, as
// [GaussianADModel.FalseAlarms] says: choose it on rows kept back then. Errors: ErrConfig when p is outside (0, 1).
func (m *GaussianADModel) Threshold(p float64) (float64, error) {
	q, err := m.level(p)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, layer := range m.layers {
		sum += math.Sqrt(part.ChiSquaredQuantile(q, layer.whiten.R))
	}
	return sum, nil
}

// FalseAlarms returns the share of new Gaussian rows that exceed Threshold(p) when mean and covariance were learned from as
// few rows as these were: by Hotelling's law for a covariance that is not shrunk, 1 when there are no more rows than
// directions; by the limit law of large covariances for a shrunk one. Rows that are not Gaussian raise more. Of several
// layers it is a bound. calibrated says that it is within a factor of two of 1 − p: the threshold may be used as it is, if the rows are
// Gaussian. Errors: as Threshold.
func (m *GaussianADModel) FalseAlarms(p float64) (expected float64, calibrated bool, err error) {
	q, err := m.level(p)
	if err != nil {
		return 0, false, err
	}
	for _, layer := range m.layers {
		expected += part.ShrunkTail(part.ChiSquaredQuantile(q, layer.whiten.R), m.rows, layer.whiten.R, layer.intensity, layer.floor, layer.inverse[0], layer.inverse[1])
	}
	expected = min(expected, 1)
	return expected, expected <= 2*(1-p) && expected >= (1-p)/2, nil
}

// GaussianADLayer says what was learned of a layer.
type GaussianADLayer struct {
	Columns    int
	Directions int       // R: how many count
	Dropped    int       // directions left out because the normal rows do not vary in them
	Intensity  float64   // of shrinkage, 0 (none) to 1 (a multiple of the identity)
	Spectrum   []float64 // the variances along all principal components before shrinkage, largest first; nil when Components is all, which needs none
}

// Layers returns what was learned of each layer, first to last.
func (m *GaussianADModel) Layers() []GaussianADLayer {
	var out []GaussianADLayer
	for _, l := range m.layers {
		d := l.whiten.D
		rank := l.whiten.R
		if l.spectrum != nil {
			rank = l.rank
		}
		out = append(out, GaussianADLayer{d, l.whiten.R, d - rank, l.intensity, slices.Clone(l.spectrum)})
	}
	return out
}

// gaussianADShare is the share of normal rows whose threshold is written down with the model, the paper's.
const gaussianADShare = 0.9973

// State returns the model as tensors, those of the l-th layer with its number before their names. What was learned of each
// layer, the threshold and whether it can be trusted stand in its metadata.
func (m *GaussianADModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{"rows": data.Int64Tensor([]int64{int64(m.rows)}, 1), "layers": data.Int64Tensor([]int64{int64(len(m.layers))}, 1)}}
	for l, layer := range m.Layers() {
		st.Meta[fmt.Sprintf("gaussianad.layer %d", l+1)] = fmt.Sprintf("%d columns: %d directions count, %d do not vary; shrinkage %.4g", layer.Columns, layer.Directions, layer.Dropped, layer.Intensity)
	}
	if limit, err := m.Threshold(gaussianADShare); err == nil {
		expected, calibrated, _ := m.FalseAlarms(gaussianADShare)
		advice := ""
		if !calibrated {
			advice = fmt.Sprintf("; from only %d rows, with this shrinkage, it is %.2g: choose a threshold on rows kept back", m.rows, expected)
		}
		st.Meta["gaussianad.threshold"] = fmt.Sprintf("%.6g, above which %.4f of normal rows are if they are Gaussian and many were learned%s", limit, 1-gaussianADShare, advice)
	}
	for l, layer := range m.layers {
		d, r := layer.whiten.D, layer.whiten.R
		st.Add(fmt.Sprintf("%d/", l+1), &data.Checkpoint{Tensors: map[string]data.Tensor{
			"center":    data.Float64Tensor(layer.whiten.Center, d),
			"whitener":  data.Float64Tensor(layer.whiten.Matrix, d, r),
			"shrinkage": data.Float64Tensor([]float64{layer.intensity, layer.floor, layer.inverse[0], layer.inverse[1]}, 4),
			"spectrum":  data.Float64Tensor(layer.spectrum, len(layer.spectrum)),
			"rank":      data.Int64Tensor([]int64{int64(layer.rank)}, 1),
		}})
	}
	return st
}

func loadGaussianAD(c GaussianAD, st *data.Checkpoint) (*GaussianADModel, error) {
	counts := [2]int64{}
	for i, name := range []string{"rows", "layers"} {
		v, _, err := st.Ints(name, 1)
		if err != nil {
			return nil, err
		}
		counts[i] = v[0]
	}
	m := &GaussianADModel{rows: int(counts[0])}
	if want := max(len(c.Layers), 1); counts[1] != int64(want) || m.rows < 1 {
		return nil, fmt.Errorf("%w: a state of %d rows and %d layers, the configuration has %d layers", data.ErrShape, m.rows, counts[1], want)
	}
	at := 0
	for l := range int(counts[1]) {
		r := st.Prefix(fmt.Sprintf("%d/", l+1)).Read()
		center := r.Floats("center", -1)
		d := len(center)
		layer := gaussianADLayer{span: layerSpan{at, at + d}, whiten: &part.Projection{D: d, Center: center, Matrix: r.Floats("whitener", d, -1)}}
		intensity, rank := r.Floats("shrinkage", 4), r.Floats("rank", 1)
		layer.spectrum = r.Floats("spectrum", -1)
		if err := r.Err(); err != nil {
			return nil, err
		}
		if d == 0 || len(layer.whiten.Matrix) == 0 {
			return nil, fmt.Errorf("%w: a whitener of %d values for %d columns", data.ErrShape, len(layer.whiten.Matrix), d)
		}
		if len(layer.spectrum) == 0 {
			layer.spectrum = nil
		}
		layer.whiten.R = len(layer.whiten.Matrix) / d
		layer.intensity, layer.floor, layer.inverse, layer.rank = intensity[0], intensity[1], [2]float64(intensity[2:]), int(rank[0])
		m.layers = append(m.layers, layer)
		at += d
	}
	return m, nil
}
