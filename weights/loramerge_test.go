package weights_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

// adapter has two factors for fc.weight.
func adapter(rank, in, out int, a, b []float64) *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"base_model.model.fc.lora_A.weight": data.CastTensor(data.F32, a, rank, in),
		"base_model.model.fc.lora_B.weight": data.CastTensor(data.F32, b, out, rank),
	}}
}

func ExampleLoRAMerge() {
	base := matrix("fc.weight", 2, 2, 1, 0, 0, 1)
	out, err := weights.LoRAMerge{Scale: 0.5}.Apply(context.Background(), weights.LoRAMergeInput{In: base, Adapter: adapter(1, 2, 2, []float64{1, 2}, []float64{2, 4})})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("fc.weight", 2, 2)
	fmt.Println(w)
	// Output:
	// [2 2 2 5]
}

func TestLoRAMergeRefuses(t *testing.T) {
	good := adapter(1, 2, 2, []float64{1, 2}, []float64{2, 4})
	for _, c := range []struct {
		base, adapter *data.Checkpoint
		want          error
		words         string
	}{
		{matrix("fc.weight", 2, 3, 1, 2, 3, 4, 5, 6), good, data.ErrShape, "it is [2 3], the adapter's change [2 2]"},
		{matrix("other.weight", 1, 1, 1), good, nil, `changes tensor "fc.weight"`},
		{matrix("fc.weight", 2, 2, 1, 2, 3, 4), pair(1), nil, "no tensor is called …lora_A.weight"},
		{matrix("fc.weight", 2, 2, 1, 2, 3, 4), &data.Checkpoint{Tensors: map[string]data.Tensor{"x.lora_A.weight": data.CastTensor(data.F32, []float64{1}, 1, 1)}}, data.ErrShape, "x.lora_B.weight"},
	} {
		_, err := tryApply(t, "loramerge", nil, data.Bundle{"in": c.base, "adapter": c.adapter})
		if err == nil || !strings.Contains(err.Error(), c.words) || c.want != nil && !errors.Is(err, c.want) || c.want == nil && !isInput(err) {
			t.Errorf("%v, want %q", err, c.words)
		}
	}
}
