package detect

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "mean distance to the head's decision boundaries, beside that to the training mean",
	Paper: "liu2024fast",
}, FDBD.Fit, loadFDBD))

// FDBD scores how near a row lies to the boundaries at which the head would decide for another class, as a share of its distance from the training mean.
//
// It is the detector fDBD of Liu and Qin (2024): familiar features are pushed away from the boundaries in training, and how far
// depends on how far they are from the mean. Nothing but that mean is learned, O(N·D + K²·D) to fit, O(K·D) a row to score.
// There is nothing to tune; prefer it to [MaxLogit] and [Energy] where features are at hand.
//
// Fits on: Train N×D of features with N ≥ 2 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored.
// Score:   N values ≤ 0, minus a ratio of distances, dimensionless, higher = more unfamiliar; 0 on a boundary between all classes. Scaling features, with the head to fit, changes nothing.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when all rows are equal, when the head has no boundaries, or when rows that differ all get one score.
// Differs: classes with equal weights have no boundary and are left out. A row nearer to the mean than a millionth of the training rows' root mean square distance is taken to be as far as that.
// Source:  liu2024fast, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type FDBD struct{}

// Fit learns the mean of all rows.
func (c FDBD) Fit(ctx context.Context, in HeadInput) (*FDBDModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	mean := columnMeans(in.Train)
	n, _ := in.Train.Dims()
	square := 0.0
	for i := range n {
		square += fdbdSquare(in.Train.Row(i), mean) / float64(n)
	}
	if square == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so there is no distance from their mean", method.ErrDegenerate, n)
	}
	m := newFDBD(h, mean, 1e-6*math.Sqrt(square))
	boundaries := 0
	for _, g := range m.gaps {
		if g > 0 {
			boundaries++
		}
	}
	if boundaries == 0 {
		return nil, fmt.Errorf("%w: the head's %d classes have one and the same weights, so there are no boundaries between them", method.ErrDegenerate, h.k)
	}
	return notCollapsed(m, in.Train, "the head does not tell rows apart")
}

// fdbdSquare returns the squared distance between a row and the mean.
func fdbdSquare[T num.Float](row []T, mean []float64) float64 {
	sum := 0.0
	for j, v := range row {
		sum += (float64(v) - mean[j]) * (float64(v) - mean[j])
	}
	return sum
}

func newFDBD(h *linearHead, mean []float64, nearest float64) *FDBDModel {
	m := &FDBDModel{mean: mean, nearest: nearest, gaps: make([]float64, h.k*h.k)}
	num.Parallel(h.k, 1, func(from, to int) {
		for a := from; a < to; a++ {
			for b := range h.k {
				m.gaps[a*h.k+b] = math.Sqrt(fdbdSquare(h.weight[a*h.d:(a+1)*h.d], h.weight[b*h.d:(b+1)*h.d]))
			}
		}
	})
	m.headScorer = headScorer{"fdbd", h, nil, m.ratio}
	return m
}

// ratio is minus a row's mean distance to boundaries over its distance to the mean.
func (m *FDBDModel) ratio(row, logits []float64) float64 {
	at, top := largest(logits)
	sum := 0.0
	for c, z := range logits {
		if gap := m.gaps[at*m.head.k+c]; gap > 0 {
			sum += (top - z) / gap
		}
	}
	return -sum / float64(m.head.k-1) / max(math.Sqrt(fdbdSquare(row, m.mean)), m.nearest)
}

// FDBDModel is a fitted [FDBD].
type FDBDModel struct {
	headScorer
	mean    []float64 // D
	nearest float64   // smallest distance from the mean that counts
	gaps    []float64 // K×K distances between weights
}

// State returns the model as tensors.
func (m *FDBDModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["mean"] = data.Float64Tensor(m.mean, m.head.d)
	st.Tensors["nearest"] = data.Float64Tensor([]float64{m.nearest}, 1)
	return st
}

func loadFDBD(c FDBD, st *data.Checkpoint) (*FDBDModel, error) {
	h, r, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	mean, nearest := r.Floats("mean", h.d), r.Floats("nearest", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !(nearest[0] > 0) {
		return nil, fmt.Errorf("%w: nearest %g", data.ErrFormat, nearest[0])
	}
	return newFDBD(h, mean, nearest[0]), nil
}
