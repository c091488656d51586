package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleViM() {
	// The head reads two units; familiar rows move a third one a little.
	features, _ := data.NewTable(4, 3, []float32{4, 1, 0.5, 4, 1, -0.5, 1, 4, 0.5, 1, 4, -0.5})
	head := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.Float32Tensor([]float32{1, 0, 0, 0, 1, 0}, 2, 3)}}
	m, err := detect.ViM{Share: 0.7}.Fit(context.Background(), detect.HeadInput{Train: features, Head: head})
	if err != nil {
		panic(err)
	}
	// Both rows have the same logits; the second moves the third unit as no familiar row does.
	query, _ := data.NewTable(2, 3, []float32{4, 1, 0.5, 4, 1, 3})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f: %.2f %.2f\n", m.Factor(), scores[0], scores[1])
	// Output: 8.00: -0.05 19.95
}

// plainViM follows the paper with gonum's singular values.
func plainViM(l layer, from int) (score func(row []float64) float64, factor float64) {
	w := mat.NewDense(layerClasses, layerColumns, slices.Concat(l.weight...))
	var svd mat.SVD
	svd.Factorize(w, mat.SVDThin)
	var u, v, origin mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	var ub mat.Dense
	ub.Mul(u.T(), mat.NewDense(layerClasses, 1, l.bias))
	for i, s := range svd.Values(nil) {
		ub.Set(i, 0, -ub.At(i, 0)/s)
	}
	origin.Mul(&v, &ub)
	x := mat.NewDense(layerRows, layerColumns, nil)
	for i := range layerRows {
		for j, v := range l.train.Row(i) {
			x.Set(i, j, float64(v)-origin.At(j, 0))
		}
	}
	svd.Factorize(x, mat.SVDFull)
	v.Reset()
	svd.VTo(&v)
	length := func(row []float64) float64 {
		sum := 0.0
		for r := from; r < layerColumns; r++ {
			along := 0.0
			for j, f := range row {
				along += (f - origin.At(j, 0)) * v.At(j, r)
			}
			sum += along * along
		}
		return math.Sqrt(sum)
	}
	top, virtual := 0.0, 0.0
	for i := range layerRows {
		row := wide(l.train.Row(i))
		top += slices.Max(l.logits(row))
		virtual += length(row)
	}
	factor = top / virtual
	return func(row []float64) float64 { return factor*length(row) + energy(l.logits(row)) }, factor
}

func TestViMAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 17)
	for _, share := range []float64{0.25, 0.5, 0.9} {
		m := fitOnHead(t, detect.ViM{Share: share}.Fit, l.input())
		score, factor := plainViM(l, int(share*layerColumns+1e-9))
		within(t, fmt.Sprint("factor at ", share), []float64{m.Factor()}, []float64{factor}, 1e-9, 0)
		within(t, fmt.Sprint("share ", share), scores(t, m, l.query), each(l.query, score), 1e-8, 1e-8)
	}
}

// With more classes than columns the pseudo-inverse is of the other kind; the origin is still where logits are least, in squares.
func TestViMOriginOfATallHead(t *testing.T) {
	l := newLayer(t, 18)
	const k, d = 30, layerColumns
	weight, bias := make([]float64, k*d), make([]float64, k)
	for i := range weight {
		weight[i] = math.Sin(float64(i*i + 1))
	}
	for c := range bias {
		bias[c] = 3 + math.Cos(float64(c))
	}
	m := fitOnHead(t, detect.ViM{}.Fit, detect.HeadInput{Train: l.train, Head: &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(weight, k, d), "bias": data.Float64Tensor(bias, k)}}})
	origin, _, err := m.State().Floats("origin", d)
	if err != nil {
		t.Fatal(err)
	}
	// Normal equations: Wᵀ(W·origin + b) = 0.
	for j := range d {
		sum := 0.0
		for c := range k {
			z := bias[c]
			for i, o := range origin {
				z += weight[c*d+i] * o
			}
			sum += weight[c*d+j] * z
		}
		if math.Abs(sum) > 1e-9 {
			t.Fatalf("column %d: %g", j+1, sum)
		}
	}
}

func TestViMRefuses(t *testing.T) {
	l := newLayer(t, 19)
	few := detect.HeadInput{Train: l.train.Slice(0, 6), Head: l.head}
	if _, err := (detect.ViM{}).Fit(t.Context(), few); !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), "--share") {
		t.Errorf("6 rows of 24 columns: %v", err)
	}
	for c := range l.bias {
		l.bias[c] -= 1000
	}
	l.head.Tensors["bias"] = data.Float64Tensor(l.bias, layerClasses)
	if _, err := (detect.ViM{}).Fit(t.Context(), l.input()); !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), "constant to the head's bias") {
		t.Errorf("negative logits: %v", err)
	}
}
