package weights_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/weights"
)

// identity is a linear head that passes d columns through.
func identity(d int) *data.Checkpoint {
	w := make([]float64, d*d)
	for i := range d {
		w[i*d+i] = 1
	}
	return &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{
		"weight": data.CastTensor(data.F32, w, d, d),
		"bias":   data.CastTensor(data.F32, make([]float64, d), d),
	}}
}

func named(t testing.TB, names []string, x ...float32) *data.Table {
	t.Helper()
	tab, err := data.NewTable(len(names), len(x)/len(names), x)
	if err == nil {
		tab, err = tab.WithClassNames(names)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestHoldoutByHand(t *testing.T) {
	h := holdout(t, named(t, []string{"0", "2", "2", "1"}, 3, 0, 0 /**/, 0, 0, 3 /**/, 1, 0, 1 /**/, 0, 0, 1))
	if a, err := h.Evaluate(t.Context(), identity(3)); err != nil || a != 0.5 { // rows 1 and 2; row 3 ties, the first output wins
		t.Errorf("accuracy %v (%v), want 0.5", a, err)
	}
	loss, _, gradient, err := h.Loss(t.Context(), identity(3), 2)
	if err != nil {
		t.Fatal(err)
	}
	lse := func(a, b, c float64) float64 { return math.Log(math.Exp(a) + math.Exp(b) + math.Exp(c)) }
	if want := (2*(lse(6, 0, 0)-6) + lse(2, 0, 2) - 2 + lse(0, 0, 2)) / 4; math.Abs(loss-want) > 1e-6 {
		t.Errorf("loss %v, want %v", loss, want)
	}
	if len(gradient) != 2 || len(gradient["weight"]) != 9 || len(gradient["bias"]) != 3 {
		t.Errorf("gradient of %d tensors", len(gradient))
	}
}

func TestHoldoutMatchesClassesByName(t *testing.T) {
	rows := named(t, []string{"cat", "ant"}, 0, 0, 1 /**/, 0, 1, 0)
	c := identity(3)
	c.SetStrings("classes", []string{"bee", "ant", "cat"})
	if a, err := holdout(t, rows).Evaluate(t.Context(), c); err != nil || a != 1 {
		t.Errorf("accuracy %v (%v), want 1 by the names in the metadata", a, err)
	}
	// Numbers stand for themselves even when the table lacks some of them.
	if a, err := holdout(t, named(t, []string{"2", "1"}, 0, 0, 1, 0, 1, 0)).Evaluate(t.Context(), identity(3)); err != nil || a != 1 {
		t.Errorf("accuracy %v (%v), want 1 by number", a, err)
	}
	// Else as many names as outputs, in order.
	if a, err := holdout(t, named(t, []string{"c", "a", "b"}, 0, 0, 1, 1, 0, 0, 0, 1, 0)).Evaluate(t.Context(), identity(3)); err != nil || a != 1 {
		t.Errorf("accuracy %v (%v), want 1 by order", a, err)
	}
	if _, err := holdout(t, rows).Evaluate(t.Context(), identity(3)); !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), "2 classes, the network 3 outputs") {
		t.Errorf("two names for three outputs: %v", err)
	}
	c.SetStrings("classes", []string{"bee", "ant", "dog"})
	if _, err := holdout(t, rows).Evaluate(t.Context(), c); !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), `row 1 is of class "cat"`) {
		t.Errorf("an unknown class: %v", err)
	}
}

func TestHoldoutRefuses(t *testing.T) {
	free, err := data.NewTable(1, 1, []float32{0})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := weights.NewHoldout(free); !errors.Is(err, data.ErrLabels) {
		t.Errorf("rows without labels: %v", err)
	}
	if _, err := weights.NewHoldout(named(t, []string{"a", ""}, 0, 0)); !errors.Is(err, data.ErrLabels) || !strings.Contains(err.Error(), "row 2") {
		t.Errorf("a row without a label: %v", err)
	}
	if _, err := weights.NewHoldout(free.Slice(0, 0)); !errors.Is(err, data.ErrShape) {
		t.Errorf("no rows: %v", err)
	}
	h := holdout(t, named(t, []string{"0", "1"}, 0, 1, 1, 0))
	if _, err := h.Evaluate(t.Context(), identity(3)); !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "2 columns, the network takes 3") {
		t.Errorf("another width: %v", err)
	}
	c := identity(2)
	c.Tensors["running_mean"] = data.Float64Tensor([]float64{0, 0}, 2)
	if _, err := h.Evaluate(t.Context(), c); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "running_mean") {
		t.Errorf("a tensor of no linear layer: %v", err)
	}
	c = identity(2)
	c.Tensors["weight"] = data.CastTensor(data.F32, []float64{math.Inf(1), 0, 0, 1}, 2, 2)
	if _, err := h.Evaluate(t.Context(), c); !errors.Is(err, data.ErrFinite) {
		t.Errorf("infinite outputs: %v", err)
	}
	if _, _, _, err := h.Loss(t.Context(), c, 1); !errors.Is(err, data.ErrFinite) {
		t.Errorf("an infinite loss: %v", err)
	}
}

func TestHoldoutAgreesWithTheNetwork(t *testing.T) {
	rows := blobs(3, 100, 6, 3)
	labels, err := rows.Labels()
	if err != nil {
		t.Fatal(err)
	}
	n := net.New(4, 6, 9, 3)
	flat := make([]float32, n.Size())
	want, wantScale := n.Loss(net.Objective{Scale: 1.5}, rows.X(), labels, flat)
	loss, byScale, gradient, err := holdout(t, rows).Loss(t.Context(), checkpoint(n), 1.5)
	if err != nil || loss != want || byScale != wantScale {
		t.Errorf("loss %v and %v (%v), want %v and %v", loss, byScale, err, want, wantScale)
	}
	for _, g := range n.Named(flat) {
		if !slices.EqualFunc(gradient[g.Name], g.Values, func(a float64, b float32) bool { return a == float64(b) }) {
			t.Errorf("gradient of %s differs", g.Name)
		}
	}
}
