package saboteurs

import (
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = add(&calibrators, "", sifted("the classes that are not far behind the largest logit", func(m *sieveModel) *sieveModel { return m }, Sieve{}))

// Sieve makes sets of classes without a fault: the suite must find nothing wrong with it.
//
// Fits on: logits, a Table N×K with labels.
// Sets:    N×K zeros and ones.
// Errors:  ErrLabels without labels; ErrShape on another width and for fewer rows than the level needs.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/calibrate/sieve.go.
type Sieve struct{}

// sifted is the sieve but for what spoil makes of the fitted model.
func sifted[C any, M method.Model](title string, spoil func(m *sieveModel) M, _ C) method.Spec {
	return method.Learned(info(title),
		func(_ C, ctx context.Context, in logits) (m M, err error) {
			if err := ctx.Err(); err != nil {
				return m, err
			}
			s, err := newSieve(in.Logits)
			if err != nil {
				return m, err
			}
			return spoil(s), nil
		},
		func(_ C, st *data.Checkpoint) (m M, err error) {
			r := st.Read()
			s := &sieveModel{classes: r.Strings("classes")}
			limit := r.Floats("limit", 1)
			if err := r.Err(); err != nil {
				return m, err
			}
			s.limit = limit[0]
			return spoil(s), nil
		})
}

// sieveModel is the fitted sieve: a class may be as far behind the largest logit as the limit says.
type sieveModel struct {
	classes []string
	limit   float64
}

func newSieve(in *data.Table) (*sieveModel, error) {
	labels, classes, err := in.ColumnLabels()
	if err != nil {
		return nil, err
	}
	var behind []float64
	for i, y := range labels {
		behind = append(behind, float64(slices.Max(in.Row(i)))-float64(in.Row(i)[y]))
	}
	slices.Sort(behind)
	rank := 1 + 9*(len(behind)+1)/10
	if rank > len(behind) {
		return nil, fmt.Errorf("sieve: %w: %d rows", data.ErrShape, len(behind))
	}
	return &sieveModel{classes, behind[rank-1]}, nil
}

// State returns the limit.
func (m *sieveModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{"limit": data.Float64Tensor([]float64{m.limit}, 1)}}
	st.SetStrings("classes", m.classes)
	return st
}

// Level is what the sieve promises.
func (m *sieveModel) Level() float64 { return 0.1 }

// Sets marks what the limit lets through.
func (m *sieveModel) Sets(in *data.Table) (*data.Table, error) {
	n, k := in.Dims()
	if k != len(m.classes) {
		return nil, fmt.Errorf("sieve: %w: table has %d columns, fitted on %d", data.ErrShape, k, len(m.classes))
	}
	x := make([]float32, n*k)
	for i := range n {
		row := in.Row(i)
		for c, z := range row {
			if float64(slices.Max(row))-float64(z) <= m.limit {
				x[i*k+c] = 1
			}
		}
	}
	return data.NewNamed(n, m.classes, x)
}
