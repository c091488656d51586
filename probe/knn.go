package probe

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "class shares among the nearest training rows",
	Paper: "cover1967nearest",
}, KNN.Fit, loadKNN))

// KNN classifies a row by the classes of the training rows that lie nearest.
//
// It is the nearest-neighbour rule of Cover and Hart (1967), whose error with one neighbour is at most twice the least
// possible as rows grow many. Nothing is learned: it keeps all N·D features and predicts a row in O(N·D), exactly, without an
// index. It assumes no shape of classes, so it shows what features are worth by themselves; prefer [Logistic] or [Ridge]
// where classes can be told apart by planes, which needs far fewer rows.
//
// Fits on: Table N×D with a label for every row, N ≥ Neighbors; classes without rows are left out.
// Predict: N×K shares of the Neighbors nearest rows, by Euclidean distance; of rows equally far the earlier ones count. Every class has Smoothing votes besides, so that no share is zero.
// Errors:  ErrLabels when a row has no label; ErrShape with fewer rows than Neighbors, without columns and on another width.
// Differs: several neighbours vote by equal shares, and Smoothing makes the shares probabilities, where the authors look at one neighbour.
// Source:  cover1967nearest.
// Claim:   none: it is a standard head to compare others with.
type KNN struct {
	// Neighbors is how many rows vote. 5 suits most features of networks; more smooth over mislabelled rows and blur small classes.
	Neighbors int `default:"5" range:"[1,1e9]"`
	// Smoothing is added to every class's number of votes, so that no probability is zero.
	Smoothing float64 `default:"0.1" range:"(0,1e6]" unit:"votes"`
}

// Fit keeps the training rows.
func (c KNN) Fit(ctx context.Context, train *data.Table) (*KNNModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	classes, labels, err := labelled(train)
	if err != nil {
		return nil, err
	}
	n, d := train.Dims()
	if n < c.Neighbors {
		return nil, fmt.Errorf("%w: table has %d rows, --neighbors asks for %d; give more rows or a smaller --neighbors", data.ErrShape, n, c.Neighbors)
	}
	return &KNNModel{c, classes, n, d, train.X(), labels}, nil
}

// KNNModel is a fitted [KNN].
type KNNModel struct {
	config  KNN
	classes []string
	n, d    int
	rows    []float32 // N×D
	labels  []int     // N
}

// Predict returns each row's class probabilities, N×K.
func (m *KNNModel) Predict(in *data.Table) (*data.Table, error) {
	n, d := in.Dims()
	if d != m.d {
		return nil, fmt.Errorf("knn: %w: table has %d columns, fitted on %d", data.ErrShape, d, m.d)
	}
	k, near := len(m.classes), m.config.Neighbors
	votes := make([]float64, k)
	out := make([]float32, 0, n*k)
	num.NearestEach(in.X(), n, m.rows, m.n, d, near, func(_ int, _ []float64, nearest []int32) {
		for c := range votes {
			votes[c] = m.config.Smoothing
		}
		for _, row := range nearest {
			votes[m.labels[row]]++
		}
		for _, v := range votes {
			out = append(out, float32(v/(float64(near)+float64(k)*m.config.Smoothing)))
		}
	})
	return data.NewNamed(n, m.classes, out)
}

// State returns the model as tensors.
func (m *KNNModel) State() *data.Checkpoint {
	labels := make([]float64, m.n)
	for i, l := range m.labels {
		labels[i] = float64(l)
	}
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"rows":   data.Float32Tensor(m.rows, m.n, m.d),
		"labels": data.Float64Tensor(labels, m.n),
	}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadKNN(c KNN, st *data.Checkpoint) (*KNNModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	m := &KNNModel{config: c, classes: r.Strings("classes")}
	labels := r.Floats("labels", -1)
	m.n = len(labels)
	m.rows = r.Float32s("rows", m.n, -1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m.d = len(m.rows) / max(m.n, 1)
	if m.d == 0 || m.n < c.Neighbors {
		return nil, fmt.Errorf("%w: %d rows of %d columns for %d neighbours", data.ErrShape, m.n, m.d, c.Neighbors)
	}
	for i, v := range labels {
		l := int(v)
		if float64(l) != v || l < 0 || l >= len(m.classes) {
			return nil, fmt.Errorf("%w: row %d has the class %g of %d", data.ErrFormat, i+1, v, len(m.classes))
		}
		m.labels = append(m.labels, l)
	}
	return m, nil
}
