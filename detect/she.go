package detect

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "inner product with the mean features of the class that the head decides for",
	Paper:  "zhang2023she",
	Exempt: map[string]string{"far-from-zero": "an inner product is measured from zero, where a silent unit is, section 3"},
}, SHE.Fit, loadSHE))

// SHE scores how little a row's features agree with the mean features of the rows that the classifier rightly gives to the same class.
//
// It is the simplified Hopfield energy of Zhang et al. (2023): one pattern is remembered for each class. O(N·K·D) to fit,
// O(K·D) a row to score. It sees features and decision together, and how large features are counts: prefer [KNN] or
// [Mahalanobis] where only their place should.
//
// Fits on: Train N×D of features with N ≥ 1 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K). Labels, where rows have them, say which decisions are right; a row without one counts for the class decided for. They are matched to the head's classes by name, if it names them; else by number, if all are numbers below K; else in order, if there are K.
// Score:   N values of any sign in the unit of squared features, minus the inner product, higher = more unfamiliar.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrLabels when classes cannot be matched; ErrDegenerate when rows that differ all get one score.
// Differs: a class of which no row is decided rightly has the mean of its own rows as pattern, and one without rows the mean of all, instead of none.
// Source:  zhang2023she, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type SHE struct{}

// Fit learns a pattern for each class.
func (c SHE) Fit(ctx context.Context, in HeadInput) (*SHEModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	label, err := sheLabels(h, in.Train)
	if err != nil {
		return nil, err
	}
	right, own := newSHEMeans(h), newSHEMeans(h)
	err = h.inOrder(ctx, in.Train, func(i int, row, logits []float64) {
		class, _ := largest(logits)
		if label == nil || label[i] == data.Unknown || label[i] == class {
			right.add(class, row)
		}
		if label != nil && label[i] != data.Unknown {
			own.add(label[i], row)
		}
	})
	if err != nil {
		return nil, err
	}
	all := columnMeans(in.Train)
	patterns := make([]float64, 0, h.k*h.d)
	for class := range h.k {
		switch {
		case right.rows[class] > 0:
			patterns = append(patterns, right.mean(class)...)
		case own.rows[class] > 0:
			patterns = append(patterns, own.mean(class)...)
		default:
			patterns = append(patterns, all...)
		}
	}
	return notCollapsed(newSHE(h, patterns), in.Train, "features are zero, or all of one size")
}

// sheLabels returns each row's class as a row of the head, nil when rows have no classes.
func sheLabels(h *linearHead, t *data.Table) ([]int, error) {
	if !t.HasLabels() {
		return nil, nil
	}
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	rowOf, err := h.class(t)
	if err != nil {
		return nil, err
	}
	out := make([]int, len(labels))
	for i, c := range labels {
		out[i] = data.Unknown
		if c == data.Unknown {
			continue
		}
		if out[i] = rowOf[c]; out[i] < 0 {
			return nil, fmt.Errorf("%w: row %d is of class %q, which the head does not have", data.ErrLabels, i+1, t.ClassName(i))
		}
	}
	return out, nil
}

// sheMeans adds up rows of features by class.
type sheMeans struct {
	d    int
	rows []float64
	sums []float64 // K×D
}

func newSHEMeans(h *linearHead) *sheMeans {
	return &sheMeans{h.d, make([]float64, h.k), make([]float64, h.k*h.d)}
}

func (s *sheMeans) add(class int, row []float64) {
	s.rows[class]++
	for j, v := range row {
		s.sums[class*s.d+j] += v
	}
}

func (s *sheMeans) mean(class int) []float64 {
	m := s.sums[class*s.d : (class+1)*s.d]
	for j := range m {
		m[j] /= s.rows[class]
	}
	return m
}

func newSHE(h *linearHead, patterns []float64) *SHEModel {
	agree := func(row, logits []float64) float64 {
		class, _ := largest(logits)
		sum := 0.0
		for j, v := range patterns[class*h.d : (class+1)*h.d] {
			sum += v * row[j]
		}
		return -sum
	}
	return &SHEModel{headScorer{"she", h, nil, agree}, patterns}
}

// SHEModel is a fitted [SHE].
type SHEModel struct {
	headScorer
	patterns []float64 // K×D
}

// State returns the model as tensors.
func (m *SHEModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["patterns"] = data.Float64Tensor(m.patterns, m.head.k, m.head.d)
	return st
}

func loadSHE(c SHE, st *data.Checkpoint) (*SHEModel, error) {
	h, r, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	patterns := r.Floats("patterns", h.k, h.d)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return newSHE(h, patterns), nil
}
