package weights_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleFisher() {
	out, err := weights.Fisher{}.Apply(context.Background(), weights.FisherInput{
		In:        data.Checkpoints{pair(1, 1, 1), pair(5, 5, 5)},
		Precision: data.Checkpoints{pair(3, 0, 0), pair(1, 2, 0)},
	})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 3)
	fmt.Printf("%.4f\n", w) // three to one; the second alone; plainly
	// Output:
	// [2.0000 5.0000 3.0000]
}

func TestFisherWithEqualInformationIsTheAverage(t *testing.T) {
	all := many(11, 3)
	ones := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, name := range []string{"F32", "F64"} { // the other tensors have none
		v := make([]float64, 9001)
		for i := range v {
			v[i] = 2
		}
		ones.Tensors[name] = data.CastTensor(data.F32, v, 9001)
	}
	precision := data.Checkpoints{ones, ones, ones}
	near(t, "equal", apply(t, "fisher", nil, data.Bundle{"in": all, "precision": precision}), apply(t, "linear", nil, data.Bundle{"in": all}), 0x1p-7)                                                                        // a step of bfloat16
	near(t, "weighted", apply(t, "fisher", map[string]string{"weights": "1,0,3"}, data.Bundle{"in": all, "precision": precision}), apply(t, "linear", map[string]string{"weights": "1,0,3"}, data.Bundle{"in": all}), 0x1p-7) // a step of bfloat16
}

func TestFisherRefuses(t *testing.T) {
	in := data.Checkpoints{pair(1, 2), pair(3, 4)}
	for _, c := range []struct {
		precision data.Checkpoints
		words     string
	}{
		{data.Checkpoints{pair(1, 1)}, "1 checkpoints of information for 2"},
		{data.Checkpoints{pair(1, 1), pair(1)}, `information of checkpoint 2 on "w" is [1], want [2]`},
		{data.Checkpoints{pair(1, 1), {}}, `information on "w" is missing for 1 of 2`},
		{data.Checkpoints{pair(1, 1), nil}, "information of checkpoint 2 is missing"},
		{data.Checkpoints{pair(1, 1), pair(1, -1)}, `tensor "w": element 1 has negative information`},
	} {
		out, err := tryApply(t, "fisher", nil, data.Bundle{"in": in, "precision": c.precision})
		if err == nil {
			_, err = out.Tensors["w"].Bytes()
		}
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v, want %q", err, c.words)
		}
	}
}
