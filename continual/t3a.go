package continual

import (
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "probabilities of a stream's rows from templates that follow it, without labels or gradients",
	Paper: "iwasawa2021test",
	Exempt: map[string]string{
		"rows-independent": "online: a row's templates are made of the rows before it, section 3",
		"direction":        "what comes out are probabilities of classes, not a score",
	},
}, T3A.Apply))

// T3A moves a last layer's templates after the rows that it is asked about.
//
// It is the Test-Time Templates Adjuster of Iwasawa and Matsuo (2021): a class's template starts as its weights of the last layer; each row
// joins the support of the class it is taken for, of which the Capacity least uncertain ones stay, and the template is their mean. O(K·D) a
// row, nothing is trained. Prefer it where features shift and rows of one class still lie together.
//
// Takes:   In N×D features, rows in the order in which they came; Head, a checkpoint with weight K×D, and bias K if there is one.
// Apply:   N×K probabilities, softmax of the row's products with templates of length one; each row is answered after it has joined.
// Errors:  ErrInput without a head; ErrShape and ErrFormat for one that does not fit the features.
// Differs: rows come one by one instead of in batches; the support's size is the paper's M, of which it also tries "all".
// Source:  iwasawa2021test, eq. (3)-(7), Algorithm 1.
// Claim:   claims/continual/t3a.go.
type T3A struct {
	// Capacity is how many rows support a class at most, the least uncertain ones (the paper's M, 1 to 100).
	Capacity int `default:"20" range:"[1,1e6]"`
}

// T3AInput is features and the last layer that they go into.
type T3AInput struct {
	In   *data.Table
	Head *data.Checkpoint
}

// t3aSupport is the rows behind a template, the least uncertain first.
type t3aSupport struct {
	entropy []float64
	rows    [][]float64 // of length one
}

// add keeps the capacity least uncertain rows; of equally uncertain ones, the older.
func (s *t3aSupport) add(row []float64, entropy float64, capacity int) {
	at, _ := slices.BinarySearchFunc(s.entropy, entropy, func(have, want float64) int {
		if have <= want {
			return -1
		}
		return 1
	})
	if at >= capacity {
		return
	}
	s.entropy, s.rows = slices.Insert(s.entropy, at, entropy), slices.Insert(s.rows, at, row)
	if len(s.rows) > capacity {
		s.entropy, s.rows = s.entropy[:capacity], s.rows[:capacity]
	}
}

// t3aUnit is a row of length one; zeros stay.
func t3aUnit(x []float64) []float64 {
	unit := slices.Clone(x)
	if norm := math.Sqrt(num.SquaredNorm(x)); norm > 0 {
		for j := range unit {
			unit[j] /= norm
		}
	}
	return unit
}

// t3aEntropy is that of the softmax of logits, in nats.
func t3aEntropy(logits []float64) (entropy float64) {
	p := make([]float64, len(logits))
	num.Softmax(p, logits, 1)
	for _, v := range p {
		if v > 0 {
			entropy -= v * math.Log(v)
		}
	}
	return entropy
}

// Apply answers each row.
func (c T3A) Apply(ctx context.Context, in T3AInput) (*data.Table, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	n, d := in.In.Dims()
	h, err := readLastLayer(in.Head, d)
	if err != nil {
		return nil, err
	}
	logits := func(x []float64) []float64 {
		z := slices.Clone(h.bias)
		num.Gemv(false, h.k, d, 1, h.weight, d, x, 1, z)
		return z
	}
	supports := make([]t3aSupport, h.k)
	for k := range h.k { // eq. (3): the weights are the first supports
		w := h.weight[k*d : (k+1)*d]
		supports[k].add(t3aUnit(w), t3aEntropy(logits(w)), c.Capacity)
	}
	out, x := make([]float64, n*h.k), make([]float64, d)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for j, v := range in.In.Row(i) {
			x[j] = float64(v)
		}
		own := logits(x)
		class := 0
		for k, v := range own {
			if v > own[class] {
				class = k
			}
		}
		supports[class].add(t3aUnit(x), t3aEntropy(own), c.Capacity)
		z := out[i*h.k : (i+1)*h.k]
		for k, s := range supports {
			sum := make([]float64, d)
			for _, row := range s.rows {
				for j, v := range row {
					sum[j] += v
				}
			}
			norm := math.Sqrt(num.SquaredNorm(sum))
			for j, v := range sum {
				if norm > 0 {
					z[k] += x[j] * v / norm
				}
			}
		}
		num.Softmax(z, z, 1)
	}
	return probabilityTable(out, n, h.classes)
}
