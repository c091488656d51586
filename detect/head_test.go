package detect_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

// layer is a small network's end: features out of a ReLU, and the last layer that they go into, also as plain lists.
type layer struct {
	train, query *data.Table
	head         *data.Checkpoint
	weight       [][]float64 // K×D
	bias         []float64   // K
}

const layerRows, layerColumns, layerClasses = 120, 24, 4

func newLayer(t testing.TB, seed uint64) layer {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 77))
	l := layer{weight: make([][]float64, layerClasses), bias: make([]float64, layerClasses)}
	var flat []float32
	for c := range l.weight {
		l.weight[c] = make([]float64, layerColumns)
		for j := range l.weight[c] {
			v := float32(math.Round(r.NormFloat64()*64) / 128)
			if j%layerClasses == c {
				v += 0.75
			}
			l.weight[c][j] = float64(v)
			flat = append(flat, v)
		}
		l.bias[c] = 1 + float64(c)/8
	}
	rows := func(n int, classes bool, scale float64) *data.Table {
		x, labels := make([]float32, n*layerColumns), make([]int, n)
		for i := range n {
			labels[i] = r.IntN(layerClasses)
			for j := range layerColumns {
				v := r.NormFloat64() * scale
				if classes && j%layerClasses == labels[i] {
					v += 3
				}
				x[i*layerColumns+j] = float32(max(math.Round(v*16)/16, 0)) // multiples of 1/16 are exact in moments too
			}
		}
		tab, err := mustTable(t, n, layerColumns, x).WithLabels(labels, []string{"0", "1", "2", "3"})
		if err != nil {
			t.Fatal(err)
		}
		return tab
	}
	l.train, l.query = rows(layerRows, true, 1), rows(30, true, 2)
	l.head = &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float32Tensor(flat, layerClasses, layerColumns),
		"bias":   data.Float64Tensor(l.bias, layerClasses),
	}}
	return l
}

func (l layer) input() detect.HeadInput { return detect.HeadInput{Train: l.train, Head: l.head} }

// logits multiplies one row by the head, as the formula says.
func (l layer) logits(row []float64) []float64 {
	z := make([]float64, len(l.bias))
	for c, w := range l.weight {
		z[c] = l.bias[c]
		for j, v := range row {
			z[c] += w[j] * v
		}
	}
	return z
}

// energy is −log Σ exp.
func energy(z []float64) float64 {
	sum := 0.0
	for _, v := range z {
		sum += math.Exp(v)
	}
	return -math.Log(sum)
}

// each collects what f says of each row of a table.
func each(in *data.Table, f func(row []float64) float64) (out []float64) {
	n, _ := in.Dims()
	for i := range n {
		out = append(out, f(wide(in.Row(i))))
	}
	return out
}

// fitOnHead fits a detector on features and a head, whichever it is.
func fitOnHead[M method.Scorer](t testing.TB, fit func(context.Context, detect.HeadInput) (M, error), in detect.HeadInput) M {
	t.Helper()
	m, err := fit(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// onHeads fits each detector that takes features and a head.
var onHeads = map[string]func(context.Context, detect.HeadInput) (method.Scorer, error){
	"ash":      scorer(detect.ASH{}.Fit),
	"dice":     scorer(detect.DICE{}.Fit),
	"fdbd":     scorer(detect.FDBD{}.Fit),
	"nnguide":  scorer(detect.NNGuide{}.Fit),
	"react":    scorer(detect.ReAct{}.Fit),
	"relation": scorer(detect.Relation{}.Fit),
	"scale":    scorer(detect.Scale{}.Fit),
	"she":      scorer(detect.SHE{}.Fit),
	"vim":      scorer(detect.ViM{}.Fit),
}

func TestDetectorsOnHeadsFindTheLastLayer(t *testing.T) {
	l := newLayer(t, 1)
	network := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"conv.weight":   data.Float32Tensor(make([]float32, 24), 4, 3, 2),
		"hidden.weight": data.Float32Tensor(make([]float32, 6), 3, 2),
		"norm.weight":   data.Float32Tensor(make([]float32, layerColumns), layerColumns),
		"fc.weight":     l.head.Tensors["weight"],
		"fc.bias":       l.head.Tensors["bias"],
	}}
	plain := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": l.head.Tensors["weight"], "bias": data.Float64Tensor(make([]float64, layerClasses), layerClasses)}}
	bare := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": l.head.Tensors["weight"]}}
	for name, fit := range onHeads {
		want := scores(t, fitOnHead(t, fit, l.input()), l.query)
		within(t, name+": in a whole network", scores(t, fitOnHead(t, fit, detect.HeadInput{Train: l.train, Head: network}), l.query), want, 0, 0)
		within(t, name+": no bias is one of zeros", scores(t, fitOnHead(t, fit, detect.HeadInput{Train: l.train, Head: bare}), l.query),
			scores(t, fitOnHead(t, fit, detect.HeadInput{Train: l.train, Head: plain}), l.query), 0, 0)
	}
}

func TestDetectorsOnHeadsRefuse(t *testing.T) {
	l := newLayer(t, 2)
	tensors := func(list map[string]data.Tensor) *data.Checkpoint { return &data.Checkpoint{Tensors: list} }
	w := func(k, d int) data.Tensor { return data.Float64Tensor(make([]float64, k*d), k, d) }
	infinite := make([]float64, layerClasses*layerColumns)
	infinite[5] = math.Inf(-1)
	named := tensors(l.head.Tensors)
	named.SetStrings("classes", []string{"a", "b"})
	for _, c := range []struct {
		name  string
		in    detect.HeadInput
		want  error
		words string
	}{
		{"nothing", detect.HeadInput{}, method.ErrInput, "features and the head"},
		{"no head", detect.HeadInput{Train: l.train}, method.ErrInput, "features and the head"},
		{"no rows", detect.HeadInput{Train: l.train.Slice(0, 0), Head: l.head}, data.ErrShape, "0×24"},
		{"another network's head", detect.HeadInput{Train: l.train, Head: tensors(map[string]data.Tensor{"fc.weight": w(4, 7)})}, data.ErrShape, "[K 24]"},
		{"one class", detect.HeadInput{Train: l.train, Head: tensors(map[string]data.Tensor{"weight": w(1, 24)})}, data.ErrShape, "at least 2"},
		{"two layers that fit", detect.HeadInput{Train: l.train, Head: tensors(map[string]data.Tensor{"a.weight": w(4, 24), "b.weight": w(3, 24)})}, data.ErrFormat, "a.weight, b.weight"},
		{"no weight", detect.HeadInput{Train: l.train, Head: tensors(map[string]data.Tensor{"x": w(4, 24)})}, data.ErrFormat, "have x"},
		{"a bias of another length", detect.HeadInput{Train: l.train, Head: tensors(map[string]data.Tensor{"weight": w(4, 24), "bias": data.Float64Tensor(make([]float64, 3), 3)})}, data.ErrShape, "bias"},
		{"an infinite weight", detect.HeadInput{Train: l.train, Head: tensors(map[string]data.Tensor{"weight": data.Float64Tensor(infinite, 4, 24)})}, data.ErrFormat, "place 6"},
		{"two names for four classes", detect.HeadInput{Train: l.train, Head: named}, data.ErrShape, "names 2 classes"},
	} {
		for name, fit := range onHeads {
			if _, err := fit(t.Context(), c.in); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) {
				t.Errorf("%s: %s: have %v, want %q with %q", name, c.name, err, c.want, c.words)
			}
		}
	}
}

// A head of zeros gives all rows one score: nothing could be told apart, and that is said at once.
func TestDetectorsOnHeadsSayThatScoresCollapse(t *testing.T) {
	l := newLayer(t, 3)
	in := detect.HeadInput{Train: l.train, Head: &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(make([]float64, layerClasses*layerColumns), layerClasses, layerColumns),
		"bias":   data.Float64Tensor([]float64{1, 2, 3, 4}, layerClasses),
	}}}
	for name, fit := range onHeads {
		if slices.Contains([]string{"vim", "nnguide", "relation", "she"}, name) {
			continue // features themselves tell rows apart all the same
		}
		if _, err := fit(t.Context(), in); !errors.Is(err, method.ErrDegenerate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHeadInputLogits(t *testing.T) {
	l := newLayer(t, 30)
	l.head.SetStrings("classes", []string{"a", "b", "c", "d"}) // a new layer is this test's own
	z, err := detect.HeadInput{Train: l.query, Head: l.head}.Logits()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(z.Columns(), []string{"a", "b", "c", "d"}) {
		t.Errorf("columns %q", z.Columns())
	}
	for i := range 30 {
		within(t, "logits", wide(z.Row(i)), l.logits(wide(l.query.Row(i))), 1e-7, 1e-6)
	}
	huge := mustTable(t, 1, layerColumns, slices.Repeat([]float32{math.MaxFloat32}, layerColumns))
	if _, err := (detect.HeadInput{Train: huge, Head: l.head}).Logits(); !errors.Is(err, data.ErrFinite) {
		t.Errorf("logits beyond float32: %v", err)
	}
	if _, err := (detect.HeadInput{Train: l.query}).Logits(); !errors.Is(err, method.ErrInput) {
		t.Errorf("no head: %v", err)
	}
}
