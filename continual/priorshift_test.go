package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
)

func ExamplePriorShift() {
	// The classifier learned from equally many of both; nine of ten rows here are of the second class.
	p, _ := data.NewNamed(10, []string{"rare", "common"}, []float32{.9, .1, .6, .4, .2, .8, .1, .9, .2, .8, .3, .7, .1, .9, .2, .8, .1, .9, .3, .7})
	out, err := continual.PriorShift{Probabilities: true}.Apply(context.Background(), continual.PriorShiftInput{Logits: p})
	if err != nil {
		panic(err)
	}
	fmt.Printf("a row of 0.60 and 0.40 becomes %.2f\n", out.Row(1))
	// Output:
	// a row of 0.60 and 0.40 becomes [0.07 0.93]
}

// TestPriorShiftMaximisesTheLikelihood: no share on a fine grid makes the rows more likely than the one that was found.
func TestPriorShiftMaximisesTheLikelihood(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const n = 400
	x, names := make([]float32, 0, 2*n), make([]string, 0, 30)
	for i := range n { // one column N(±1, 1), of which the posterior at shares 3:7 is known
		mean := 1.0
		if i%5 == 0 {
			mean = -1
		}
		v := mean + r.NormFloat64()
		odds := 0.3 / 0.7 * math.Exp(-2*v)
		x = append(x, float32(odds/(1+odds)), float32(1/(1+odds)))
	}
	for i := range 30 {
		names = append(names, []string{"a", "b"}[min(i/9, 1)])
	}
	p, err := data.NewNamed(n, []string{"a", "b"}, x)
	if err != nil {
		t.Fatal(err)
	}
	train := table(t, names, make([]float32, 30)...) // 9 of 30: 3 to 7
	out, err := continual.PriorShift{Probabilities: true}.Apply(t.Context(), continual.PriorShiftInput{Logits: p, Train: train})
	if err != nil {
		t.Fatal(err)
	}
	found := 0.0
	for i := range n {
		found += float64(out.Row(i)[0]) / n
	}
	likelihood := func(share float64) (sum float64) {
		for i := range n {
			sum += math.Log(float64(p.Row(i)[0])*share/0.3 + float64(p.Row(i)[1])*(1-share)/0.7)
		}
		return sum
	}
	for share := 0.001; share < 1; share += 0.001 {
		if likelihood(share) > likelihood(found)+1e-3 {
			t.Fatalf("a share of %.3f is likelier than %.4f", share, found)
		}
	}
	if math.Abs(found-0.2) > 0.06 { // 400 rows with overlap: a standard error near 0.027
		t.Errorf("share %.3f, 0.2 was planted", found)
	}
}

func TestPriorShiftRefuses(t *testing.T) {
	p, err := data.NewNamed(1, []string{"a", "b"}, []float32{1, 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, train := range []*data.Table{table(t, []string{"c"}, 1), table(t, []string{"a"}, 1)} {
		if _, err := (continual.PriorShift{}).Apply(t.Context(), continual.PriorShiftInput{Logits: p, Train: train}); !errors.Is(err, data.ErrLabels) {
			t.Errorf("classes that do not fit: %v", err)
		}
	}
}
