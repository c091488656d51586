// Package pretrain re-runs the claims behind the methods of family pretrain.
package pretrain

import (
	"context"
	"slices"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// Claims returns the family's claims.
func Claims() []claim.Claim { return []claim.Claim{fractal()} }

// side is that of the images, in pixels.
const side = 28

// train trains an encoder and a linear head on labelled images, from a checkpoint of the encoder or, without one, from scratch.
// It returns the parameters.
func train(ctx context.Context, start *data.Checkpoint, rows *data.Table, loop net.Loop) (*net.Params, error) {
	labels, err := rows.Labels()
	if err != nil {
		return nil, err
	}
	ps := net.NewParams(loop.Seed)
	if start != nil {
		r := start.Read()
		for _, name := range start.Names() {
			shape := start.Tensors[name].Shape
			if err := ps.Put(net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)}); err != nil {
				return nil, err
			}
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	n, _ := rows.Dims()
	trainer, err := net.NewTrainer(loop, ps, net.Task{Rows: n, Build: func(g *net.Graph, batch int) (*net.Node, func(net.Batch)) {
		x, classes := g.Input(batch, side, side, 1), g.Ints(batch)
		return g.CrossEntropy(classifier(g, x, len(rows.Classes())), classes, net.Targets{}), func(b net.Batch) {
			for i, row := range b.Rows {
				copy(x.Value()[i*side*side:], rows.Row(row))
				classes.Values[i] = int32(labels[row])
			}
		}
	}})
	if err != nil {
		return nil, err
	}
	_, err = trainer.Run(ctx)
	return ps, err
}

// classifier is the encoder that methods of the family pre-train, and a head.
func classifier(g *net.Graph, x *net.Node, classes int) *net.Node {
	return g.Dense("head", g.ReLU(g.StridedConvNet("encoder", x, 64, 16, 32, 64)), classes)
}

// encoderOf takes the head off.
func encoderOf(ps *net.Params) *data.Checkpoint {
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, t := range ps.Tensors() {
		if t.Name != "head.weight" && t.Name != "head.bias" {
			c.Tensors[t.Name] = data.Float32Tensor(t.Values, t.Shape...)
		}
	}
	return c
}

// accuracy is the share of images that a classifier names right.
func accuracy(ps *net.Params, rows *data.Table) (float64, error) {
	labels, err := rows.Labels()
	if err != nil {
		return 0, err
	}
	const batch = 100
	n, _ := rows.Dims()
	right := 0
	for lo := 0; lo < n; lo += batch {
		hi := min(lo+batch, n)
		g := net.NewGraph(ps)
		g.Training = false
		x := g.Input(hi-lo, side, side, 1)
		z := classifier(g, x, len(rows.Classes()))
		p, err := g.Infer(z)
		if err != nil {
			return 0, err
		}
		copy(x.Value(), rows.X()[lo*side*side:hi*side*side])
		p.Forward()
		k := len(rows.Classes())
		for i := range hi - lo {
			row := z.Value()[i*k : i*k+k]
			if slices.Index(row, slices.Max(row)) == labels[lo+i] {
				right++
			}
		}
	}
	return float64(right) / float64(n), nil
}
