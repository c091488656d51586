package detect

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.Refined(method.FromMoments(method.Info{
	Title: "squared distance to the nearest class mean under one shared covariance",
	Paper: "lee2018simple", Default: true,
}, 0, Mahalanobis.FitMoments, loadMahalanobis), (*MahalanobisModel).Combine))

// Mahalanobis scores how far a row lies from the nearest class mean, in the metric of the classes' pooled covariance.
//
// It is the detector of Lee et al. (2018) on frozen features: no network, one pass, O(N·D²+D³) to fit, O(D²+K·D) a row to
// score. Prefer it when classes are roughly Gaussian; prefer [KNN] when no shape can be assumed. Features of several layers
// stand side by side in a row; each layer has means and a covariance of its own, and the layers' distances are added up:
// alike at first, with weights learned from unfamiliar rows after [MahalanobisModel.Combine].
//
// Fits on: Table N×D with N ≥ 2; labels for every row, or for none (then one class).
// Score:   N values ≥ 0, squared distance, dimensionless, higher = more unlike training. To a row's own class mean it is χ² with D degrees of freedom. Of several layers each is divided by √(2·D) of its own D, χ²'s standard deviation, before they are added. After Combine: natural log odds of being unfamiliar.
// Predict: N×K posterior probabilities of the classes under equal priors, by the last layer; needs labels.
// Logits:  N×K, −½ squared distance to each class mean; their softmax is Predict.
// Update:  the model that has also learned the task's rows, of old classes or new ones: what a fit on all rows gives, but for rounding.
// Errors:  ErrLabels when only some rows have labels; ErrDegenerate when all rows of every class are equal; ErrShape on another width, or when Layers do not add up.
// Differs: without unfamiliar rows, the paper weighs layers by attacked rows; here they count alike (attacked rows may be given to Combine). Weights are never below zero: no row becomes more familiar by lying farther away. Inputs are perturbed once, for the sum ([MahalanobisModel.ScorePerturbed]), not once a layer. Update weighs classes by their rows, the paper all alike. Ridge and Predictive are ours.
// Source:  lee2018simple, eq. (1)-(4), algorithms 1 and 2.
// Claim:   claims/detect/mahalanobis.go.
type Mahalanobis struct {
	// Layers are the widths of the layers whose features stand side by side in a row, first to last. Empty is one layer of all columns.
	Layers []int `range:"[1,)" unit:"columns"`
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
	d, _ := s.Dims()
	spans, err := layerSpans(c.Layers, d)
	if err != nil {
		return nil, err
	}
	sums, err := mahalanobisPooled(s)
	if err != nil {
		return nil, err
	}
	return c.learn(spans, sums)
}

func mahalanobisPooled(s *moments.State) (*part.Pooled, error) {
	cov, err := s.PooledCovariance() // eq. (1)
	if err != nil {
		return nil, err
	}
	p := &part.Pooled{Classes: s.Classes(), Center: s.Mean(), Means: s.ClassMeans(), Cov: cov}
	names := p.Classes
	if len(names) == 0 { // without labels all rows are one class
		p.Means, names = s.Mean(), []string{""}
	}
	for _, name := range names {
		p.Rows = append(p.Rows, float64(s.Count(name)))
	}
	return p, nil
}

// learn makes a model in which all layers count alike.
func (c Mahalanobis) learn(spans []layerSpan, s *part.Pooled) (*MahalanobisModel, error) {
	m := &MahalanobisModel{config: c, spans: spans, classes: s.Classes, rows: s.Rows}
	d := len(s.Center)
	for l, span := range spans {
		cov := span.block(s.Cov, d)
		if !part.AddRidge(cov, span.width(), c.Ridge) {
			return nil, fmt.Errorf("%w: every class's rows are all equal%s, so there is no covariance to measure in", method.ErrDegenerate, mahalanobisIn(l, spans))
		}
		whiten, ok := part.Whitener(s.Center[span.from:span.to], cov, span.width())
		if !ok {
			return nil, fmt.Errorf("%w: the covariance%s stays singular after a ridge of %g; raise --ridge", method.ErrDegenerate, mahalanobisIn(l, spans), c.Ridge)
		}
		m.whiten = append(m.whiten, whiten)
		m.means = append(m.means, whiten.Points(span.points(s.Means, d), len(s.Rows)))
		m.targets = append(m.targets, whiten.Targets(m.means[l], len(s.Rows)))
	}
	m.weights = mahalanobisAlike(spans)
	return m, nil
}

// mahalanobisIn names one of several layers for a message.
func mahalanobisIn(l int, spans []layerSpan) string {
	if len(spans) == 1 {
		return ""
	}
	return fmt.Sprintf(" in layer %d of %d", l+1, len(spans))
}

// mahalanobisAlike are the weights that give layers' squared distances one standard deviation, if rows are Gaussian; a lone layer keeps its own.
func mahalanobisAlike(spans []layerSpan) []float64 {
	if len(spans) == 1 {
		return []float64{1}
	}
	var w []float64
	for _, span := range spans {
		w = append(w, 1/math.Sqrt(2*float64(span.width())))
	}
	return w
}

// MahalanobisModel is a fitted [Mahalanobis].
type MahalanobisModel struct {
	config  Mahalanobis
	spans   []layerSpan
	whiten  []*part.Projection // of each layer, D×D
	means   [][]float64        // of each layer, whitened, max(K,1)×D
	targets []*part.Targets    // the means, to measure distances to
	classes []string           // K, or none
	rows    []float64          // behind each mean
	weights []float64          // of each layer's squared distance in the score
	bias    float64
}

// width is the columns of all layers.
func (m *MahalanobisModel) width() int { return m.spans[len(m.spans)-1].to }

// Weights returns what each layer's squared distance is multiplied by in the score, and what is added to it.
func (m *MahalanobisModel) Weights() (weights []float64, bias float64) {
	return slices.Clone(m.weights), m.bias
}

// distances calls f with each row's squared distance to every class mean in a layer; rows come in any order, several at once.
func (m *MahalanobisModel) distances(in *data.Table, layer int, f func(row int, squared []float64)) error {
	if err := method.Width("mahalanobis", in, m.width()); err != nil {
		return err
	}
	n, d := in.Dims()
	m.whiten[layer].SquaredDistances(m.spans[layer].rows(in.X(), n, d), n, m.targets[layer], func(row int, squared []float64) {
		for k := range squared {
			squared[k] /= m.expected(k)
		}
		f(row, squared)
	})
	return nil
}

// expected is the share of its degrees of freedom that a new row's squared distance to its own class mean has on average.
func (m *MahalanobisModel) expected(k int) float64 {
	if m.config.Predictive {
		return 1 + 1/m.rows[k]
	}
	return 1
}

// layers returns each row's squared distance to the nearest class mean in every layer, N×L: eq. (2), its sign turned.
func (m *MahalanobisModel) layers(in *data.Table) ([]float64, error) {
	n, _ := in.Dims()
	l := len(m.spans)
	out := make([]float64, n*l)
	for j := range l {
		if err := m.distances(in, j, func(row int, squared []float64) { out[row*l+j] = slices.Min(squared) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Score returns each row's squared distance to the nearest class mean, or the sum of those of its layers.
func (m *MahalanobisModel) Score(in *data.Table) ([]float64, error) {
	squared, err := m.layers(in)
	if err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out, l := make([]float64, n), len(m.spans)
	for i := range out {
		out[i] = m.bias
		for j, w := range m.weights { // algorithm 2
			out[i] += w * squared[i*l+j]
		}
	}
	return out, nil
}

// Logits returns −½ of each row's squared distance to every class mean of the last layer, N×K.
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
	err := m.distances(in, len(m.spans)-1, func(row int, x []float64) {
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

// MahalanobisInput is rows to learn the layers' weights from: some hundreds of each kind, none of them trained on.
type MahalanobisInput struct {
	// Familiar are N×D rows like those trained on.
	Familiar *data.Table
	// Unfamiliar are N×D rows that are not. Where none can be had, the paper takes the features of attacked inputs.
	Unfamiliar *data.Table
}

// Combine returns the model with weights for its layers from rows known to be familiar and rows known not to be: a logistic
// regression on the layers' distances, with weights ≥ 0, in which each kind counts one half. Errors: ErrInput when a kind is
// missing; ErrShape on another width or without rows; ErrDegenerate when in no layer the unfamiliar rows lie farther away.
func (m *MahalanobisModel) Combine(ctx context.Context, in MahalanobisInput) (*MahalanobisModel, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Familiar == nil || in.Unfamiliar == nil {
		return nil, fmt.Errorf("mahalanobis: %w: want familiar and unfamiliar rows to weigh layers by", method.ErrInput)
	}
	var sides [2][]float64
	for i, side := range []*data.Table{in.Familiar, in.Unfamiliar} {
		if n, _ := side.Dims(); n == 0 {
			return nil, fmt.Errorf("mahalanobis: %w: no %s rows to weigh layers by", data.ErrShape, []string{"familiar", "unfamiliar"}[i])
		}
		var err error
		if sides[i], err = m.layers(side); err != nil {
			return nil, err
		}
	}
	next := *m
	next.weights, next.bias = part.NonnegativeLogistic(sides[0], sides[1], len(m.spans))
	if slices.Max(next.weights) <= 0 {
		return nil, fmt.Errorf("mahalanobis: %w: the unfamiliar rows lie no farther away than the familiar ones in any layer, so no weights tell them apart", method.ErrDegenerate)
	}
	return &next, nil
}

// Gradient returns the derivative of each row's score by its features, N×D: what a network turns into that by its inputs.
func (m *MahalanobisModel) Gradient(in *data.Table) (*data.Table, error) {
	if err := method.Width("mahalanobis", in, m.width()); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	out := make([]float32, n*d)
	for l, span := range m.spans {
		whiten, means, w := m.whiten[l], m.means[l], span.width()
		whiten.Each(span.rows(in.X(), n, d), n, func(lo, hi int, z []float64) {
			for row := range slices.Chunk(z, w) {
				at, least := 0, math.Inf(1)
				for k := range m.rows {
					squared := 0.0
					for j, v := range row {
						squared += (v - means[k*w+j]) * (v - means[k*w+j])
					}
					if squared /= m.expected(k); squared < least {
						at, least = k, squared
					}
				}
				scale := 2 * m.weights[l] / m.expected(at)
				for j := range row {
					row[j] = scale * (row[j] - means[at*w+j])
				}
			}
			g := make([]float64, (hi-lo)*w)
			num.Gemm(false, true, hi-lo, w, w, 1, z, w, whiten.Matrix, w, 0, g, w)
			for i := lo; i < hi; i++ {
				for j := range w {
					out[i*d+span.from+j] = float32(g[(i-lo)*w+j])
				}
			}
		})
	}
	return data.NewTable(n, d, out)
}

// MahalanobisNetwork is the network that the features come from.
type MahalanobisNetwork interface {
	// Features returns the layers' features of inputs side by side, N×D.
	Features(inputs *data.Table) (*data.Table, error)
	// Pullback turns a derivative by the features, N×D, into the derivative by the inputs, shaped like them.
	Pullback(inputs, gradient *data.Table) (*data.Table, error)
}

// ScorePerturbed scores inputs after each of their values has moved by step in the direction in which the score falls:
// familiar inputs have nearer to fall than others, which sets the two further apart. The paper tries steps from 0 to 0.2
// of the pixels' deviation and chooses by rows known to be unfamiliar. Errors: ErrConfig when step is negative or not
// finite; those of the network. Source: lee2018simple, eq. (3).
func (m *MahalanobisModel) ScorePerturbed(net MahalanobisNetwork, inputs *data.Table, step float64) ([]float64, error) {
	if !(step >= 0) || math.IsInf(step, 0) {
		return nil, fmt.Errorf("mahalanobis: %w: inputs cannot move by steps of %v, want a number ≥ 0", method.ErrConfig, step)
	}
	features, err := net.Features(inputs)
	if err != nil || step == 0 {
		return mahalanobisScored(m, features, err)
	}
	gradient, err := m.Gradient(features)
	if err != nil {
		return nil, err
	}
	if gradient, err = net.Pullback(inputs, gradient); err != nil {
		return nil, err
	}
	n, d := inputs.Dims()
	if a, b := gradient.Dims(); a != n || b != d {
		return nil, fmt.Errorf("mahalanobis: %w: the network pulls gradients back to %d×%d, its inputs are %d×%d", data.ErrShape, a, b, n, d)
	}
	x := slices.Clone(inputs.X())
	for i, g := range gradient.X() {
		switch {
		case g > 0:
			x[i] -= float32(step)
		case g < 0:
			x[i] += float32(step)
		}
	}
	moved, err := data.NewTable(n, d, x)
	if err != nil {
		return nil, err
	}
	features, err = net.Features(moved)
	return mahalanobisScored(m, features, err)
}

func mahalanobisScored(m *MahalanobisModel, features *data.Table, err error) ([]float64, error) {
	if err != nil {
		return nil, err
	}
	return m.Score(features)
}

// Update returns the model that has also learned the task's rows: new classes, or more rows of old ones. Layers keep their weights.
func (m *MahalanobisModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := method.Width("mahalanobis", task, m.width()); err != nil {
		return nil, err
	}
	s, err := moments.FromSource(ctx, task, moments.Needs(0).Options())
	if err != nil {
		return nil, fmt.Errorf("mahalanobis: %w", err)
	}
	more, err := mahalanobisPooled(s)
	if err != nil {
		return nil, fmt.Errorf("mahalanobis: %w", err)
	}
	if (len(more.Classes) > 0) != (len(m.classes) > 0) && s.Rows() > 0 {
		return nil, fmt.Errorf("mahalanobis: %w: %d classes in the model, %d in the task: both need labels, or neither may have any", data.ErrLabels, len(m.classes), len(more.Classes))
	}
	sums := m.sums()
	if s.Rows() > 0 {
		sums = sums.Merge(more, data.CompareClasses)
	}
	next, err := m.config.learn(m.spans, sums)
	if err != nil {
		return nil, fmt.Errorf("mahalanobis: %w", err)
	}
	next.weights, next.bias = m.weights, m.bias
	return next, nil
}

// sums recovers what the model was made of. Between layers the covariance is zero: no layer's model knows it.
func (m *MahalanobisModel) sums() *part.Pooled {
	d, k := m.width(), len(m.rows)
	s := &part.Pooled{Classes: m.classes, Rows: m.rows, Center: make([]float64, d), Means: make([]float64, k*d), Cov: make([]float64, d*d)}
	for l, span := range m.spans {
		w, whiten := span.width(), m.whiten[l]
		copy(s.Center[span.from:], whiten.Center)
		factor, lower := make([]float64, w*w), make([]float64, w*w) // the whitener is the factor's inverse, transposed
		for i := range w {
			factor[i*w+i] = 1
			for j := range w {
				lower[j*w+i] = whiten.Matrix[i*w+j]
			}
		}
		num.Trsm(true, true, false, w, w, lower, w, factor, w)
		cov, trace := make([]float64, w*w), 0.0
		num.Gemm(false, true, w, w, w, 1, factor, w, factor, w, 0, cov, w)
		for j := range w {
			trace += cov[j*w+j]
		}
		ridge := m.config.Ridge / (1 + m.config.Ridge) * trace / float64(w)
		means := make([]float64, k*w)
		num.Gemm(false, true, k, w, w, 1, m.means[l], w, factor, w, 0, means, w)
		for i := range w {
			cov[i*w+i] = max(cov[i*w+i]-ridge, 0)
			copy(s.Cov[(span.from+i)*d+span.from:], cov[i*w:i*w+w])
		}
		for c := range k {
			for j := range w {
				s.Means[c*d+span.from+j] = means[c*w+j] + whiten.Center[j]
			}
		}
	}
	return s
}

// State returns the model as tensors, those of the l-th layer with its number before their names.
func (m *MahalanobisModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{
		"rows":    data.Float64Tensor(m.rows, len(m.rows)),
		"weights": data.Float64Tensor(m.weights, len(m.weights)),
		"bias":    data.Float64Tensor([]float64{m.bias}, 1),
	}}
	if len(m.spans) > 1 {
		var words []string
		for _, w := range m.weights {
			words = append(words, fmt.Sprintf("%.6g", w))
		}
		st.Meta["mahalanobis.weights"] = fmt.Sprintf("%s of the layers' squared distances, and %.6g", strings.Join(words, " "), m.bias)
	}
	for l, w := range m.whiten {
		st.Add(fmt.Sprintf("%d/", l+1), &data.Checkpoint{Tensors: map[string]data.Tensor{
			"center":   data.Float64Tensor(w.Center, w.D),
			"whitener": data.Float64Tensor(w.Matrix, w.D, w.D),
			"means":    data.Float64Tensor(m.means[l], len(m.rows), w.D),
		}})
	}
	st.SetStrings("classes", m.classes)
	return st
}

func loadMahalanobis(c Mahalanobis, st *data.Checkpoint) (*MahalanobisModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	m := &MahalanobisModel{config: c, classes: r.Strings("classes"), rows: r.Floats("rows", -1), weights: r.Floats("weights", -1)}
	bias := r.Floats("bias", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m.bias = bias[0]
	if k := max(len(m.classes), 1); k != len(m.rows) {
		return nil, fmt.Errorf("%w: %d classes, %d means", data.ErrShape, len(m.classes), len(m.rows))
	}
	at := 0
	for l := range m.weights {
		r := st.Prefix(fmt.Sprintf("%d/", l+1)).Read()
		center := r.Floats("center", -1)
		d := len(center)
		m.whiten = append(m.whiten, &part.Projection{D: d, R: d, Center: center, Matrix: r.Floats("whitener", d, d)})
		m.means = append(m.means, r.Floats("means", len(m.rows), d))
		if err := r.Err(); err != nil {
			return nil, err
		}
		m.targets = append(m.targets, m.whiten[l].Targets(m.means[l], len(m.rows)))
		m.spans = append(m.spans, layerSpan{at, at + d})
		at += d
	}
	if len(m.weights) == 0 || len(c.Layers) > 0 && len(c.Layers) != len(m.weights) {
		return nil, fmt.Errorf("%w: weights of %d layers, the configuration has %d", data.ErrShape, len(m.weights), max(len(c.Layers), 1))
	}
	return m, nil
}
