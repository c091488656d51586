package detect_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleSHE() {
	features, _ := data.NewTable(4, 2, []float32{4, 0, 2, 0, 0, 3, 1, 5})
	m, err := detect.SHE{}.Fit(context.Background(), detect.HeadInput{Train: features, Head: twoUnits()})
	if err != nil {
		panic(err)
	}
	// The patterns are (3, 0) and (0.5, 4); both rows are of the first class, the second barely.
	query, _ := data.NewTable(2, 2, []float32{5, 1, 1, 0.5})
	scores, _ := m.Score(query)
	fmt.Printf("%.1f %.1f\n", scores[0], scores[1])
	// Output: -15.0 -3.0
}

// plainSHE forms the patterns from lists of rows.
func plainSHE(l layer, label func(i int) int) [][]float64 {
	patterns := make([][]float64, layerClasses)
	for c := range patterns {
		var rows [][]float64
		for i := range layerRows {
			row := wide(l.train.Row(i))
			z := l.logits(row)
			if at := slices.Index(z, slices.Max(z)); at == c && (label(i) == c || label(i) < 0) {
				rows = append(rows, row)
			}
		}
		patterns[c] = make([]float64, layerColumns)
		for j := range layerColumns {
			for _, row := range rows {
				patterns[c][j] += row[j] / float64(len(rows))
			}
		}
	}
	return patterns
}

func scoreSHE(l layer, patterns [][]float64) []float64 {
	return each(l.query, func(row []float64) float64 {
		z, sum := l.logits(row), 0.0
		for j, v := range patterns[slices.Index(z, slices.Max(z))] {
			sum -= v * row[j]
		}
		return sum
	})
}

func TestSHEAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 12)
	labels, _ := l.train.Labels()
	labels = slices.Clone(labels)
	for i := range labels { // some wrong ones, and some unknown
		switch i % 7 {
		case 0:
			labels[i] = (labels[i] + 1) % layerClasses
		case 1:
			labels[i] = data.Unknown
		}
	}
	in := l.input()
	var err error
	if in.Train, err = l.train.WithLabels(labels, l.train.Classes()); err != nil {
		t.Fatal(err)
	}
	want := scoreSHE(l, plainSHE(l, func(i int) int { return labels[i] }))
	within(t, "with labels", scores(t, fitOnHead(t, detect.SHE{}.Fit, in), l.query), want, 1e-12, 0)
	in.Train = mustTable(t, layerRows, layerColumns, l.train.X())
	within(t, "without labels", scores(t, fitOnHead(t, detect.SHE{}.Fit, in), l.query), scoreSHE(l, plainSHE(l, func(int) int { return -1 })), 1e-12, 0)

	// The same classes by name, in order and by the head's own names.
	if in.Train, err = l.train.WithLabels(labels, []string{"ant", "bee", "cat", "dog"}); err != nil {
		t.Fatal(err)
	}
	within(t, "classes in order", scores(t, fitOnHead(t, detect.SHE{}.Fit, in), l.query), want, 1e-12, 0)
	reversed := make([]int, len(labels))
	for i, c := range labels {
		reversed[i] = data.Unknown
		if c >= 0 {
			reversed[i] = layerClasses - c
		}
	}
	if in.Train, err = l.train.WithLabels(reversed, []string{"none has it", "zebra", "yak", "x", "bee"}); err != nil {
		t.Fatal(err)
	}
	if _, err := (detect.SHE{}).Fit(t.Context(), in); !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), "5 classes") {
		t.Errorf("five classes for a head of four without names: %v", err)
	}
	in.Head = &data.Checkpoint{Tensors: l.head.Tensors}
	in.Head.SetStrings("classes", []string{"bee", "x", "yak", "zebra"})
	within(t, "classes by the head's names", scores(t, fitOnHead(t, detect.SHE{}.Fit, in), l.query), want, 1e-12, 0)
	in.Head.SetStrings("classes", []string{"bee", "x", "yak", "crow"})
	if _, err := (detect.SHE{}).Fit(t.Context(), in); !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), `"zebra"`) {
		t.Errorf("a class that the head does not have: %v", err)
	}
}

// A class that the head never decides for rightly is remembered by its own rows, one without rows by all.
func TestSHEWithoutARightRow(t *testing.T) {
	l := newLayer(t, 13)
	l.bias[2], l.bias[3] = -1000, -1000
	l.head.Tensors["bias"] = data.Float64Tensor(l.bias, layerClasses)
	labels, _ := l.train.Labels()
	kept := slices.DeleteFunc(slices.Collect(func(yield func(int) bool) {
		for i := range layerRows {
			if !yield(i) {
				return
			}
		}
	}), func(i int) bool { return labels[i] == 3 })
	in := detect.HeadInput{Train: l.train.Pick(kept), Head: l.head}
	m := fitOnHead(t, detect.SHE{}.Fit, in)
	st := m.State()
	patterns, _, err := st.Floats("patterns", layerClasses, layerColumns)
	if err != nil {
		t.Fatal(err)
	}
	own, all, n := make([]float64, layerColumns), make([]float64, layerColumns), 0.0
	for _, i := range kept {
		if labels[i] == 2 {
			n++
		}
		for j, v := range l.train.Row(i) {
			all[j] += float64(v) / float64(len(kept))
			if labels[i] == 2 {
				own[j] += float64(v)
			}
		}
	}
	for j := range own {
		own[j] /= n
	}
	within(t, "never decided for", patterns[2*layerColumns:3*layerColumns], own, 1e-13, 0)
	within(t, "without rows", patterns[3*layerColumns:], all, 1e-13, 0)
}
