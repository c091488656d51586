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
	Title:  "similar training rows vote beside the classes' names, or their means",
	Paper:  "zhang2022tip",
	Exempt: map[string]string{"far-from-zero": "rows are compared by their direction from zero, section 3.1"},
}, TipAdapter.Fit, loadTipAdapter))

// TipAdapter classifies by the cosine to each class's name, or mean, and by votes of the labelled rows, each as strong as it is similar.
//
// It is Tip-Adapter of Zhang et al. (2022), without training: a cache of a few labelled rows a class beside the zero-shot
// head of embedded names. A row's vote for its class is Weight · exp(−Sharpness · (1 − cosine)). O(N·D) to fit, O(N·D) a row
// to predict. Prefer it over [ZeroShot] with 1 to 16 labelled rows a class; with hundreds [Logistic] is better and needs no rows kept.
//
// Fits on: Train N×D with a label for every row, none of length zero; Names, optional, embeddings of the classes' names in the same space, labelled, one or more for each class of Train and for other classes too. Without names a class's mean direction stands for its name.
// Predict: N×K class probabilities of the classes of Names, or of Train without them. A row of length zero has cosine 0 with everything.
// Logits:  N×K, cosine/Temperature plus the votes; their softmax is Predict.
// Errors:  ErrLabels when a row has no label, or a class of Train no name; ErrShape without rows or columns, when Names are of another width, and on another width; ErrDegenerate for a row of length zero, and for a class whose rows cancel.
// Differs: names are optional; Weight and Sharpness are not searched for on held-out rows.
// Source:  zhang2022tip, eq. (3)-(6).
// Claim:   none: it needs an encoder of texts and images, which is not at hand.
type TipAdapter struct {
	// Weight multiplies the votes, the paper's α.
	Weight float64 `default:"1" range:"(0,1e6]"`
	// Sharpness is how fast a vote falls with the cosine, the paper's β.
	Sharpness float64 `default:"5.5" range:"(0,1e6]" unit:"1/cosine"`
	// Temperature divides cosines to names; the paper's models end at 0.01.
	Temperature float64 `default:"0.01" range:"(0,1e6]" unit:"cosine"`
}

// TipAdapterInput is what is learned from.
type TipAdapterInput struct {
	// Train are the labelled rows, N×D.
	Train *data.Table
	// Names are embeddings of the classes' names, labelled, D columns.
	Names *data.Table `optional:"true"`
}

// Fit keeps the rows' directions.
func (c TipAdapter) Fit(ctx context.Context, in TipAdapterInput) (*TipAdapterModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Train == nil {
		return nil, fmt.Errorf("%w: no rows", method.ErrInput)
	}
	own, labels, err := labelled(in.Train)
	if err != nil {
		return nil, err
	}
	n, d := in.Train.Dims()
	classes, names, numbers := own, in.Train, labels
	if in.Names != nil {
		names = in.Names
		if _, other := names.Dims(); other != d {
			return nil, fmt.Errorf("%w: names have %d columns, rows %d", data.ErrShape, other, d)
		}
		if classes, numbers, err = labelled(names); err != nil {
			return nil, fmt.Errorf("names: %w", err)
		}
	}
	place := map[string]int{}
	for c, name := range classes {
		place[name] = c
	}
	w, err := zeroshotWeights(names, numbers, classes)
	if err != nil {
		return nil, err
	}
	k := len(classes)
	m := &TipAdapterModel{config: c, labels: make([]int, n), cosines: &cosines{classes, &part.Projection{D: d, R: k + n, Center: make([]float64, d), Matrix: make([]float64, d*(k+n))}}}
	unit := make([]float64, d)
	for j := range d {
		copy(m.cosines.unit.Matrix[j*(k+n):], w[j*k:(j+1)*k])
	}
	for i, l := range labels {
		at, ok := place[own[l]]
		if !ok {
			return nil, fmt.Errorf("%w: row %d is of class %q, which has no name among %d", data.ErrLabels, i+1, own[l], k)
		}
		if !unitRow(unit, in.Train.Row(i)) {
			return nil, fmt.Errorf("%w: row %d has length zero, so it has no direction", method.ErrDegenerate, i+1)
		}
		m.labels[i] = at
		for j, v := range unit {
			m.cosines.unit.Matrix[j*(k+n)+k+i] = v
		}
	}
	return m, nil
}

// TipAdapterModel is a fitted [TipAdapter].
type TipAdapterModel struct {
	config  TipAdapter
	cosines *cosines // D×(K+N): names, then rows
	labels  []int    // N
}

func (m *TipAdapterModel) table(in *data.Table, link func(logits []float64)) (*data.Table, error) {
	n, _ := in.Dims()
	k := len(m.cosines.classes)
	out := make([]float32, n*k)
	err := m.cosines.each("tipadapter", in, func(row int, cosine []float64) {
		logits := cosine[:k]
		for c := range logits {
			logits[c] /= m.config.Temperature
		}
		for i, l := range m.labels {
			logits[l] += m.config.Weight * math.Exp(-m.config.Sharpness*(1-cosine[k+i]))
		}
		link(logits)
		for c, v := range logits {
			out[row*k+c] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
		}
	})
	if err != nil {
		return nil, err
	}
	return data.NewNamed(n, m.cosines.classes, out)
}

// Predict returns each row's class probabilities, N×K.
func (m *TipAdapterModel) Predict(in *data.Table) (*data.Table, error) {
	return m.table(in, func(z []float64) { num.Softmax(z, z, 1) })
}

// Logits returns each row's logits, N×K.
func (m *TipAdapterModel) Logits(in *data.Table) (*data.Table, error) {
	return m.table(in, func([]float64) {})
}

// State returns the model as tensors.
func (m *TipAdapterModel) State() *data.Checkpoint {
	labels := make([]float64, len(m.labels))
	for i, l := range m.labels {
		labels[i] = float64(l)
	}
	u := m.cosines.unit
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"directions": data.Float64Tensor(u.Matrix, u.D, u.R),
		"labels":     data.Float64Tensor(labels, len(labels)),
	}}
	st.SetStrings("classes", m.cosines.classes)
	return st
}

func loadTipAdapter(c TipAdapter, st *data.Checkpoint) (*TipAdapterModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	classes, labels := r.Strings("classes"), r.Floats("labels", -1)
	both := len(classes) + len(labels)
	w := r.Floats("directions", -1, both)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(classes) == 0 || len(w) == 0 {
		return nil, fmt.Errorf("%w: %d classes and %d directions", data.ErrShape, len(classes), len(w))
	}
	d := len(w) / both
	m := &TipAdapterModel{config: c, cosines: &cosines{classes, &part.Projection{D: d, R: both, Center: make([]float64, d), Matrix: w}}}
	for i, v := range labels {
		l := int(v)
		if float64(l) != v || l < 0 || l >= len(classes) {
			return nil, fmt.Errorf("%w: row %d has the class %g of %d", data.ErrFormat, i+1, v, len(classes))
		}
		m.labels = append(m.labels, l)
	}
	return m, nil
}
