package weights_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleModelStock() {
	out, err := weights.ModelStock{}.Apply(context.Background(), weights.ModelStockInput{Base: pair(0, 0), In: data.Checkpoints{pair(2, 0), pair(1, math.Sqrt(3))}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 2)
	fmt.Printf("%.4f\n", w) // at 60 degrees two thirds of the way to the mean
	// Output:
	// [1.0000 0.5774]
}

// Copies on a shell around a centre, in many dimensions: the point lies far nearer the centre than their mean.
func TestModelStockFindsTheCentre(t *testing.T) {
	const n = 20000
	r := rand.New(rand.NewPCG(1, 1))
	centre, base := make([]float64, n), make([]float64, n)
	for i := range centre {
		centre[i] = 0.5 * r.NormFloat64()
	}
	var in data.Checkpoints
	for range 2 {
		v := make([]float64, n)
		for i := range v {
			v[i] = centre[i] + r.NormFloat64()
		}
		in = append(in, pair(v...))
	}
	far := func(c *data.Checkpoint) (sq float64) {
		v, _, err := c.Floats("w", n)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			sq += (v[i] - centre[i]) * (v[i] - centre[i])
		}
		return sq / n
	}
	stock := far(apply(t, "modelstock", nil, data.Bundle{"base": pair(base...), "in": in}))
	average := far(apply(t, "linear", nil, data.Bundle{"in": in}))
	// With variances 1/4 of the centre and 1/2 of the mean's noise, the best point on the line has error 1/4·1/2/(3/4) = 1/6.
	if math.Abs(stock-1./6) > 0.01 || math.Abs(average-0.5) > 0.02 {
		t.Errorf("squared distance from the centre %.4f, that of the mean %.4f; want 0.167 and 0.5", stock, average)
	}
}

func TestModelStockAtTheEdges(t *testing.T) {
	same(t, "opposite vectors", apply(t, "modelstock", nil, data.Bundle{"base": pair(1, 1), "in": data.Checkpoints{pair(2, 1), pair(0, 1)}}), pair(1, 1))
	if _, err := tryApply(t, "modelstock", nil, data.Bundle{"base": pair(1, 1), "in": data.Checkpoints{pair(2, 1)}}); err == nil {
		t.Error("one copy is accepted")
	}
}
