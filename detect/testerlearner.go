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
	"github.com/gimbal-ml/gimbal/metric"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:      "the plane between two classes with a bound on its error, or a refusal where rows are not Gaussian enough for one",
	Paper:      "gollakota2023tester",
	TwoClasses: true,
}, TesterLearner.Fit, loadTesterLearner))

// TesterLearner learns the plane that parts two classes and certifies how near its error is to the best plane's, or refuses.
//
// Such a bound holds for Gaussian rows and for few others, and a learner that just assumes them fails silently. This one, that of
// Gollakota, Klivans, Stavropoulos and Vasilyan (2023), tests what its bound rests on, where it does. It learns from half
// of the rows: projected gradient descent on a smooth ramp loss, from many starts and at three widths. On the other half it tests, in this order:
//
//	moments       all moments of columns and pairs of them, up to Degree, are a Gaussian's
//	bands         around each candidate plane lie as many rows as should, in bands and beyond
//	spectrum      in the bands, rows spread along the plane as they should, in every direction
//	disagreement  in the slabs beyond, not wider: then planes at a small angle disagree on few rows
//	certificate   the bound is at most Excess, where that is asked for
//
// The certificate: the gradient of the loss at the plane is small, which bounds the angle to the best plane, and with it what
// planes disagree on. O(N·D) a step to learn; thresholds by simulation, O(N·D²/Level). Prefer it for a screen that must be
// defended; where nobody asks for a bound, any linear head learns the same plane.
//
// Fits on: Table N×D with two classes, every row labelled, N ≥ 2·(D+1), and 8. Columns must not be combinations of others.
// Score:   N values ≥ 0, squared distance from the center of the rows learned from, in the units in which they were certified, higher = farther from what the certificate is about. For Gaussian rows it is χ² with D degrees.
// Predict: N×2 probabilities of the classes, the same for all rows of a side: the share of each class found there among held-back rows, one row added to each. The certificate is about sides, not about single rows.
// Errors:  ErrLabels unless rows of exactly two classes are all labelled; ErrShape for too few rows, and on another width; ErrDegenerate when columns determine each other; ErrRefused, a [TesterLearnerRefusal], when a test does not hold: it names the test, where, its statistic and threshold.
// Differs: the paper's constants are worst cases; here the thresholds are quantiles under the Gaussian, of all tests together, found by simulation, and the bound is computed for the Gaussian: for Massart noise from what the gradient must be at an angle, for adversarial noise less the most that flipped labels can take from it, with 95 % confidence over held-back rows. Full gradients with line search instead of one row at a time. What passes is Gaussian as far as its rows show; the paper proves its bound for all rows that pass. Its bands are not split by label, moments of three and more columns are not tested, and whitening is ours. Log-concave rows that are not Gaussian are refused as soon as the sample shows it.
// Source:  gollakota2023tester, Algorithm 1.
// Claim:   claims/detect/testerlearner.go.
type TesterLearner struct {
	// Noise bounds the probability with which any row's label is wrong (Massart noise, the paper's η). Higher promises less and trusts less.
	Noise float64 `default:"0.25" range:"(0,0.5)"`
	// Adversarial allows any labels to be wrong, whatever Noise says: then the bound grows with the error of the best plane.
	Adversarial bool
	// Excess refuses unless the certificate keeps the error within this of the best plane's, the paper's ε. Without it the bound is reported as it comes out, 0.5 where there is none.
	Excess float64 `range:"[0,0.5)"`
	// Level is the share of Gaussian tables that the tests refuse.
	Level float64 `default:"0.01" range:"(0,0.5]"`
	// Degree is the highest power of the moments that are tested. Whitened rows pass degrees 1 and 2 by construction.
	Degree int `default:"4" range:"[1,4]"`
	// NoWhiten takes the rows for standard normal as they come, mean zero and identity covariance, instead of learning both. The plane then goes through zero.
	NoWhiten bool
	// Seed starts the random numbers: the halves, the starts and the simulation.
	Seed uint64
}

// Fit learns the plane and certifies it, or says what speaks against it.
func (c TesterLearner) Fit(ctx context.Context, train *data.Table) (*TesterLearnerModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	_, d := train.Dims()
	if err := readyRows(ctx, train, max(8, 2*(d+1))); err != nil {
		return nil, err
	}
	classes, err := halfspaceClasses(train)
	if err != nil {
		return nil, err
	}
	order := halfspaceOrder(train, classes)
	white, err := halfspaceWhitener(train, order, c.NoWhiten)
	if err != nil {
		return nil, err
	}
	learn, test := halfspaceHalves(train, order, classes, white, c.Seed)
	if learn.orient() { // which class is called +1 depends on the rows, not on the classes' names
		classes[0], classes[1] = classes[1], classes[0]
		test.flip()
	}
	candidates, err := learn.candidates(ctx, c.Seed)
	if err != nil {
		return nil, err
	}
	tests, err := gaussianTests{c.Degree, c.Level, !c.NoWhiten, c.Seed}.run(ctx, test, learn.n+test.n, candidates)
	if err != nil {
		return nil, err
	}
	for _, t := range tests {
		if t.Statistic > t.Threshold {
			return nil, &TesterLearnerRefusal{t, tests}
		}
	}
	// The candidates come in the order of their errors on the rows learned from, so the first one's on the others is unbiased.
	m := &TesterLearnerModel{classes: classes, white: white, normal: candidates[0]}
	if m.certificate, err = (halfspaceNoise{c.Noise, c.Adversarial}).certify(test, m.normal); err != nil {
		return nil, err
	}
	m.certificate.Tests = tests
	if c.Excess > 0 && m.certificate.Excess > c.Excess {
		t := TesterLearnerTest{"certificate", fmt.Sprintf("on %d rows held back", test.n), m.certificate.Excess, c.Excess}
		return nil, &TesterLearnerRefusal{t, append(tests, t)}
	}
	m.sides = test.sides(m.normal)
	return m, nil
}

// TesterLearnerTest is one test: what it measured, the threshold above which it refuses, and where the statistic was largest.
type TesterLearnerTest struct {
	Name, Place          string
	Statistic, Threshold float64
}

// TesterLearnerRefusal is the error of a fit that a test stops; it wraps ErrRefused.
type TesterLearnerRefusal struct {
	TesterLearnerTest
	Tests []TesterLearnerTest // all of them, in their order
}

// Error says which test does not hold, where and by how much.
func (r *TesterLearnerRefusal) Error() string {
	what, then := "the rows do not look Gaussian there, so no bound on the error can be given; transform or drop the columns, or fit a head without a bound", "the statistic is"
	if r.Name == "certificate" {
		what, then = "give more rows, a larger --excess or a smaller --noise", "the bound on the error beyond the best plane's is"
	}
	return fmt.Sprintf("%v: the %s test (%s): %s %.4g, at most %.4g is allowed: %s", method.ErrRefused, r.Name, r.Place, then, r.Statistic, r.Threshold, what)
}

// Unwrap is ErrRefused.
func (r *TesterLearnerRefusal) Unwrap() error { return method.ErrRefused }

// TesterLearnerCertificate is what is known of a plane that passed.
type TesterLearnerCertificate struct {
	Tests []TesterLearnerTest
	// Error is the share of held-back rows on the wrong side, with a 95 % interval.
	Error metric.Estimate
	// Angle bounds the angle to the best plane, in radians; π/2 where nothing can be said.
	Angle float64
	// Excess bounds by how much the error exceeds the best plane's; 0.5 where nothing can be said.
	Excess float64
	// Width is that of the ramp loss whose gradient gave the bound, in the units of whitened rows.
	Width float64
}

// TesterLearnerModel is a fitted [TesterLearner].
type TesterLearnerModel struct {
	classes     []string         // 2: on the side that the normal points to, and on the other
	white       *part.Projection // D×D; its center is the rows'
	normal      []float64        // D, of length one, in whitened coordinates
	sides       [4]float64       // probabilities of the two classes on the first side, then on the other
	certificate TesterLearnerCertificate
}

// Certificate returns the tests that held and the bounds. A loaded model has no tests, for it was not tested again.
func (m *TesterLearnerModel) Certificate() TesterLearnerCertificate { return m.certificate }

// Plane returns the plane: a row x is of the first class where (x − center)·normal ≥ 0, with D values each.
func (m *TesterLearnerModel) Plane() (center, normal []float64, classes []string) {
	d := len(m.normal)
	normal = make([]float64, d)
	num.Gemv(false, d, d, 1, m.white.Matrix, d, m.normal, 0, normal)
	return slices.Clone(m.white.Center), normal, slices.Clone(m.classes)
}

// Report returns the certificate's numbers.
func (m *TesterLearnerModel) Report() data.Numbers {
	c := m.certificate
	out := data.Numbers{"error": c.Error.Value, "error_low": c.Error.Low, "error_high": c.Error.High, "angle": c.Angle, "excess": c.Excess, "width": c.Width}
	for _, t := range c.Tests {
		out[t.Name+"_statistic"], out[t.Name+"_threshold"] = t.Statistic, t.Threshold
	}
	return out
}

// Predict returns the probabilities of the classes, N×2.
func (m *TesterLearnerModel) Predict(in *data.Table) (*data.Table, error) {
	if err := method.Width("testerlearner", in, m.white.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out := make([]float32, 2*n)
	m.white.Each(in.X(), n, func(lo, hi int, z []float64) {
		d := m.white.R
		for i := range hi - lo {
			side := m.sides[:2]
			if dot(m.normal, z[i*d:(i+1)*d]) < 0 {
				side = m.sides[2:]
			}
			out[2*(lo+i)], out[2*(lo+i)+1] = float32(side[0]), float32(side[1])
		}
	})
	return data.NewNamed(n, m.classes, out)
}

// Score returns the rows' squared distances from the center.
func (m *TesterLearnerModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("testerlearner", in, m.white.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out := make([]float64, n)
	m.white.Each(in.X(), n, func(lo, hi int, z []float64) {
		d := m.white.R
		for i := range hi - lo {
			out[lo+i] = min(num.SquaredNorm(z[i*d:(i+1)*d]), math.MaxFloat64)
		}
	})
	return out, nil
}

// State returns the model as tensors.
func (m *TesterLearnerModel) State() *data.Checkpoint {
	d, c := len(m.normal), m.certificate
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":      data.Float64Tensor(m.white.Center, d),
		"whitener":    data.Float64Tensor(m.white.Matrix, d, d),
		"normal":      data.Float64Tensor(m.normal, d),
		"sides":       data.Float64Tensor(m.sides[:], 4),
		"certificate": data.Float64Tensor([]float64{c.Error.Value, c.Error.Low, c.Error.High, c.Angle, c.Excess, c.Width}, 6),
	}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadTesterLearner(_ TesterLearner, st *data.Checkpoint) (*TesterLearnerModel, error) {
	r := st.Read()
	m := &TesterLearnerModel{classes: r.Strings("classes")}
	center := r.Floats("center", -1)
	d := len(center)
	m.white = &part.Projection{D: d, R: d, Center: center, Matrix: r.Floats("whitener", d, d)}
	m.normal = r.Floats("normal", d)
	sides, c := r.Floats("sides", 4), r.Floats("certificate", 6)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if d == 0 || len(m.classes) != 2 {
		return nil, fmt.Errorf("%w: a plane of %d columns between %d classes", data.ErrShape, d, len(m.classes))
	}
	copy(m.sides[:], sides)
	for k := 0; k < 4; k += 2 {
		if m.sides[k] < 0 || m.sides[k+1] < 0 || math.Abs(m.sides[k]+m.sides[k+1]-1) > 1e-9 {
			return nil, fmt.Errorf("%w: %v are no probabilities of two classes", data.ErrFormat, m.sides[k:k+2])
		}
	}
	m.certificate = TesterLearnerCertificate{Error: metric.Estimate{Value: c[0], Low: c[1], High: c[2]}, Angle: c[3], Excess: c[4], Width: c[5]}
	return m, nil
}
