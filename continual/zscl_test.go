package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// labelledRows are rows with classes.
func labelledRows(d int, x []float32, classes ...string) *data.Table {
	t, err := data.NewTable(len(classes), d, x)
	if err == nil {
		t, err = t.WithClassNames(classes)
	}
	if err != nil {
		panic(err)
	}
	return t
}

func ExampleZSCL() {
	// Embeddings of three words, and images of the first two, all of which the untuned model takes for pears; the words stand in for a reference.
	names := labelledRows(3, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, "fig", "pear", "plum")
	images := labelledRows(3, []float32{4, 6, 0, 5, 6, 0, 1, 6, 0, 1, 5, 0}, "fig", "fig", "pear", "pear")
	m, err := continual.ZSCL{Rate: 0.01}.Fit(context.Background(), continual.ZSCLInput{Train: images, Names: names, Reference: names})
	if err != nil {
		panic(err)
	}
	p, _ := m.Predict(labelledRows(3, []float32{9, 13, 0, 1, 2, 8}, "fig", "plum"))
	fmt.Printf("taught: %s %.2f\n", p.Columns()[0], p.Row(0)[0])
	fmt.Printf("never taught: %s %.2f\n", p.Columns()[2], p.Row(1)[2])
	// Output:
	// taught: fig 1.00
	// never taught: plum 1.00
}

// TestZSCLStays: with all weight on the anchor, and with a rate of nearly nothing, the model is the zero-shot head, cosines written down plainly.
func TestZSCLStays(t *testing.T) {
	names := labelledRows(2, []float32{3, 1, -1, 2}, "a", "b")
	train := labelledRows(2, []float32{-2, 3, 1, 1, 5, 0.5}, "a", "a", "b")
	for what, c := range map[string]continual.ZSCL{"anchor": {Anchor: 1e9, Rate: 1e-5, Temperature: 0.1}, "rate": {Rate: 1e-12, Temperature: 0.1}} {
		m, err := c.Fit(t.Context(), continual.ZSCLInput{Train: train, Names: names})
		if err != nil {
			t.Fatal(err)
		}
		z, err := m.Logits(train)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			x := train.Row(i)
			for k, w := range [][]float64{{3, 1}, {-1, 2}} {
				want := (float64(x[0])*w[0] + float64(x[1])*w[1]) / math.Hypot(float64(x[0]), float64(x[1])) / math.Hypot(w[0], w[1]) / 0.1
				if got := float64(z.Row(i)[k]); math.Abs(got-want) > 1e-3 { // 1e-4 of a weight, cosines over 0.1
					t.Errorf("%s: logit %d of row %d is %g, zero-shot %g", what, k, i, got, want)
				}
			}
		}
	}
}

// TestZSCLNames: a class without a name is called by its rows, names come later too, and those that are there stay.
func TestZSCLNames(t *testing.T) {
	train := labelledRows(2, []float32{1, 0, 0, 1}, "a", "b")
	m, err := continual.ZSCL{Steps: 5}.Fit(t.Context(), continual.ZSCLInput{Train: train})
	if err != nil {
		t.Fatal(err)
	}
	more, err := m.WithNames(labelledRows(2, []float32{-1, 0, 0, -1}, "c", "a"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := more.Predict(labelledRows(2, []float32{-3, 0.1, 2, 0}, "c", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Columns()); got != "[a b c]" || p.Row(0)[2] < 0.9 || p.Row(1)[0] < 0.9 {
		t.Errorf("classes %s say %v and %v", got, p.Row(0), p.Row(1))
	}
	next, err := m.Update(t.Context(), labelledRows(2, []float32{-1, 0.2, -1, -0.2}, "d", "d"))
	if err != nil {
		t.Fatal(err)
	}
	p, _ = next.(*continual.ZSCLModel).Predict(labelledRows(2, []float32{-1, 0}, "d"))
	if p.Row(0)[2] < 0.9 {
		t.Errorf("a new class without a name: %v", p.Row(0))
	}
}

func TestZSCLRefuses(t *testing.T) {
	good := labelledRows(2, []float32{1, 0, 0, 1}, "a", "b")
	wide := labelledRows(3, []float32{1, 0, 0}, "a")
	for what, c := range map[string]struct {
		in   continual.ZSCLInput
		want error
	}{
		"nothing":         {continual.ZSCLInput{}, method.ErrInput},
		"a row of zeros":  {continual.ZSCLInput{Train: labelledRows(2, []float32{0, 0, 1, 0}, "a", "b")}, method.ErrDegenerate},
		"names cancel":    {continual.ZSCLInput{Train: good, Names: labelledRows(2, []float32{1, 0, -1, 0}, "a", "a")}, method.ErrDegenerate},
		"wide names":      {continual.ZSCLInput{Train: good, Names: wide}, data.ErrShape},
		"wide reference":  {continual.ZSCLInput{Train: good, Reference: wide}, data.ErrShape},
		"wide sentences":  {continual.ZSCLInput{Train: good, Sentences: wide}, data.ErrShape},
		"empty reference": {continual.ZSCLInput{Train: good, Reference: good.Slice(0, 0)}, data.ErrShape},
	} {
		if _, err := (continual.ZSCL{}).Fit(t.Context(), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}
