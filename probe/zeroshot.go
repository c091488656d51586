package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:  "class whose name's embedding is the most similar, by cosine",
	Paper:  "radford2021learning",
	Exempt: map[string]string{"far-from-zero": "rows are compared with names by their direction from zero, section 3.1.2"},
}, ZeroShot.Fit, loadZeroShot))

// ZeroShot classifies rows by how well they agree with embeddings of the classes' names, in the space that a model of images and texts shares.
//
// It is the zero-shot head of Radford et al. (2021): no row of a class is needed, only its name, or several sentences with it
// whose embeddings are brought to length one and averaged. O(N·D) to fit, O(K·D) a row to predict. With a few labelled rows
// beside the names [TipAdapter] is better; with many, [Logistic] without them.
//
// Fits on: Table N×D of embeddings of names or sentences, one or more a class, each labelled with its class; none of length zero.
// Predict: N×K class probabilities, softmax(cosine/Temperature). A row of length zero has cosine 0 with everything.
// Logits:  N×K, cosine/Temperature; their softmax is Predict.
// Errors:  ErrLabels when an embedding has no label; ErrShape without rows or columns and on another width; ErrDegenerate for an embedding of length zero, and for a class whose embeddings cancel.
// Differs: nothing.
// Source:  radford2021learning, sections 3.1.2 and 3.1.4.
// Claim:   none: it needs an encoder of texts and images, which is not at hand.
type ZeroShot struct {
	// Temperature divides cosines before the softmax; the paper's models end at 0.01.
	Temperature float64 `default:"0.01" range:"(0,1e6]" unit:"cosine"`
}

// Fit averages the embeddings of each class.
func (c ZeroShot) Fit(ctx context.Context, names *data.Table) (*ZeroShotModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	classes, labels, err := labelled(names)
	if err != nil {
		return nil, err
	}
	_, d := names.Dims()
	w, err := zeroshotWeights(names, labels, classes)
	if err != nil {
		return nil, err
	}
	return &ZeroShotModel{c, &cosines{classes, &part.Projection{D: d, R: len(classes), Center: make([]float64, d), Matrix: w}}}, nil
}

// zeroshotWeights returns each class's mean direction, D×K with columns of length one.
func zeroshotWeights(names *data.Table, labels []int, classes []string) ([]float64, error) {
	_, d := names.Dims()
	k := len(classes)
	w := make([]float64, d*k)
	unit := make([]float64, d)
	for i, l := range labels {
		if !unitRow(unit, names.Row(i)) {
			return nil, fmt.Errorf("%w: row %d, of class %q, has length zero, so it has no direction", method.ErrDegenerate, i+1, classes[l])
		}
		for j, v := range unit {
			w[j*k+l] += v
		}
	}
	for l, name := range classes {
		length := 0.0
		for j := range d {
			length += w[j*k+l] * w[j*k+l]
		}
		if length = math.Sqrt(length); length < 1e-9 {
			return nil, fmt.Errorf("%w: the rows of class %q cancel, so their mean has no direction", method.ErrDegenerate, name)
		}
		for j := range d {
			w[j*k+l] /= length
		}
	}
	return w, nil
}

// ZeroShotModel is a fitted [ZeroShot].
type ZeroShotModel struct {
	config  ZeroShot
	cosines *cosines
}

func (m *ZeroShotModel) table(in *data.Table, link func(cosine []float64)) (*data.Table, error) {
	n, _ := in.Dims()
	k := len(m.cosines.classes)
	out := make([]float32, n*k)
	err := m.cosines.each("zeroshot", in, func(row int, cosine []float64) {
		link(cosine)
		for c, v := range cosine {
			out[row*k+c] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
		}
	})
	if err != nil {
		return nil, err
	}
	return data.NewNamed(n, m.cosines.classes, out)
}

// Predict returns each row's class probabilities, N×K.
func (m *ZeroShotModel) Predict(in *data.Table) (*data.Table, error) {
	return m.table(in, func(c []float64) { num.Softmax(c, c, m.config.Temperature) })
}

// Logits returns each row's cosines over the temperature, N×K.
func (m *ZeroShotModel) Logits(in *data.Table) (*data.Table, error) {
	return m.table(in, func(c []float64) {
		for k := range c {
			c[k] /= m.config.Temperature
		}
	})
}

// State returns the model as tensors.
func (m *ZeroShotModel) State() *data.Checkpoint {
	u := m.cosines.unit
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{"names": data.Float64Tensor(u.Matrix, u.D, u.R)}}
	st.SetStrings("classes", m.cosines.classes)
	return st
}

func loadZeroShot(c ZeroShot, st *data.Checkpoint) (*ZeroShotModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	classes := r.Strings("classes")
	w := r.Floats("names", -1, len(classes))
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(w) == 0 {
		return nil, fmt.Errorf("%w: %d classes without a column", data.ErrShape, len(classes))
	}
	d := len(w) / len(classes)
	return &ZeroShotModel{c, &cosines{classes, &part.Projection{D: d, R: len(classes), Center: make([]float64, d), Matrix: w}}}, nil
}
