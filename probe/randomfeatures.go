package probe

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "least squares on random cosines of the features, a Gaussian kernel's stand-in",
	Paper: "rahimi2007random",
}, RandomFeatures.Fit, loadRandomFeatures))

// RandomFeatures classifies by ridge regression on random Fourier features, so that borders may have any smooth shape.
//
// It is the kernel machine of Rahimi and Recht (2007): cosines of random projections whose products approximate a Gaussian
// kernel, and on them the ridge regression on class indicators that leaving out each row in turn finds best. O(N·Rank·(D +
// Rank) + Rank³) to fit, O(Rank·(D + K)) a row to predict. Prefer it over [RidgePath] where planes do not separate classes;
// columns should share a unit.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough, and classes without rows are left out. It holds N·Rank float32 values while it fits.
// Predict: N×K probabilities of the classes, as of [RidgePath].
// Logits:  N×K, fitted values over the temperature; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: the kernel's width is relative to the rows' spread; the penalty is chosen by leave-one-out; the temperature is ours.
// Source:  rahimi2007random, Algorithm 1; golub1979generalized.
// Claim:   none: it is a standard head to compare others with.
type RandomFeatures struct {
	// Bandwidth is the kernel's standard deviation, as a multiple of the root mean squared distance between two training rows. Lower follows finer shapes and needs more rows and a higher Rank.
	Bandwidth float64 `default:"0.5" range:"(0,1e6]" unit:"root mean squared distance between rows"`
	// Rank is how many random cosines there are: the kernel is off by about 1/√Rank.
	Rank int `default:"512" range:"[1,65536]"`
	// Balanced weighs rows so that all classes count the same, in the fit and in the choice of the penalty.
	Balanced bool
	// Seed starts the random numbers.
	Seed uint64
}

// Fit draws the features, chooses the penalty and learns the weights.
func (c RandomFeatures) Fit(ctx context.Context, train *data.Table) (*RandomFeaturesModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	classes, labels, err := labelled(train)
	if err != nil {
		return nil, err
	}
	n, d := train.Dims()
	center, variance := centred(train)
	spread := 0.0
	for _, v := range variance {
		spread += v
	}
	if spread == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, n)
	}
	// Two rows are 2·spread apart in the mean square. Directions are N(0, 1/width²): the kernel's Fourier transform.
	width := c.Bandwidth * math.Sqrt(2*spread)
	random := rand.New(rand.NewPCG(c.Seed, 0))
	m := &RandomFeaturesModel{project: &part.Projection{D: d, R: c.Rank, Center: center, Matrix: make([]float64, d*c.Rank)}, phase: make([]float64, c.Rank)}
	for i := range m.project.Matrix {
		m.project.Matrix[i] = random.NormFloat64() / width
	}
	for i := range m.phase {
		m.phase[i] = 2 * math.Pi * random.Float64()
	}
	features, err := m.features(train)
	if err != nil {
		return nil, err
	}
	if features, err = features.WithLabels(labels, classes); err != nil {
		return nil, err
	}
	fitted, err := ridgePathFit(ctx, features, c.Balanced)
	if err != nil {
		return nil, err
	}
	m.head = fitted.head
	return m, nil
}

// RandomFeaturesModel is a fitted [RandomFeatures].
type RandomFeaturesModel struct {
	project *part.Projection // D×Rank
	phase   []float64        // Rank
	head    *head            // Rank×K
}

// features returns a row's cosines, N×Rank.
func (m *RandomFeaturesModel) features(in *data.Table) (*data.Table, error) {
	n, d := in.Dims()
	if d != m.project.D {
		return nil, fmt.Errorf("randomfeatures: %w: table has %d columns, fitted on %d", data.ErrShape, d, m.project.D)
	}
	r := m.project.R
	out := make([]float32, n*r)
	m.project.Each(in.X(), n, func(lo, hi int, z []float64) {
		for i, v := range z {
			out[lo*r+i] = float32(math.Cos(v + m.phase[i%r]))
		}
	})
	return data.NewTable(n, r, out)
}

// Predict returns each row's class probabilities, N×K.
func (m *RandomFeaturesModel) Predict(in *data.Table) (*data.Table, error) {
	f, err := m.features(in)
	if err != nil {
		return nil, err
	}
	return m.head.predict("randomfeatures", f)
}

// Logits returns each row's fitted values over the temperature, N×K.
func (m *RandomFeaturesModel) Logits(in *data.Table) (*data.Table, error) {
	f, err := m.features(in)
	if err != nil {
		return nil, err
	}
	return m.head.logits("randomfeatures", f)
}

// State returns the model as tensors.
func (m *RandomFeaturesModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["origin"] = data.Float64Tensor(m.project.Center, m.project.D)
	st.Tensors["directions"] = data.Float64Tensor(m.project.Matrix, m.project.D, m.project.R)
	st.Tensors["phase"] = data.Float64Tensor(m.phase, m.project.R)
	return st
}

func loadRandomFeatures(_ RandomFeatures, st *data.Checkpoint) (*RandomFeaturesModel, error) {
	r := st.Read()
	origin, phase := r.Floats("origin", -1), r.Floats("phase", -1)
	d, rank := len(origin), len(phase)
	m := &RandomFeaturesModel{project: &part.Projection{D: d, R: rank, Center: origin, Matrix: r.Floats("directions", d, rank)}, phase: phase}
	var err error
	if m.head, err = loadHead(r); err != nil {
		return nil, err
	}
	if d == 0 || m.head.linear.D != rank {
		return nil, fmt.Errorf("%w: %d columns, %d random features and a head of %d", data.ErrShape, d, rank, m.head.linear.D)
	}
	return m, nil
}
