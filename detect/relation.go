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
	Title:  "how few relations to the training rows, by features and by predictions",
	Paper:  "kim2023neural",
	Exempt: map[string]string{"far-from-zero": "rows are compared by their direction from zero, section 3"},
}, Relation.Fit, loadRelation))

// Relation scores how weakly a row is related to the training rows, a relation being the cosine of features times the chance that both are of one class.
//
// It is the outlier score on the neural relation graph of Kim et al. (2023). All training rows count, not only the nearest; it
// keeps all N·(D+K) numbers and scores a row in O(N·(D+K)). A sample of a large training set does.
// Prefer [KNN] where there is no head, and [NNGuide] where the size of logits means something.
//
// Fits on: Train N×D of features with N ≥ 1 that go into Head, the network's last layer (weight K×D with K ≥ 2, bias K); labels are ignored.
// Score:   N values in [−1, 0], minus the mean relation raised to Exponent, dimensionless, higher = more unfamiliar; 0 for a row without relations.
// Errors:  ErrInput without rows or head; ErrShape when the head takes another number of features, and on another width; ErrFormat for a head without a weight; ErrDegenerate when rows that differ all get one score.
// Differs: the mean over training rows instead of their sum, which has the same order. A row of zeros has no direction and no relations.
// Source:  kim2023neural, section 3.
// Claim:   none: it is here to be compared with; the paper's headline is not run again.
type Relation struct {
	// Exponent is what relations are raised to: the paper's t. 1 in OpenOOD, which tries up to 8: the larger, the more only the closest rows count.
	Exponent float64 `default:"1" range:"(0,100]"`
	// Floor is the relation that a weaker one counts as none, against the sum of many that mean nothing: 0.03 in the authors' code.
	Floor float64 `default:"0.03" range:"(0,1)"`
}

// Fit keeps the training rows' directions and probabilities.
func (c Relation) Fit(ctx context.Context, in HeadInput) (*RelationModel, error) {
	h, err := fitHead(ctx, &c, in)
	if err != nil {
		return nil, err
	}
	m := &RelationModel{head: h, exponent: c.Exponent, floor: c.Floor}
	m.n, _ = in.Train.Dims()
	m.rows, m.probabilities = lengthOne(in.Train.X(), h.d), m.predict(in.Train)
	return notCollapsed(m, in.Train, "all rows are related alike, or none is above --floor")
}

// RelationModel is a fitted [Relation].
type RelationModel struct {
	head            *linearHead
	n               int
	rows            []float32 // N×D, each of length one
	probabilities   []float32 // N×K
	exponent, floor float64
}

// predict returns the head's probabilities of a table's rows, N×K.
func (m *RelationModel) predict(features *data.Table) []float32 {
	n, _ := features.Dims()
	out := make([]float32, n*m.head.k)
	m.head.each(features, nil, func(i int, _, logits []float64) {
		num.Softmax(logits, logits, 1)
		for c, p := range logits {
			out[i*m.head.k+c] = float32(p)
		}
	})
	return out
}

// Score returns minus each row's mean relation to the training rows.
func (m *RelationModel) Score(features *data.Table) ([]float64, error) {
	if err := method.Width("relation", features, m.head.d); err != nil {
		return nil, err
	}
	n, d := features.Dims()
	out := make([]float64, n)
	sides := []side{{lengthOne(features.X(), d), m.rows, d}, {m.predict(features), m.probabilities, m.head.k}}
	eachProduct(n, m.n, sides, func(i, _ int, products [][]float32) {
		for at, cosine := range products[0] {
			if relation := max(float64(cosine), 0) * float64(products[1][at]); relation > m.floor {
				if m.exponent != 1 {
					relation = math.Pow(relation, m.exponent)
				}
				out[i] -= relation / float64(m.n)
			}
		}
	})
	return out, nil
}

// State returns the model as tensors.
func (m *RelationModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["rows"] = data.Float32Tensor(m.rows, m.n, m.head.d)
	st.Tensors["probabilities"] = data.Float32Tensor(m.probabilities, m.n, m.head.k)
	return st
}

func loadRelation(c Relation, st *data.Checkpoint) (*RelationModel, error) {
	h, r, err := loadHead(&c, st)
	if err != nil {
		return nil, err
	}
	m := &RelationModel{head: h, exponent: c.Exponent, floor: c.Floor}
	probabilities, ok := narrow(r, st, "probabilities", -1, h.k)
	m.n = len(probabilities) / h.k
	rows, also := narrow(r, st, "rows", m.n, h.d)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if !ok || !also || m.n == 0 {
		return nil, fmt.Errorf("%w: %d rows of types %s and %s, want %s", data.ErrFormat, m.n, st.Tensors["rows"].DType, st.Tensors["probabilities"].DType, data.F32)
	}
	m.rows, m.probabilities = rows, probabilities
	return m, nil
}
