package weights_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleTaskArithmetic() {
	base, left, right := pair(1, 1), pair(3, 1), pair(1, 0)
	out, err := weights.TaskArithmetic{Weights: []float64{1, -1}}.Apply(context.Background(), weights.TaskArithmeticInput{Base: base, In: data.Checkpoints{left, right}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 2)
	fmt.Println(w) // what left learned is added, what right learned is taken away
	// Output:
	// [3 2]
}

// With weights that average to one over all, it is the average.
func TestTaskArithmeticAveraged(t *testing.T) {
	all := many(3, 4)
	near(t, "averaged", apply(t, "taskarithmetic", map[string]string{"average": "true"}, data.Bundle{"base": all[0], "in": all[1:]}), apply(t, "linear", nil, data.Bundle{"in": all[1:]}), 1e-3) // one rounding of the narrow types
	same(t, "scaled", apply(t, "taskarithmetic", map[string]string{"scale": "0.5"}, data.Bundle{"base": pair(2, 2), "in": data.Checkpoints{pair(4, 6)}}), pair(3, 4))
}
