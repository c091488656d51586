package weights

import (
	"context"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// tuneMasked trains a perceptron on labelled rows while the weights that a mask, by tensor, has zeros for stay zero.
func tuneMasked(ctx context.Context, p claim.Perceptron, mask map[string][]float32, rows *data.Table, loop net.Loop) (claim.Perceptron, error) {
	labels, err := rows.Labels()
	if err != nil {
		return p, err
	}
	params := net.NewParams(0)
	for _, t := range p.Tensors() {
		if err := params.Put(t); err != nil {
			return p, err
		}
	}
	n, d := rows.Dims()
	trainer, err := net.NewTrainer(loop, params, net.Task{Rows: n, Build: func(g *net.Graph, batch int) (*net.Node, func(net.Batch)) {
		x, classes := g.Input(batch, d), g.Ints(batch)
		h := x
		tensors := p.Tensors()
		for i, t := range tensors { // weight and bias by turns
			if i%2 == 1 {
				continue
			}
			w := g.Param(t.Name, net.Constant(0), t.Shape...)
			if m := mask[t.Name]; m != nil {
				w = g.Mul(w, g.Constant(m, t.Shape...))
			}
			h = g.Linear(h, w, g.Param(tensors[i+1].Name, net.Constant(0), t.Shape[0]))
			if i < len(tensors)-2 {
				h = g.ReLU(h)
			}
		}
		return g.CrossEntropy(h, classes, net.Targets{}), func(b net.Batch) {
			for i, row := range b.Rows {
				copy(x.Value()[i*d:(i+1)*d], rows.Row(row))
				classes.Values[i] = int32(labels[row])
			}
		}
	}})
	if err != nil {
		return p, err
	}
	if _, err := trainer.Run(ctx); err != nil {
		return p, err
	}
	tuned := claim.Perceptron{Net: p.Clone()}
	for _, t := range tuned.Tensors() {
		copy(t.Values, params.Get(t.Name).Values)
		for i, keep := range mask[t.Name] {
			t.Values[i] *= keep
		}
	}
	return tuned, nil
}

// maskOf is 1 where a perceptron's weights are not zero.
func maskOf(p claim.Perceptron) map[string][]float32 {
	mask := map[string][]float32{}
	for _, t := range p.Tensors() {
		if !strings.HasSuffix(t.Name, ".weight") {
			continue
		}
		m := make([]float32, len(t.Values))
		for i, v := range t.Values {
			if v != 0 {
				m[i] = 1
			}
		}
		mask[t.Name] = m
	}
	return mask
}

// masked returns a copy whose weights are zero where the mask is.
func masked(p claim.Perceptron, mask map[string][]float32) claim.Perceptron {
	out := claim.Perceptron{Net: p.Clone()}
	for _, t := range out.Tensors() {
		for i, keep := range mask[t.Name] {
			t.Values[i] *= keep
		}
	}
	return out
}
