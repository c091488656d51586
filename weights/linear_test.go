package weights_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleLinear() {
	out, err := weights.Linear{Weights: []float64{3, 1}}.Apply(context.Background(), weights.LinearInput{In: data.Checkpoints{pair(1, 2), pair(5, -2)}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 2)
	fmt.Println(w)
	// Output:
	// [2 1]
}

func TestLinearOfEqualWeightsIsTheSoup(t *testing.T) {
	all := many(2, 5)
	want := soup(t, weights.Soup{}, weights.SoupInput{In: all})
	same(t, "equal weights", apply(t, "linear", map[string]string{"weights": "0.5"}, data.Bundle{"in": all}), want)
}

func TestLinearSums(t *testing.T) {
	out := apply(t, "linear", map[string]string{"weights": "1,-1", "sum": "true"}, data.Bundle{"in": data.Checkpoints{pair(3, 1), pair(1, 1)}})
	same(t, "a difference", out, pair(2, 0))
}
