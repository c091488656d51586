package choose

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// threshold is a head whose error is known: it is right on rows whose value is above it.
type threshold float64

func (c threshold) State() *data.Checkpoint { return nil }

func (c threshold) Predict(in *data.Table) (*data.Table, error) {
	n, _ := in.Dims()
	x := make([]float32, 2*n)
	for i := range n {
		right := 0
		if in.ClassName(i) == "b" {
			right = 1
		}
		if float64(in.Row(i)[0]) < float64(c) {
			right = 1 - right
		}
		x[2*i+right] = 1
	}
	return data.NewNamed(n, []string{"a", "b"}, x)
}

func curve(limit, slope float64) Head {
	return func(_ context.Context, train *data.Table) (method.Predictor, error) {
		n, _ := train.Dims()
		return threshold(limit + slope/float64(n)), nil
	}
}

func uniform(t *testing.T, n int) *data.Table {
	t.Helper()
	x, labels := make([]float32, n), make([]int, n)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range x {
		x[i], labels[i] = float32(r.Float64()), i%2
	}
	in, err := data.NewTable(n, 1, x)
	if err == nil {
		in, err = in.WithLabels(labels, []string{"a", "b"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestCross: errors 0.2 + 0.4/n and 0.1 + 4.4/n are equal at n = 40.
func TestCross(t *testing.T) {
	in := uniform(t, 3000)
	c, err := Cross(t.Context(), Options{Seed: 1}, in, curve(0.2, 0.4), curve(0.1, 4.4))
	if err != nil {
		t.Fatal(err)
	}
	// On the logarithmic scale between 32 and 64 rows the gap goes from −0.025 to 0.0375.
	if want := 32 * math.Pow(2, 0.4); math.Abs(c.Rows.Value-want) > 3 || c.Rows.Low > c.Rows.Value || c.Rows.High < c.Rows.Value || c.Crossed != 1 {
		t.Errorf("crossing %+v (%g), want %.1f", c.Rows, c.Crossed, want)
	}
	if math.Abs(c.Expected-40) > 5 {
		t.Errorf("expected %g, want 40", c.Expected)
	}
	last := c.Points[len(c.Points)-1]
	if last.Rows != 2100 || math.Abs(last.Few.Value-0.2) > 0.02 || math.Abs(last.Many.Value-0.1) > 0.02 || last.Gap.Low <= 0 {
		t.Errorf("last point %+v", last)
	}
	again, _ := Cross(t.Context(), Options{Seed: 1}, in, curve(0.2, 0.4), curve(0.1, 4.4))
	if again.Rows != c.Rows {
		t.Error("the same seed gives another crossing")
	}
	// Beyond the table: equal at 3,000 rows, of which 2,100 are learned.
	far, err := Cross(t.Context(), Options{}, in, curve(0.15, 0), curve(0.1, 150))
	if err != nil || !math.IsInf(far.Rows.Value, 1) || far.Crossed > 0.5 {
		t.Errorf("crossing %+v (%g), expected %g: %v", far.Rows, far.Crossed, far.Expected, err)
	}
	never, err := Cross(t.Context(), Options{}, in, curve(0.1, 1), curve(0.3, 1))
	if err != nil || !math.IsInf(never.Expected, 1) || never.Crossed != 0 {
		t.Errorf("worse everywhere: %+v, %v", never, err)
	}
}

func TestCrossRefuses(t *testing.T) {
	in := uniform(t, 100)
	fit := curve(0.1, 0)
	if _, err := Cross(t.Context(), Options{Splits: 1}, in, fit, fit); !errors.Is(err, method.ErrConfig) {
		t.Errorf("one split: %v", err)
	}
	if _, err := Cross(t.Context(), Options{}, in.Slice(0, 5), fit, fit); !errors.Is(err, data.ErrShape) {
		t.Errorf("five rows: %v", err)
	}
	plain, _ := data.NewTable(100, 1, in.X())
	if _, err := Cross(t.Context(), Options{}, plain, fit, fit); !errors.Is(err, data.ErrLabels) {
		t.Errorf("no labels: %v", err)
	}
	free, _ := plain.WithLabels(make([]int, 100), []string{"a"})
	if _, err := Cross(t.Context(), Options{}, free, fit, fit); !errors.Is(err, data.ErrShape) {
		t.Errorf("one class: %v", err)
	}
}

func TestProportioned(t *testing.T) {
	labels := make([]int, 100)
	for i := range labels {
		if i >= 80 {
			labels[i] = 1 + i%2
		}
	}
	rows := rand.New(rand.NewPCG(2, 2)).Perm(100)
	order := proportioned(rows, labels)
	first := map[int]bool{}
	for _, i := range order[:3] {
		first[labels[i]] = true
	}
	count := 0
	for _, i := range order[:50] {
		if labels[i] == 0 {
			count++
		}
	}
	if len(first) != 3 || count < 38 || count > 42 {
		t.Errorf("classes of the first three rows %v, %d of the first 50 are of the class with four fifths", first, count)
	}
}
