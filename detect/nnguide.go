package detect

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "free energy, weighed by how near the surest training rows are",
	Paper:  "park2023nearest",
	Exempt: map[string]string{"far-from-zero": "rows are compared by their direction from zero, section 3"},
}, NNGuide.Fit, loadNNGuide))

// NNGuide scores a row by its energy times its mean similarity to the nearest training rows, each counting by its own energy.
//
// It is nearest-neighbour guidance of Park et al. (2023): [Energy] that cannot be sure far away from all training rows, or
// [KNN] that knows the classifier. It keeps all N·D features and scores a row in O(N·D). A sample of a large training set
// does (the paper: 1 % of ImageNet).
//
// Fits on: Train N×D of features with N ≥ Neighbors that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored.
// Score:   N values, minus guidance times log Σ exp(logit), in squared logits' units, higher = more unfamiliar. They mean most where all features are ≥ 0 and energies positive.
// Errors:  ErrInput without rows or head; ErrShape for fewer rows than Neighbors, when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when log Σ exp(logit) of the training rows is not positive on average, which turns the product's meaning round, and when rows that differ all get one score.
// Differs: guidance below zero, which features of both signs can give, counts as none. A row of zeros has no direction and no guidance.
// Source:  park2023nearest, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type NNGuide struct {
	// Neighbors is how many of the most similar training rows, by energy times cosine, are averaged: the paper's k of 10; OpenOOD takes 100.
	Neighbors int `default:"10" range:"[1,1e9]"`
}

// Fit keeps the training rows' directions and energies.
func (c NNGuide) Fit(ctx context.Context, in HeadInput) (*NNGuideModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	n, _ := in.Train.Dims()
	if n < c.Neighbors {
		return nil, fmt.Errorf("%w: %d rows, --neighbors asks for %d; give more rows or a smaller --neighbors", data.ErrShape, n, c.Neighbors)
	}
	m := &NNGuideModel{head: h, neighbors: c.Neighbors, rows: lengthOne(in.Train.X(), h.d), found: make([]float64, n)}
	h.each(in.Train, nil, func(i int, _, logits []float64) { m.found[i] = logSumExp(logits, 1) })
	sum := 0.0
	for _, e := range m.found {
		sum += e
	}
	if !(sum > 0) {
		return nil, fmt.Errorf("%w: log Σ exp of the training rows' logits is %.4g on average and must be positive to weigh similarities; add a constant to the head's bias", method.ErrDegenerate, sum/float64(n))
	}
	return notCollapsed(m, in.Train, "no row has guidance; --neighbors may be too large, or features not ≥ 0")
}

// NNGuideModel is a fitted [NNGuide].
type NNGuideModel struct {
	head      *linearHead
	neighbors int
	rows      []float32 // N×D, each of length one
	found     []float64 // N, log Σ exp of each row's logits
}

// Score returns each row's guided energy.
func (m *NNGuideModel) Score(features *data.Table) ([]float64, error) {
	if err := method.Width("nnguide", features, m.head.d); err != nil {
		return nil, err
	}
	n, d := features.Dims()
	k := m.neighbors
	nearest := make([]float64, n*k) // of each row, ascending
	eachProduct(n, len(m.found), []side{{lengthOne(features.X(), d), m.rows, d}}, func(i, from int, products [][]float32) {
		best := nearest[i*k : (i+1)*k]
		for at, cosine := range products[0] {
			v := float64(cosine) * m.found[from+at]
			if from+at < k { // the list is not full: what is in it stands at its end
				nnguideInsert(best[k-from-at-1:], v)
			} else if v > best[0] {
				nnguideInsert(best, v)
			}
		}
	})
	out := make([]float64, n)
	m.head.each(features, nil, func(i int, _, logits []float64) {
		sum := 0.0
		for _, v := range nearest[i*k : (i+1)*k] {
			sum += v
		}
		out[i] = -max(sum/float64(k), 0) * logSumExp(logits, 1)
	})
	return out, nil
}

// nnguideInsert puts v in place of the first of an otherwise ascending list, and keeps it ascending.
func nnguideInsert(list []float64, v float64) {
	j := 1
	for ; j < len(list) && list[j] < v; j++ {
		list[j-1] = list[j]
	}
	list[j-1] = v
}

// State returns the model as tensors.
func (m *NNGuideModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["rows"] = data.Float32Tensor(m.rows, len(m.found), m.head.d)
	st.Tensors["found"] = data.Float64Tensor(m.found, len(m.found))
	return st
}

func loadNNGuide(c NNGuide, st *data.Checkpoint) (*NNGuideModel, error) {
	h, r, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	m := &NNGuideModel{head: h, neighbors: c.Neighbors, found: r.Floats("found", -1)}
	rows, ok := narrow(r, st, "rows", len(m.found), h.d)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !ok || len(m.found) < c.Neighbors {
		return nil, fmt.Errorf("%w: %d rows of type %s for %d neighbours", data.ErrShape, len(m.found), st.Tensors["rows"].DType, c.Neighbors)
	}
	m.rows = rows
	return m, nil
}
