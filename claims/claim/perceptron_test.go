package claim

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

func TestPerceptronTakenApart(t *testing.T) {
	p := Perceptron{net.New(3, 1, 7, 5, 4)}
	in := counted(t, 9, 4)
	whole, err := p.Logits(in)
	if err != nil {
		t.Fatal(err)
	}
	for layers := 1; layers <= 2; layers++ {
		front, back, err := p.Cut(layers)
		if err != nil {
			t.Fatal(err)
		}
		hidden, err := p.Hidden(layers, in)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Min(hidden.X()) < 0 || hidden.ClassName(6) != "2" {
			t.Errorf("after %d layers: values down to %v, class %q", layers, slices.Min(hidden.X()), hidden.ClassName(6))
		}
		rest, err := back.Logits(hidden)
		if err != nil || !slices.Equal(rest.X(), whole.X()) {
			t.Errorf("the last layers on the output of the first %d: %v", layers, err)
		}
		joined, err := front.Join(back)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := joined.Logits(in); err != nil || !slices.Equal(again.X(), whole.X()) {
			t.Errorf("cut after %d layers and joined again: %v", layers, err)
		}
	}
	for _, layers := range []int{0, 3} {
		if _, err := p.Hidden(layers, in); !errors.Is(err, data.ErrShape) {
			t.Errorf("%d layers: %v", layers, err)
		}
	}
	back, err := FromCheckpoint(p.Checkpoint(Numbers(4)))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := back.Logits(in); err != nil || !slices.Equal(again.X(), whole.X()) {
		t.Errorf("from its checkpoint: %v", err)
	}
}

func TestTrainKeepsTheOriginal(t *testing.T) {
	p, in := Perceptron{net.New(3, 1, 4)}, counted(t, 12, 4)
	before, _ := p.Logits(in)
	trained, err := p.Train(t.Context(), net.Train{Epochs: 1, Batch: 4, Rate: 0.01}, in)
	if err != nil {
		t.Fatal(err)
	}
	after, _ := p.Logits(in)
	moved, _ := trained.Logits(in)
	if !slices.Equal(before.X(), after.X()) || slices.Equal(before.X(), moved.X()) {
		t.Error("training must change the copy alone")
	}
}

func TestAccuracyGoesByNames(t *testing.T) {
	rows := counted(t, 4, 2) // classes 0, 1, 0, 1
	outputs, err := data.NewNamed(4, []string{"1", "0"}, []float32{0, 1, 1, 0, 1, 0, 5, 5})
	if err != nil {
		t.Fatal(err)
	}
	// Predicted: 0, 1, 1, and of two equal ones the first column, 1.
	if a, err := Accuracy(outputs, rows); err != nil || a != 0.75 {
		t.Errorf("%v, %v, want 3 of 4", a, err)
	}
	foreign, _ := data.NewNamed(4, []string{"a", "b"}, outputs.X())
	if _, err := Accuracy(foreign, rows); !errors.Is(err, data.ErrLabels) {
		t.Errorf("outputs of other classes: %v", err)
	}
}

func TestMeans(t *testing.T) {
	facts := Means([]Outcome{{Extra: map[string]float64{"b": 1, "a": 2}}, {Extra: map[string]float64{"b": 2, "a": 4}}})
	if len(facts) != 2 || facts[0] != (Fact{"a", 3}) || facts[1].Name != "b" || math.Abs(facts[1].Value-1.5) > 1e-15 {
		t.Errorf("%v", facts)
	}
}

func TestRankCorrelation(t *testing.T) {
	a := []float64{1, 5, 2, 9, 4}
	for _, c := range []struct {
		b    []float64
		want float64
	}{
		{[]float64{2, 26, 5, 82, 17}, 1},
		{[]float64{-1, -5, -2, -9, -4}, -1},
		{[]float64{3, 3, 3, 3, 3}, 0},
		// By the textbook: 1 − 6·Σd²/(n(n²−1)) with ranks 1 4 2 5 3 and 2 1 3 5 4: Σd² = 1+9+1+0+1.
		{[]float64{20, 10, 30, 50, 40}, 1 - 6.0*12/120},
	} {
		if have := RankCorrelation(a, c.b); math.Abs(have-c.want) > 1e-12 {
			t.Errorf("%v: %v, want %v", c.b, have, c.want)
		}
	}
}
