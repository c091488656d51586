package detect_test

import (
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

// TestMaskedClassesAreNotThere: a class that is masked out in every row changes no score of a detector on logits, and one
// that is masked out in some rows leaves finite scores.
func TestMaskedClassesAreNotThere(t *testing.T) {
	plain, query := logitRows(t, 61, 300, 5), logitRows(t, 62, 60, 5)
	masked := func(in *data.Table, every int) *data.Table {
		n, k := in.Dims()
		var x []float32
		for i := range n {
			x = append(x, in.Row(i)...)
			if i%every == 0 {
				x = append(x, data.MaskedLogit)
			} else {
				x = append(x, in.Row(i)[k-1]-1)
			}
		}
		out := mustTable(t, n, k+1, x)
		labels, err := in.Labels()
		if err != nil {
			return out
		}
		if out, err = out.WithLabels(labels, append(append([]string{}, in.Classes()...), "masked")); err != nil {
			t.Fatal(err)
		}
		return out
	}
	tried := 0
	for _, s := range detect.Methods() {
		if s.Inputs[0].Name != "logits" {
			continue
		}
		tried++
		ask := func(train, query *data.Table) []float64 {
			m, err := s.Fit(t.Context(), s.Config(), data.Bundle{"logits": train})
			if err != nil {
				t.Fatalf("%s: %v", s.Name, err)
			}
			return scores(t, m.(method.Scorer), query)
		}
		have, want := ask(masked(plain, 1), masked(query, 1)), ask(plain, query)
		near(t, s.Name+" with a class masked out", have, want, 1e-6)
		for i, v := range ask(masked(plain, 2), masked(query, 3)) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Fatalf("%s: score %d is %v", s.Name, i, v)
			}
		}
	}
	if tried < 6 {
		t.Errorf("%d detectors take logits", tried)
	}
}
