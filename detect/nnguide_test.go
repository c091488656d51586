package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleNNGuide() {
	features, _ := data.NewTable(4, 3, []float32{4, 0, 0, 5, 0, 0, 0, 4, 0, 0, 5, 0})
	head := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.Float32Tensor([]float32{1, 0, 0, 0, 1, 0}, 2, 3)}}
	m, err := detect.NNGuide{Neighbors: 1}.Fit(context.Background(), detect.HeadInput{Train: features, Head: head})
	if err != nil {
		panic(err)
	}
	// The head is as sure of both rows; only the second goes where no training row does.
	query, _ := data.NewTable(2, 3, []float32{4, 0, 0, 4, 0, 8})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f\n", scores[0], scores[1])
	// Output: -20.12 -9.00
}

// cosine is that of two plain rows.
func cosine(a, b []float64) float64 {
	ab, aa, bb := 0.0, 0.0, 0.0
	for j := range a {
		ab, aa, bb = ab+a[j]*b[j], aa+a[j]*a[j], bb+b[j]*b[j]
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa) / math.Sqrt(bb)
}

func TestNNGuideAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 24)
	for _, k := range []int{1, 10, layerRows} {
		want := each(l.query, func(row []float64) float64 {
			var similar []float64
			for i := range layerRows {
				other := wide(l.train.Row(i))
				similar = append(similar, -energy(l.logits(other))*cosine(row, other))
			}
			slices.Sort(similar)
			mean := 0.0
			for _, v := range similar[layerRows-k:] {
				mean += v / float64(k)
			}
			return mean * energy(l.logits(row))
		})
		// Directions are kept in float32.
		within(t, fmt.Sprint(k, " neighbours"), scores(t, fitOnHead(t, detect.NNGuide{Neighbors: k}.Fit, l.input()), l.query), want, 3e-7, 0)
	}
}

// More kept rows than are multiplied at a time, with every row there several times.
func TestNNGuideOfManyRows(t *testing.T) {
	l := newLayer(t, 25)
	many := detect.HeadInput{Head: l.head}
	var rows []int
	for i := range 1300 {
		rows = append(rows, i*7%layerRows)
	}
	many.Train = l.train.Pick(rows)
	once := scores(t, fitOnHead(t, detect.NNGuide{Neighbors: 1}.Fit, l.input()), l.query)
	within(t, "the nearest", scores(t, fitOnHead(t, detect.NNGuide{Neighbors: 1}.Fit, many), l.query), once, 1e-14, 0)
	within(t, "its ten copies", scores(t, fitOnHead(t, detect.NNGuide{Neighbors: 10}.Fit, many), l.query), once, 1e-14, 0)
}

func TestNNGuideRefuses(t *testing.T) {
	l := newLayer(t, 26)
	if _, err := (detect.NNGuide{}).Fit(t.Context(), detect.HeadInput{Train: l.train.Slice(0, 9), Head: l.head}); !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "9 rows") {
		t.Errorf("9 rows: %v", err)
	}
	for c := range l.bias {
		l.bias[c] -= 1000
	}
	l.head.Tensors["bias"] = data.Float64Tensor(l.bias, layerClasses)
	if _, err := (detect.NNGuide{}).Fit(t.Context(), l.input()); !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), "constant to the head's bias") {
		t.Errorf("negative energies: %v", err)
	}
}

func BenchmarkNNGuideScore(b *testing.B) {
	l := newLayer(b, 27)
	m := fitOnHead(b, detect.NNGuide{}.Fit, l.input())
	for b.Loop() {
		if _, err := m.Score(l.train); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(layerRows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
